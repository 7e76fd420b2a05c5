"""Mean and variance of channels, whatever the memory format."""

import pytest
import torch

from lit_metanas.spaces.operations import channel_moments

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


def test_single_precision_keeps_a_small_spread_around_a_large_mean():
    inputs = (1000 + 0.01 * torch.randn(64, 8, 14, 14, dtype=torch.float64)).float()
    wanted = channel_moments(inputs.double())
    for memory_format in FORMATS:
        mean, variance = channel_moments(inputs.contiguous(memory_format=memory_format))
        torch.testing.assert_close(mean.double(), wanted[0], rtol=1e-6, atol=0)
        torch.testing.assert_close(variance.double(), wanted[1], rtol=2e-2, atol=0)
