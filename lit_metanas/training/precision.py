"""The precision of a training: what decides it, and what applies it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode

FLOAT32, BF16, AUTO_PRECISION = "32-true", "bf16-mixed", "auto"
"""Precisions by Lightning's names, and the one that stands for a decision between them."""

PRECISIONS = (AUTO_PRECISION, FLOAT32, BF16)

LEAST_GAIN = 1.2
"""How many times as fast a training must be in bf16, to be one: for less, a network need not lose digits."""

ROUNDS = 5  # of a benchmark at most


def check_precision(owner: str, precision: str) -> None:
    """Refuse a precision that there is none of; ``owner`` begins the sentence."""
    if precision not in PRECISIONS:
        raise ValueError(f"{owner}: precision is '{precision}'; give {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}.")


def fast_bf16(device: torch.device) -> bool:
    """Whether a device multiplies matrices in bf16 by units of its own."""
    match device.type:
        case "cpu":
            # Without these instructions bf16 is emulated, and several times slower than float32.
            found = torch.cpu.get_capabilities()
            return bool(found.get("amx_bf16") or found.get("avx512_bf16"))
        case "cuda":
            return torch.cuda.is_bf16_supported(including_emulation=False)
        case _:
            return False


def by_flags(precision: str, device: torch.device) -> str:
    """A precision as it was given; ``auto`` is bf16 on a device that is made for it. No clock is asked."""
    if precision != AUTO_PRECISION:
        return precision
    return BF16 if fast_bf16(device) else FLOAT32


class PaddedConvolutions(TorchFunctionMode):
    """Notes, in ``found``, whether weights of a convolution meet only padding, as the map is so small.

    A CPU's gradients in bf16 would be wrong then: oneDNN does not write those of such weights (torch 2.13), which are
    what the memory held before. Of 11,000 shapes with maps of one pixel, or with two such weights on a side, 23 % were
    wrong, and none of 5,300 larger ones with one such weight.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found = False

    def __torch_function__(
        self, func: Any, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.conv2d:
            self._note(*args, **kwargs or {})
        return func(*args, **kwargs or {})

    def _note(
        self,
        inputs: Tensor,
        weight: Tensor,
        bias: object = None,
        stride: object = 1,
        padding: object = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> None:
        for size, kernel, step in zip(inputs.shape[-2:], weight.shape[-2:], _pair(dilation), strict=True):
            reach = kernel // 2 * step
            self.found |= reach > 0 and size < max(reach, 2)


def for_network(
    precision: str, network: nn.Module, device: torch.device, *, scores: Callable[[nn.Module], object]
) -> str:
    """A precision, or float32 if a CPU's gradients in bf16 would be wrong; ``scores`` gives a network an example."""
    if precision != BF16 or device.type != "cpu":
        return precision
    training = network.training
    try:  # after an error, as without memory, the same network is trained in smaller batches
        with PaddedConvolutions() as padded, autocast(precision, device):
            scores(network.eval())
    finally:
        network.train(training)
    return FLOAT32 if padded.found else precision


def by_timing(trainings: Sequence[Callable[[str], object]], device: torch.device, *, seconds: float) -> str:
    """The precision in which some trainings are fastest: bf16 only on a device for it, and if it gains enough."""
    if not fast_bf16(device):
        return FLOAT32
    begin, ratios = perf_counter(), list[float]()
    for round_number in range(ROUNDS + 1):
        # In turn, so that what slows the machine slows both.
        plain, mixed = (sum(_timed(train, precision) for train in trainings) for precision in (FLOAT32, BF16))
        if round_number:
            ratios.append(plain / mixed)
        if ratios and perf_counter() - begin > seconds:
            break
    return BF16 if median(ratios) >= LEAST_GAIN else FLOAT32


def _timed(train: Callable[[str], object], precision: str) -> float:
    begin = perf_counter()
    train(precision)
    return perf_counter() - begin


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """What a step of training runs in, whatever precision the caller has: convolutions and products, but no weights."""
    # The cache of cast weights would be the caller's, if there is autocast around this one, and outlive the step.
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == BF16, cache_enabled=False)
