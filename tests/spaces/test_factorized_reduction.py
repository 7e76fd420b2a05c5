"""DARTS's factorized reduction."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lit_metanas.spaces.cells.cell_operations import FactorizedReduction, even_pixels, odd_pixels

MANY = """
import torch
from lit_metanas.spaces.cells.cell_operations import FactorizedReduction, even_pixels, odd_pixels
torch.set_num_threads(1)
halve = FactorizedReduction(4, 8)
for _ in range(1000):
    inputs = torch.randn(6, 4, 8, 8).to(memory_format=torch.channels_last).requires_grad_()
    outputs = halve(even_pixels(inputs), odd_pixels(inputs))
    torch.autograd.grad(outputs, [inputs, *halve.parameters()], torch.randn_like(outputs))
"""


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 8), (4, 9), (1, 1)])
def test_two_convolutions_of_stride_two(height, width):
    halve = FactorizedReduction(3, 5).double()
    inputs = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    shifted = torch.zeros(2, 3, height + height % 2, width + width % 2, dtype=torch.float64)
    shifted[:, :, :height, :width] = inputs
    first = F.conv2d(inputs, halve.first.weight, stride=2)
    second = F.conv2d(shifted[:, :, 1:, 1:], halve.second.weight, stride=2)
    expected = torch.cat([first, second], 1)
    found = halve(even_pixels(inputs), odd_pixels(inputs))
    torch.testing.assert_close(found, expected)
    wanted = [inputs, *halve.parameters()]
    away = torch.randn_like(expected)
    torch.testing.assert_close(torch.autograd.grad(found, wanted, away), torch.autograd.grad(expected, wanted, away))


def test_processors_without_avx512_do_not_crash():
    """Where oneDNN's strided 1x1 convolutions of two input sizes with one output size spoil the memory."""
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", MANY], env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
