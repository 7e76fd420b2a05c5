"""Candidate operations by label, and what layers of supernets compute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import at_least_float32
from lit_metanas.spaces.mixture import Gate, Record, Statistics, combine, setting, times

EPSILON = 1e-5  # added to variances, as in `torch.nn.BatchNorm2d`

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "ReLU": nn.ReLU,
    "ReLU6": nn.ReLU6,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "GELU": nn.GELU,
    "SiLU": nn.SiLU,
    "LeakyReLU": nn.LeakyReLU,
    "ELU": nn.ELU,
    "Identity": nn.Identity,
}
INCREASING = frozenset({"ReLU", "ReLU6", "Sigmoid", "Tanh", "LeakyReLU", "ELU", "Identity"})
"""Activations that never decrease, so that they may follow a maximum as well as precede it."""


POOLS = ("max", "avg")
NORMS = ("batch", "layer", "none")
LAYER_NORMS = ("layer", "none")
SKIPS = ("none", "residual")
MAP_READOUTS = ("average", "flat")
"""What a network for images makes of its last map: the mean of each channel, or all of its values."""
ROUNDINGS = ("down", "up")  # how pooling halves an odd number


def leading_part(tensor: Tensor, *sizes: int) -> Tensor:
    """The leading part of some sizes; all of it is itself: a slice would cost its gradient a blank and a copy."""
    if tensor.shape[: len(sizes)] == sizes:
        return tensor
    return tensor[tuple(map(slice, sizes))]


def padded(features: Tensor, length: int) -> Tensor:
    """Features ``(n, ..., features)`` with zeros up to a length."""
    if features.shape[-1] == length:
        return features
    return F.pad(features, (0, length - features.shape[-1]))


def laid_out_like(images: Tensor, kernel: Tensor) -> Tensor:
    """Images ``(n, channels, height, width)``; those of one channel are channels-last if a kernel is."""
    # One channel is both layouts at once; PyTorch takes it for the other one, whose pooling is far slower.
    if images.shape[1] > 1 or 1 not in (kernel.shape[1], kernel.stride(1)):
        return images
    return images.reshape(-1, *images.shape[2:], 1).permute(0, 3, 1, 2)


def rectified(values: Tensor) -> Tensor:
    """The ReLU of values that nothing else reads: it overwrites them, which spares memory a pass."""
    # Of gradients that are differentiated themselves the values are a view, in which that would cost more.
    if _TWICE.get():
        return torch.relu(values)
    return torch.relu_(values)


def merged_kernel(gate: Gate, kernels: Sequence[Tensor]) -> Tensor:
    """Mix square kernels of odd sizes, each ``(out, in, k, k)``, into one of the largest size, about its centre."""
    size = max(kernel.shape[-1] for kernel in kernels)
    weighted = zip(gate.weights, kernels, strict=True)
    return sum(
        (F.pad(weight * kernel, ((size - kernel.shape[-1]) // 2,) * 4) for weight, kernel in weighted), torch.zeros(())
    )


def with_dense_gradient(outputs: Tensor) -> Tensor:
    """Channels-last outputs ``(n, channels, height, width)``, whose gradient is made channels-last and without gaps."""
    # That of a part of a concatenation has gaps, and that of an average is one number for all pixels: each norm before
    # it would copy it anew.
    if outputs.stride(1) != 1:
        return outputs
    return _from_rows(_as_rows(outputs), outputs)


def _as_rows(images: Tensor) -> Tensor:
    # Channels-last images `(n, channels, height, width)` as a table with a row for each pixel.
    return images.permute(0, 2, 3, 1).reshape(-1, images.shape[1])


def _from_rows(rows: Tensor, images: Tensor) -> Tensor:
    examples, channels, height, width = images.shape
    return rows.view(examples, height, width, channels).permute(0, 3, 1, 2)


def affine(inputs: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift each channel: inputs ``(n, channels, height, width)``, scale and shift ``(channels,)``."""
    return torch.addcmul(shift[:, None, None], inputs, scale[:, None, None])


def halve(pool: str, inputs: Tensor, *, up: bool) -> Tensor:
    """Pool ``(n, channels, height, width)`` to half the height and width, which are rounded ``up`` or down."""
    if pool == "max":
        return F.max_pool2d(inputs, 2, ceil_mode=up)
    return halve_by_mean(inputs, up=up)


def halve_by_mean(inputs: Tensor, *, up: bool = True) -> Tensor:
    """2x2 means; an odd last row or column is averaged by itself, or left out unless sizes are rounded ``up``."""
    height, width = inputs.shape[2:]
    if inputs.dtype != torch.bfloat16 or inputs.device.type != "cpu" or height % 2 or width % 2:
        return F.avg_pool2d(inputs, 2, ceil_mode=up)
    # The sum of four pixels is the gradient of a map that shows each pixel four times, and the other way round. In bf16
    # on a CPU both together take half the time of PyTorch's average pooling, for the same numbers.
    size = [*inputs.shape[:2], height // 2, width // 2]
    return 0.25 * torch.ops.aten.upsample_nearest2d_backward(inputs, [height, width], size, None, None)


def batch_normalise(
    inputs: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    *,
    key: str,
    statistics: Statistics,
    record: Record,
    epsilon: float = EPSILON,
) -> Tensor:
    """Normalise channels of ``(n, channels, height, width)`` by given statistics or this batch's; scale and shift."""
    # `statistics` and `record` hold `<key>.mean` and the biased `<key>.var`, each of shape `(channels,)`.
    if record is None and statistics is None:
        if inputs.stride(1) != 1 or not _TWICE.get() or epsilon != EPSILON:
            return F.batch_norm(inputs, None, None, scale, shift, training=True, eps=epsilon)
        # Channels last: as a table the second derivative takes half the time.
        rows = _as_rows(inputs)
        if rows.device.type == "cpu" and (scale is None or scale.dtype == rows.dtype):
            rows = _BatchNormRows.apply(rows, scale, shift)
        else:
            rows = F.batch_norm(rows, None, None, scale, shift, training=True, eps=EPSILON)
        return _from_rows(rows, inputs)
    if record is not None:
        record[f"{key}.mean"], record[f"{key}.var"] = channel_moments(at_least_float32(inputs))
    given = record if statistics is None else statistics
    assert given is not None
    mean, var = (given[f"{key}.{kind}"][: inputs.shape[1]] for kind in ("mean", "var"))
    # Not ``F.batch_norm``, which is not differentiable in given statistics.
    factor = times((var + epsilon).rsqrt(), scale)
    if shift is None:
        return affine(inputs, factor, -mean * factor)
    return affine(inputs, factor, shift - mean * factor)


_TWICE: ContextVar[bool] = ContextVar("gradients are differentiated", default=False)


def differentiated_twice() -> AbstractContextManager[None]:
    """What is computed within has its gradient differentiated by ``torch.autograd`` again, and not a third time."""
    return setting(_TWICE, True)


class _BatchNormRows(torch.autograd.Function):
    """Batch-norm of rows ``(n, channels)``, whose second derivative takes half as many passes as PyTorch's."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
        outputs, mean, inverse = torch.native_batch_norm(rows, scale, shift, None, None, True, 0.0, EPSILON)
        ctx.save_for_backward(rows, scale, mean, inverse)
        return outputs

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = outer
        found = _BatchNormRowsGradient.apply(gradient.contiguous(), *ctx.saved_tensors)
        return tuple(one if needed else None for one, needed in zip(found, ctx.needs_input_grad, strict=True))


class _BatchNormRowsGradient(torch.autograd.Function):
    """The gradients of rows, scale and shift, each a function of the outer gradient, rows and scale."""

    # With xhat the normalised rows, r = 1 / sigma and P(z) = z - mean(z) - xhat mean(z xhat) they are, for each
    # channel, scale r P(g), sum(g xhat) and sum(g). P is symmetric, and the gradient of sum(z xhat) is r P(z).

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, rows: Tensor, scale: Tensor | None, mean: Tensor, inverse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        of_rows, of_scale, of_shift = _rows_backward(gradient, rows, scale, mean, inverse)
        ctx.save_for_backward(gradient, rows, scale, mean, inverse, of_scale, of_shift)
        return of_rows, of_scale, of_shift

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("Batch-norm has no third derivative here: do not say differentiated_twice.")
        towards, of_scale, of_shift = outer
        gradient, rows, scale, mean, inverse, with_xhat, total = ctx.saved_tensors
        number = len(rows)
        # r P(u), sum(u xhat) and sum(u) of the gradient u that comes for that of the rows.
        projected, also_with_xhat, also_total = _rows_backward(towards.contiguous(), rows, None, mean, inverse)
        both = (towards * gradient).sum(0) - (also_total * total + also_with_xhat * with_xhat) / number
        factor = times(inverse, scale)

        def plus_xhat(start: Tensor, slope: Tensor) -> Tensor:
            """``start + slope * xhat``, for a constant in each channel."""
            slope = slope * inverse
            return torch.addcmul(start - slope * mean, rows, slope)

        of_gradient = torch.addcmul(plus_xhat(of_shift, of_scale), projected, factor / inverse)
        slope = (of_scale - factor * also_with_xhat / number) * inverse
        of_rows = plus_xhat(-slope * total / number, -(factor * inverse * both + slope * with_xhat) / number)
        of_rows = torch.addcmul(of_rows, gradient, slope)
        of_rows = torch.addcmul(of_rows, projected, -factor * with_xhat / number)
        return of_gradient, of_rows, None if scale is None else inverse * both, None, None


def _rows_backward(
    gradient: Tensor, rows: Tensor, scale: Tensor | None, mean: Tensor, inverse: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.aten.native_batch_norm_backward(
        gradient, rows, scale, None, None, mean, inverse, True, EPSILON, [True, True, True]
    )


def channel_moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of ``(n, channels, height, width)``, each of shape ``(channels,)``."""
    if inputs.stride(1) != 1:
        var, mean = torch.var_mean(inputs, (0, 2, 3), correction=0)
        return mean, var
    # Channels last: as means of a table they take a half to a fifth of the time, backward included.
    rows = _as_rows(inputs)
    mean = rows.mean(0)
    return mean, (rows - mean).square().mean(0)


def layer_normalise(inputs: Tensor, scale: Tensor, shift: Tensor, weights: Tensor | None) -> Tensor:
    """Normalise each example as a whole, with a weight for each channel, ``(channels,)``; then scale and shift it."""
    if weights is None:
        return F.group_norm(inputs, 1, scale, shift, eps=EPSILON)
    weights = weights.to(inputs.dtype)
    share = (weights / (weights.sum() * inputs.shape[2] * inputs.shape[3]))[:, None, None]
    centred = inputs - (inputs * share).sum((1, 2, 3), keepdim=True)
    return affine(centred / ((centred**2 * share).sum((1, 2, 3), keepdim=True) + EPSILON).sqrt(), scale, shift)


def dropout_scale(gate: Gate, rates: Sequence[float], uniform: Tensor, dtype: torch.dtype) -> Tensor:
    """Factors ``(n, channels)``, one in the mean, under a mixture of dropout rates that share one draw."""
    return combine(gate, rates, lambda rate: (uniform >= rate).to(dtype) / (1.0 - rate))


@contextmanager
def without_fast_paths() -> Iterator[None]:
    """Attention is computed by single operations, as nothing takes PyTorch's fast path apart, or counts its cost."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
