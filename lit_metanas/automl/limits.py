"""Hard limits of a network: parameters, multiply-adds and measured latency, beyond which a space refuses one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from math import inf, log
from typing import Self

import torch

from lit_metanas.estimators.estimator import Measure, network_measures
from lit_metanas.io.text import printable
from lit_metanas.searchers.mutation import complete, draw_new
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task

FEWER = 0.7
"""Of the parameters or multiply-adds of a network that is above a limit, those of the next one to try, about."""

_DURATION = re.compile(r"\s*([0-9.eE+-]+)\s*(s|ms|us|µs|)\s*")
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def seconds_of(duration: float | str) -> float:
    """A duration in seconds, given as such or as a text with its unit, such as ``5ms``.

    Raises:
        ValueError: it is neither.
    """
    found = _DURATION.fullmatch(str(duration))
    try:
        seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < inf:
        raise ValueError(f"'{printable(str(duration), 40)}' is no duration: give seconds, or a number with ms, as 5ms.")
    return seconds


@dataclass(frozen=True)
class NetworkLimits:
    """What a network may have at most; None is no limit.

    Attributes:
        parameters: trainable parameters.
        flops: forward multiply-adds for one input.
        latency: seconds of a forward pass of one input, the median of several, with torch's threads as they are.

    Raises:
        ValueError: one is not above zero.
    """

    parameters: float | None = None
    flops: float | None = None
    latency: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.given.items():
            if not 0 < limit < inf:
                raise ValueError(f"max_{name} is {limit:g}; give a number above 0.")

    @classmethod
    def told(cls, parameters: float | None, flops: float | None, latency: float | str | None) -> Self:
        """The limits as they are given by name; ``latency`` may be a text, see ``seconds_of``."""
        return cls(parameters, flops, None if latency is None else seconds_of(latency))

    @property
    def given(self) -> dict[str, float]:
        """Those that there are, by their name."""
        limits = {"parameters": self.parameters, "flops": self.flops, "latency": self.latency}
        return {name: limit for name, limit in limits.items() if limit is not None}


class LimitedSpace:
    """A space within limits, for one task.

    Args:
        space: all that could be built.
        limits: what is wanted of a network.
        task: whose inputs and outputs a network has.

    Attributes:
        within: the space that refuses what is above a limit.
    """

    def __init__(self, space: SearchSpace, limits: NetworkLimits, task: Task) -> None:
        self.space = space
        self.limits = limits
        self._timed = network_measures(space, task.shape, task.way, task.train.inputs.device)["latency"]
        cost = cache(partial(space.cost, shape=task.shape, way=task.way))
        self.measures: Mapping[str, Measure] = {
            "parameters": lambda architecture: cost(architecture).parameters,
            "flops": lambda architecture: cost(architecture).flops,
            "latency": cache(self._timed),
        }
        self.within = space.limited(self._excess) if limits.given else space

    def begin(self, incumbent: Mapping[str, str]) -> Architecture:
        """The usual network; where it is above a limit, one below it that comes of changes of single choices.

        Args:
            incumbent: labels of the usual one, by choice or by group; those that the space lacks do not matter.

        Raises:
            ValueError: no network was found within the limits; the sentence tells the nearest.
        """
        wanted = self.space.by_choice(incumbent)
        known = {one.name: wanted[one.name] for one in self.space.choices if wanted.get(one.name) in one.labels}
        found = complete(self.space, known)
        if self.space.violation(found) is not None:
            generator = torch.Generator().manual_seed(0)
            found = draw_new(lambda: self.space.sample(generator), 1, refusal=self.space.violation)[0]
        kept: dict[str, float] = {}
        for name, limit in self.limits.given.items():
            found = self._faster(found, limit, kept) if name == "latency" else self._smaller(found, name, limit, kept)
            if (value := self.measures[name](found)) > limit:
                beside = f" and {' and '.join(f'max_{other}' for other in kept)}" if kept else ""
                raise ValueError(
                    f"No network of {self.space.name} is within max_{name} = {_plain(name, limit)}{beside}: the "
                    f"nearest {_amount(name, value)}. Raise the limit to that, or give another 'space'."
                )
            kept[name] = limit
        return found

    def check(self, architecture: Architecture) -> str | None:
        """Why an architecture is above a limit, timed anew; None where it is not."""
        return self._excess(architecture, fresh=True)

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one input, timed anew."""
        return self._timed(architecture)

    def _excess(self, architecture: Architecture, *, fresh: bool = False) -> str | None:
        for name, limit in self.limits.given.items():
            measure = self._timed if fresh and name == "latency" else self.measures[name]
            if (value := measure(architecture)) > limit:
                return f"it {_amount(name, value)}, and the limit is {_plain(name, limit)}"
        return None

    def _smaller(self, one: Architecture, name: str, limit: float, kept: Mapping[str, float]) -> Architecture:
        """An architecture within a limit, reached by changes of single choices; the least reached, where there is none.

        Args:
            one: where the changes begin.
            name: of the measure.
            limit: of the measure.
            kept: limits of other measures that no change may break.
        """
        measure = self.measures[name]
        while measure(one) > limit:
            others = [
                other
                for other in self._neighbours(one)
                if measure(other) < measure(one) and all(self.measures[of](other) <= most for of, most in kept.items())
            ]
            if not others:
                break
            target = log(max(limit, FEWER * measure(one)))
            one = min(others, key=lambda other: abs(log(max(measure(other), 1)) - target))
        return one

    def _faster(self, one: Architecture, limit: float, kept: Mapping[str, float]) -> Architecture:
        """An architecture within a limit of the latency: of fewer and fewer multiply-adds."""
        while self.measures["latency"](one) > limit:
            flops = self.measures["flops"](one)
            other = self._smaller(one, "flops", FEWER * flops, kept)
            if self.measures["flops"](other) >= flops:
                break
            one = other
        return one

    def _neighbours(self, one: Architecture) -> Iterator[Architecture]:
        """All architectures that differ in one choice, and can be built."""
        for choice in self.space.choices:
            for label in self.space.proposed_labels(choice):
                if one.get(choice.name, label) != label:
                    other = complete(self.space, {**one, choice.name: label})
                    if self.space.violation(other) is None:
                        yield other


def _amount(name: str, value: float) -> str:
    if name == "latency":
        return f"takes {_plain(name, value)}"
    return f"has {_plain(name, value)} {'multiply-adds' if name == 'flops' else name}"


def _plain(name: str, value: float) -> str:
    return f"{1000 * value:.3g} ms" if name == "latency" else f"{value:,.0f}"
