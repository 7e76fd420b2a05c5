"""The precision of a training: what decides it, and what applies it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn

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


def for_network(
    precision: str, network: nn.Module, device: torch.device, *, scores: Callable[[nn.Module], object]
) -> str:
    """A precision, or float32 if a CPU's gradients in bf16 would be wrong; ``scores`` gives a network an example.

    If a map is so small that some weights of a convolution meet only padding, oneDNN does not write their gradients
    (torch 2.13): they are what the memory held before.
    """
    if precision != BF16 or device.type != "cpu":
        return precision
    padded = list[nn.Conv2d]()

    def note(layer: nn.Conv2d, inputs: tuple[Tensor]) -> None:
        reach = [kernel // 2 * dilation for kernel, dilation in zip(layer.kernel_size, layer.dilation, strict=True)]
        if any(size <= most for size, most in zip(inputs[0].shape[-2:], reach, strict=True)):
            padded.append(layer)

    with ExitStack() as held:  # after an error, as without memory, the same network is trained in smaller batches
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                held.enter_context(layer.register_forward_pre_hook(note))
        held.callback(network.train, network.training)
        held.enter_context(autocast(precision, device))
        scores(network.eval())
    return FLOAT32 if padded else precision


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
