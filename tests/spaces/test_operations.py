"""Operations: statistics of channels, the second derivative of batch-norm, and DARTS's factorized reduction."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from lit_metanas.spaces.cells.cell_operations import FactorizedReduction, even_pixels, odd_pixels
from lit_metanas.spaces.operations import batch_normalise, channel_moments, differentiated_twice

FORMATS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (1, 2, 1, 1), (7, 1, 3, 3), (4, 16, 1, 1)])
def test_moments_are_those_of_all_pixels_of_a_channel(shape, memory_format):
    inputs = (100 + torch.randn(shape, dtype=torch.float64)).contiguous(memory_format=memory_format)
    mean, variance = channel_moments(inputs)
    for channel in range(shape[1]):
        values = inputs[:, channel].flatten().tolist()
        expected = sum(values) / len(values)
        assert mean[channel].item() == pytest.approx(expected, rel=1e-12)
        spread = sum((value - expected) ** 2 for value in values) / len(values)
        assert variance[channel].item() == pytest.approx(spread, rel=1e-12, abs=1e-25)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_first_and_second_derivatives(memory_format):
    inputs = torch.randn(3, 2, 2, 3, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(channel_moments, inputs)
    assert torch.autograd.gradgradcheck(channel_moments, inputs)


def derivatives(twice, *, scaled, dtype, depend):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    inputs = (3 + 2 * draw(5, 4, 3, 2)).contiguous(memory_format=torch.channels_last).requires_grad_()
    scale, shift = (draw(4).requires_grad_(), draw(4).requires_grad_()) if scaled else (None, None)
    if scaled:
        with torch.no_grad():
            scale[1] = 0.0  # a channel that is switched off still has second derivatives
    wanted = [inputs, scale, shift] if scaled else [inputs]
    options = {"key": "norm", "statistics": None, "record": None}
    if twice:
        with differentiated_twice():
            outputs = batch_normalise(inputs, scale, shift, **options)
    else:
        outputs = batch_normalise(inputs, scale, shift, **options)
    first = torch.autograd.grad((outputs.tanh() * draw(*outputs.shape)).sum(), wanted, create_graph=True)
    total = sum((draw(*one.shape) * one.sin()).sum() for one in (first if depend == "all" else first[:1]))
    return outputs, first, torch.autograd.grad(total, wanted, allow_unused=True)


@pytest.mark.parametrize("depend", ["all", "inputs"])
@pytest.mark.parametrize("scaled", [True, False])
def test_derivatives_of_first_and_second_order(scaled, depend):
    found, expected = (derivatives(t, scaled=scaled, dtype=torch.float64, depend=depend) for t in (True, False))
    assert type(found[0].grad_fn.next_functions[0][0].next_functions[0][0]).__name__ == "_BatchNormRowsBackward"
    assert max(float(one.abs().max()) for one in found[2]) > 1e-2
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_third_derivative_is_refused():
    inputs = torch.randn(3, 2, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    with differentiated_twice():
        outputs = batch_normalise(inputs, None, None, key="", statistics=None, record=None)
    (first,) = torch.autograd.grad(outputs.square().sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="no third derivative"):
        torch.autograd.grad(first.square().sum(), inputs, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), inputs)
    assert second.shape == inputs.shape


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
