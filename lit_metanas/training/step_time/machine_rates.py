"""The rates of this machine, measured once and kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import at_least_float32, channels_last
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.files import cache_folder, write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import hardware
from lit_metanas.training.precision import FLOAT32, autocast
from lit_metanas.training.step_time.recorded_work import record_work
from lit_metanas.training.step_time.step_rates import StepTimes, fit_rates, nominal_times
from lit_metanas.training.trainers import apart_from_caller

WORK_GROUPS: Mapping[str, tuple[str, ...]] = {
    "depthwise": ("depthwise",),
    "products": ("multiply-adds",),
    "values": ("values",),
    "parameters": ("kernels", "parameters", "tensors"),
    "calls": ("calls", "steps"),
}
"""Groups of kinds of work, whose rates have one ratio to the nominal ones: the first with a word of the kind's name."""

PULL = 0.1
"""Weight of a common ratio of all groups, where a measured step has 1."""

STEPS_TIMED, SECONDS_TIMED = 6, 0.3
"""Of each network at most; the fastest step counts, as other programs make steps slower and never faster."""

_CONVOLUTIONS = (
    (16, 32, 3, 1, 1),
    (64, 16, 3, 1, 1),
    (128, 8, 3, 1, 1),
    (192, 3, 3, 1, 1),
    (64, 16, 1, 1, 1),
    (64, 16, 3, 1, 64),
    (64, 16, 7, 1, 64),
    (64, 16, 3, 2, 64),
)
"""Networks that are timed: channels, side of the images, and of their convolutions kernel, stride and groups."""


def machine_times(precision: str = FLOAT32, threads: int = 1) -> StepTimes:
    """How fast this machine trains on its processor, measured once in some seconds and kept in the folder for caches.

    Steps of some small networks are timed, and the nominal rates of a group of work are multiplied by one number.

    Args:
        precision: ``32-true`` or ``bf16-mixed``.
        threads: of torch.

    Raises:
        ValueError: the precision is another one.
    """
    nominal = nominal_times(precision)
    key = {"machine": hardware(), "threads": threads, "precision": precision, "nominal": asdict(nominal)}
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    path = cache_folder() / f"step-times-{digest[:16]}.json"
    ratios = _read_ratios(path)
    if ratios is None:
        with torch_threads(threads):
            # Of one thread, what other programs take is not counted.
            ratios = measure_ratios(precision, clock=process_time if threads == 1 else perf_counter)
        with suppress(OSError):  # where nothing can be written, each process measures
            write_whole(path, json.dumps({"ratios": ratios, **key}, indent=1))
    return StepTimes({kind: rate * ratios[work_group(kind)] for kind, rate in nominal.rates.items()})


def _read_ratios(path: Path) -> dict[str, float] | None:
    """The ratios in a file; None if it is absent or damaged."""
    try:
        kept = read_json(path, "remove it")["ratios"]
        ratios = {group: float(kept[group]) for group in WORK_GROUPS}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if min(ratios.values()) < 0 or max(ratios.values()) == 0:
        return None
    return ratios


def work_group(kind: str) -> str:
    """The group of a kind of work."""
    return next(group for group, words in WORK_GROUPS.items() if any(word in kind for word in words))


def measure_ratios(precision: str, *, clock: Callable[[], float] = perf_counter) -> dict[str, float]:
    """How many times as long as nominally this machine takes for each group of work."""
    parts, taken, nominal = list[dict[str, float]](), list[float](), nominal_times(precision)
    with apart_from_caller(torch.device("cpu")), torch.inference_mode(False), torch.enable_grad():
        for (network, inputs), seconds in zip(timed_networks(), nominal.probes, strict=True):
            work = record_work(network, network, inputs[:2]).total(len(inputs))
            groups = dict.fromkeys(WORK_GROUPS, 0.0)
            for kind, amount in work.items():
                groups[work_group(kind)] += amount * nominal.rates.get(kind, 0.0)
            # Only shares are predicted, so that an error for a network is not taken for one of the machine.
            whole = sum(groups.values())
            parts.append({group: part / whole * seconds for group, part in groups.items()})
            taken.append(fastest_step(network, inputs, precision, clock=clock))
    pace = median(own / nominally for own, nominally in zip(taken, nominal.probes, strict=True))
    pulls = [{group: 1.0} for group in WORK_GROUPS]
    weights = [*([1.0] * len(parts)), *([PULL] * len(pulls))]
    return fit_rates([*parts, *pulls], [*taken, *([pace] * len(pulls))], weights)


def timed_networks() -> Iterator[tuple[nn.Module, Tensor]]:
    """Small networks of all groups of work, each with the inputs of a step."""
    for channels, side, kernel, stride, groups in _CONVOLUTIONS:
        layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1)]
        for _ in range(2):
            layers.append(nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=groups, bias=False))
            layers += [nn.BatchNorm2d(channels), nn.GELU()]
        layers += [nn.AvgPool2d(-(-side // stride**2)), nn.Flatten(), nn.Linear(channels, 10)]
        yield nn.Sequential(*layers), channels_last(torch.rand(32, 3, side, side))
    tokens = torch.randint(4000, (32, 32))
    yield nn.Sequential(nn.Embedding(4000, 64), nn.LayerNorm(64), nn.Tanh(), nn.Flatten(), nn.Linear(2048, 10)), tokens
    yield nn.Sequential(*[layer for _ in range(20) for layer in (nn.Linear(16, 16), nn.ReLU())]), torch.rand(32, 16)


def fastest_step(
    network: nn.Module, inputs: Tensor, precision: str, *, clock: Callable[[], float] = perf_counter
) -> float:
    """The seconds of the fastest of some training steps of a network of classes."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch's types lack
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    labels, found = torch.zeros(len(inputs), dtype=torch.int64), list[float]()
    for _ in range(1 + STEPS_TIMED):  # the first allocates memory
        begin = clock()
        with autocast(precision, inputs.device):
            scores = network(inputs)
        loss = F.cross_entropy(at_least_float32(scores), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(clock() - begin)
        if len(found) > 2 and sum(found) > SECONDS_TIMED:
            break
    return min(found[1:])
