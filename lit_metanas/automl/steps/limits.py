"""What a person wants: hard limits of a network, beyond which a space refuses one, and wishes for the search."""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import inf, log
from numbers import Integral, Real
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import torch

from lit_metanas.estimators.estimator import Measure, latency_measure, network_measures
from lit_metanas.io.text import at_once, plain_number, printable, short_value
from lit_metanas.records.record_lines import SHIPPED
from lit_metanas.searchers.mutation import complete, draw_new
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import build_network
from lit_metanas.training.export.exported_program import PROGRAM, export_child
from lit_metanas.training.trainers import check_threads

DRIVERS = {"latency": "flops", "size": "parameters"}
"""What takes long to measure, and what drives it."""

LIMITS = ("parameters", "flops", "latency", "size")
"""What a network may have a limit of."""

MOST_AT_ONCE = 1_000_000
"""Inputs of a latency at most."""

NUMBER_BYTES = 4
"""Of a number in an exported program."""

FEWER = 0.7
"""Of the parameters or multiply-adds of a network that is above a limit, those of the next one to try, about."""

MINUTES = 10.0
"""Where neither these nor FLOPs are given."""

MOST_MINUTES, MOST_FLOPS = 1e6, 1e24
"""What is more is a slip of the pen: two years, and about what the largest networks of all were trained with."""

_DURATION = re.compile(r"\s*([0-9.eE+-]+)\s*(s|ms|us|µs|)\s*")
_SIZE = re.compile(r"\s*([0-9.eE+-]+)\s*([kKmMgG]?[bB]|)\s*")
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9}
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


def milliseconds(seconds: float) -> str:
    """A duration as a text that ``seconds_of`` reads as the same one, such as ``5ms``."""
    text = f"{plain_number(1000 * seconds)}ms"
    return text if seconds_of(text) == seconds else plain_number(seconds)


def bytes_of(size: float | str) -> float:
    """A size in bytes, given as such or as a text with its unit, such as ``500kB`` or ``2MB``.

    Raises:
        ValueError: it is neither.
    """
    found = _SIZE.fullmatch(str(size))
    try:
        number = float(found[1]) * _BYTES[found[2].lower()] if found else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number < inf:
        raise ValueError(f"'{printable(str(size), 40)}' is no size: give bytes, or a number with kB or MB, as 500kB.")
    return number


def _number(name: str, value: object, most: float = inf) -> float:
    """A number above 0, also one of numpy's.

    Raises:
        ValueError: it is none, or above the most; the message begins with the name.
    """
    try:
        number = float(value) if isinstance(value, Real) else 0.0
    except OverflowError:
        number = inf
    if not 0 < number < inf:
        raise ValueError(f"{name} = {_shown(value)} must be a number above 0.")
    if number > most:
        raise ValueError(f"{name} = {_shown(value)} must be at most {most:g}.")
    return number


def _shown(value: object) -> str:
    """A value for a sentence; a text, which may look like a number, in quotes."""
    return f"'{printable(value, 40)}'" if isinstance(value, str) else short_value(value)


@dataclass(frozen=True)
class NetworkLimits:
    """What a network may have at most; None is no limit.

    Attributes:
        parameters: trainable parameters.
        flops: forward multiply-adds for one input.
        latency: seconds of a forward pass, the median of several, with torch's threads as they are.
        size: bytes of the exported program, ``model.pt2``, weights included.
        latency_batch: inputs of that forward pass; no limit, but what that of the latency is for.

    Raises:
        ValueError: one is not above zero, or the batch is no whole number from 1 to ``MOST_AT_ONCE``.
    """

    parameters: float | None = None
    flops: float | None = None
    latency: float | None = None
    size: float | None = None
    latency_batch: int = 1

    def __post_init__(self) -> None:
        whole: object = self.latency_batch  # one of numpy's, too
        if isinstance(whole, bool) or not isinstance(whole, Integral) or not 1 <= int(whole) <= MOST_AT_ONCE:
            raise ValueError(f"latency_batch = {_shown(whole)} must be a whole number from 1 to {MOST_AT_ONCE:,}.")
        for name, limit in self.given.items():
            _number(f"max_{name}", limit)

    @classmethod
    def told(
        cls,
        parameters: float | None,
        flops: float | None,
        latency: float | str | None,
        size: float | str | None = None,
        latency_batch: int = 1,
    ) -> Self:
        """The limits as they are given by name; a latency and a size may be texts, see ``seconds_of``, ``bytes_of``."""
        return cls(
            parameters=None if parameters is None else _number("max_parameters", parameters),
            flops=None if flops is None else _number("max_flops", flops),
            latency=None if latency is None else seconds_of(latency),
            size=None if size is None else bytes_of(size),
            latency_batch=latency_batch,
        )

    @property
    def given(self) -> dict[str, float]:
        """Those that there are, by their name."""
        return {name: limit for name in LIMITS if (limit := getattr(self, name)) is not None}

    @property
    def settings(self) -> dict[str, float | None]:
        """What tells these limits from others; without the batch of one input, which a latency is usually for."""
        batch = {} if self.latency_batch == 1 else {"latency_batch": int(self.latency_batch)}
        return {**{name: getattr(self, name) for name in LIMITS}, **batch}

    def measure(self, name: str) -> str:
        """The name of a measure in records, where latencies of other batches are other measures."""
        return latency_measure(self.latency_batch) if name == "latency" else name


class Wishes:
    """What is wanted of a search besides limits; without minutes and FLOPs it may take ``MINUTES``.

    Args:
        minutes: how long all may take.
        flops: training FLOPs of the search and of the training after it, or of both together.
        seed: of search and training.
        threads: torch's threads.
        progress: whether it is told on stderr what goes on.
        records: files of searches of other tasks.

    Attributes:
        flops: as a tuple of two numbers, of one, or of none.
        records: as a tuple of texts.

    Raises:
        ValueError: one is out of its range, or there are both minutes and FLOPs.
    """

    def __init__(
        self,
        minutes: float | None,
        flops: float | tuple[float, float] | None,
        *,
        seed: int,
        threads: int | None,
        progress: bool,
        records: Sequence[str] = (SHIPPED,),
    ) -> None:
        if minutes is not None and flops is not None:
            raise ValueError("auto: give minutes or flops, not both.")
        given = () if flops is None else flops if isinstance(flops, tuple | list) else (flops,)
        if len(given) > 2:
            raise ValueError("auto: flops are one number, or two: of the search, and of the training after it.")
        self.flops = tuple(_number("auto: flops", number, MOST_FLOPS) for number in given)
        wanted = MINUTES if minutes is None and flops is None else minutes
        self.minutes = None if wanted is None else _number("auto: minutes", wanted, MOST_MINUTES)
        whole: object = seed  # one of numpy's, too
        if not isinstance(whole, Integral) or not 0 <= int(whole) < 2**63:
            raise ValueError(f"auto: seed = {_shown(seed)} must be a whole number from 0, below 2**63.")
        check_threads("auto", threads)
        self.seed = int(seed)
        self.threads = threads
        self.progress = progress
        several = (records,) if isinstance(records, str | os.PathLike) else records
        self.records = tuple(os.fspath(one) for one in several)

    def say(self, text: str) -> None:
        """Tell what goes on."""
        if self.progress:
            print(f"auto: {printable(text)}", file=sys.stderr, flush=True)


class NoNetworkWithinError(ValueError):
    """No network of a space is within the limits.

    Args:
        space: the name of the space.
        limit: the argument that sets the limit.
        within: the limits, for sentences.
        nearest: what the nearest network has, for sentences.
    """

    def __init__(self, space: str, limit: str, within: str, nearest: str) -> None:
        self.space = space
        self.limit = limit
        self.within = within
        self.nearest = nearest
        super().__init__(f"{self.reason} Raise {limit} to that; in Python you can give another 'space', too.")

    @property
    def reason(self) -> str:
        """The sentence without what to do."""
        return f"No network of {self.space} is within {self.within}: the nearest {self.nearest}."


def linear_within(error: NoNetworkWithinError, linear: LimitedSpace) -> None:
    """Look whether a linear model is within limits that no network is within.

    Raises:
        ValueError: none is; the sentence tells the nearest of both.
    """
    try:
        linear.begin({})
    except NoNetworkWithinError as other:
        raise ValueError(
            f"{error.reason} Nor is a linear model within {other.within}: the nearest {other.nearest}. Raise "
            f"{other.limit} at least to that of the linear model."
        ) from None


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
        device, batch = task.train.inputs.device, limits.latency_batch
        self._timed = network_measures(space, task.shape, task.way, device, batch=batch)["latency"]
        self._bytes = cache(partial(exported_bytes, space, task))
        cost = cache(partial(space.cost, shape=task.shape, way=task.way))
        self.measures: Mapping[str, Measure] = {
            "parameters": lambda architecture: cost(architecture).parameters,
            "flops": lambda architecture: cost(architecture).flops,
            "latency": (latency := cache(self._timed)),
            "size": self._bytes,
            limits.measure("latency"): latency,
        }
        self.within = space.limited(self._excess) if limits.given else space

    def begin(self, incumbent: Mapping[str, str]) -> Architecture:
        """The usual network; where it is above a limit, one below it that comes of changes of single choices.

        Args:
            incumbent: labels of the usual one, by choice or by group; those that the space lacks do not matter.

        Raises:
            NoNetworkWithinError: no network was found within the limits; the sentence tells the nearest.
        """
        wanted = self.space.by_choice(incumbent)
        known = {one.name: wanted[one.name] for one in self.space.choices if wanted.get(one.name) in one.labels}
        found = complete(self.space, known)
        if self.space.violation(found) is not None:
            generator = torch.Generator().manual_seed(0)
            found = draw_new(lambda: self.space.sample(generator), 1, refusal=self.space.violation)[0]
        kept: dict[str, float] = {}
        for name, limit in self.limits.given.items():
            by = DRIVERS.get(name)
            found = self._smaller(found, name, limit, kept) if by is None else self._by(found, name, by, limit, kept)
            if (value := self.measures[name](found)) > limit:
                beside = f" and {' and '.join(f'max_{other}' for other in kept)}" if kept else ""
                within = f"max_{name} = {_plain(name, limit)}{beside}"
                raise NoNetworkWithinError(self.space.name, f"max_{name}", within, self._amount(name, value))
            kept[name] = limit
        return found

    def check(self, architecture: Architecture) -> str | None:
        """Why an architecture is above a limit, timed anew; None where it is not."""
        return self._excess(architecture, fresh=True)

    def members(self, architecture: Architecture, most: int, linear: Mapping[str, float] | None = None) -> int:
        """How many networks of an architecture are within the limits together, at most ``most``.

        With a limit of latency there is no more than one network: a time that is measured anew may be longer, and would
        give another number.

        Args:
            architecture: one that is within the limits by itself.
            most: the most that are wanted.
            linear: of each measure that has a limit what a linear model has that is to be within them, too; 0 may then
                be the number. None is no such model.
        """
        limits, taken, least = self.limits.given, linear or {}, int(linear is None)
        if "latency" in limits:
            return least
        shares = [(limit - taken.get(name, 0)) / self.measures[name](architecture) for name, limit in limits.items()]
        number = max(least, int(min([most, *shares])))
        # A program of several is larger than as many of one.
        while number > 1 and "size" in limits and self._bytes(architecture, number) > limits["size"]:
            number -= 1
        return number

    def measured(self, architecture: Architecture) -> dict[str, float]:
        """What a network has of each measure that has a limit."""
        return {name: self.measures[name](architecture) for name in self.limits.given}

    def _excess(self, architecture: Architecture, *, fresh: bool = False) -> str | None:
        for name, limit in self.limits.given.items():
            if name == "size" and (least := NUMBER_BYTES * self.measures["parameters"](architecture)) > limit:
                return f"its weights alone are {_plain(name, least)}, and the limit is {_plain(name, limit)}"
            measure = self._timed if fresh and name == "latency" else self.measures[name]
            if (value := measure(architecture)) > limit:
                return f"it {self._amount(name, value)}, and the limit is {_plain(name, limit)}"
        return None

    def _amount(self, name: str, value: float) -> str:
        if name == "latency":
            batch = self.limits.latency_batch
            return f"takes {_plain(name, value)}{f' for {at_once(batch)}' if batch > 1 else ''}"
        if name == "size":
            return f"is {_plain(name, value)} as exported"
        return f"has {_plain(name, value)} {'multiply-adds' if name == 'flops' else name}"

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

    def _by(self, one: Architecture, name: str, by: str, limit: float, kept: Mapping[str, float]) -> Architecture:
        """An architecture within a limit of what takes long to measure: of less and less of what drives that.

        Args:
            one: where the changes begin.
            name: of the measure.
            by: the measure that drives it.
            limit: of the first measure.
            kept: limits of other measures that no change may break.
        """
        while self.measures[name](one) > limit:
            before = self.measures[by](one)
            other = self._smaller(one, by, FEWER * before, kept)
            if self.measures[by](other) >= before:
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


def exported_bytes(space: SearchSpace, task: Task, architecture: Architecture, networks: int = 1) -> float:
    """Bytes of the program that a network of a task, or an ensemble of so many, is exported as.

    It is made for that, which takes about a second.
    """
    with torch.random.fork_rng(devices=[]):
        network = build_network(space, architecture, task.shape, task.way, ensemble=networks)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the export itself warns
        export_child(
            network,
            folder,
            architecture=architecture.to_json(),
            classes=task.goal.names(task.classes),
            shape=task.shape,
            preprocessing=task.preprocessing,
            objective=task.goal,
        )
        return float((Path(folder) / PROGRAM).stat().st_size)


def _plain(name: str, value: float) -> str:
    if name == "latency":
        return f"{1000 * value:.3g} ms"
    return f"{value:,.0f} bytes" if name == "size" else f"{value:,.0f}"
