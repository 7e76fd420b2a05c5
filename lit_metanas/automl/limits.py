"""Hard limits of a network: parameters, multiply-adds and measured latency, beyond which a space refuses one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch

from lit_metanas.estimators.estimator import Measure, network_measures
from lit_metanas.io.text import printable
from lit_metanas.searchers.mutation import complete, draw_new
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task

DRAWS = 100
"""Architectures that are drawn to find one within the limits, where the usual one is not."""

MOST_MEASURED = 20
"""How many of these are timed, at most."""

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
    if not 0 < seconds < float("inf"):
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
            if not 0 < limit < float("inf"):
                raise ValueError(f"max_{name} is {limit:g}; give a number above 0.")

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
        device = task.train.inputs.device
        measures = dict(network_measures(space, task.shape, task.way, device))
        self._timed = measures["latency"]
        measures["latency"] = cache(self._timed)
        self.measures: Mapping[str, Measure] = measures
        self.within = space.limited(self._excess) if limits.given else space

    def begin(self, incumbent: Mapping[str, str]) -> Architecture:
        """The usual network; where it is above a limit, the largest of some drawn ones that is not.

        Args:
            incumbent: labels of the usual one, by choice or by group; those that the space lacks do not matter.

        Raises:
            ValueError: no network was found within the limits; the sentence tells the nearest.
        """
        wanted = self.space.by_choice(incumbent)
        known = {one.name: wanted[one.name] for one in self.space.choices if wanted.get(one.name) in one.labels}
        usual = complete(self.space, known)
        if self.within.violation(usual) is None:
            return usual
        generator = torch.Generator().manual_seed(0)
        cheap = self.space.limited(lambda one: self._excess(one, timed=False))
        drawn = draw_new(lambda: self.space.sample(generator), DRAWS, refusal=cheap.violation)
        smallest = {name: self._smallest(name) for name in self.limits.given}
        drawn.sort(key=self.measures["flops"], reverse=True)
        step = max(1, len(drawn) // MOST_MEASURED) if self.limits.latency is not None else 1
        for one in [*drawn[::step], *smallest.values()]:
            if self.within.violation(one) is None:
                return one
        raise ValueError(self._nearest(smallest))

    def check(self, architecture: Architecture) -> str | None:
        """Why an architecture is above a limit, timed anew; None where it is not."""
        return self._excess(architecture, fresh=True)

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one input, timed anew."""
        return self._timed(architecture)

    def _excess(self, architecture: Architecture, *, timed: bool = True, fresh: bool = False) -> str | None:
        for name, limit in self.limits.given.items():
            if name == "latency" and not timed:
                continue
            measure = self._timed if fresh and name == "latency" else self.measures[name]
            if (value := measure(architecture)) > limit:
                return f"it {_amount(name, value)}, and the limit is {_plain(name, limit)}"
        return None

    def _smallest(self, name: str) -> Architecture:
        """The architecture that is smallest in one measure, as far as changes of single choices lead.

        Of latency, that of the fewest multiply-adds: single measurements differ too little.
        """
        measure = self.measures["flops" if name == "latency" else name]
        best = complete(self.space, {})
        value, before = measure(best), float("inf")
        while value < before:
            before = value
            for choice in self.space.choices:
                for label in self.space.proposed_labels(choice):
                    other = complete(self.space, {**best, choice.name: label})
                    if self.space.violation(other) is None and measure(other) < value:
                        best, value = other, measure(other)
        return best

    def _nearest(self, smallest: Mapping[str, Architecture]) -> str:
        """The sentence on limits that nothing meets."""
        for name, one in smallest.items():
            limit = self.limits.given[name]
            if (value := self.measures[name](one)) > limit:
                return (
                    f"No network of {self.space.name} is within max_{name} = {_plain(name, limit)}: the nearest "
                    f"{_amount(name, value)}. Raise the limit to that, or give another 'space'."
                )
        name, one = next(iter(smallest.items()))
        told = ", ".join(_amount(each, self.measures[each](one)) for each in self.limits.given)
        return (
            f"No network of {self.space.name} was found within all limits at once: the one of the least {name} {told}. "
            "Raise one of them."
        )


def _amount(name: str, value: float) -> str:
    if name == "latency":
        return f"takes {_plain(name, value)}"
    return f"has {_plain(name, value)} {'multiply-adds' if name == 'flops' else name}"


def _plain(name: str, value: float) -> str:
    return f"{1000 * value:.3g} ms" if name == "latency" else f"{value:,.0f}"
