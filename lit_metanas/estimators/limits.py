"""Hard limits of a network, and a search space that refuses what is above them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from math import inf, log

import torch

from lit_metanas.estimators.estimator import Measure, latency
from lit_metanas.io.allocator import torch_threads
from lit_metanas.io.text import option_words, printable
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.spaces.choice_space import complete, first_buildable
from lit_metanas.tasks.task import Task
from lit_metanas.training.encoders.encoded_task import encoder_cost, seen_task, whole_network
from lit_metanas.training.encoders.encoder import Encoder
from lit_metanas.training.ensembles import build_network
from lit_metanas.training.export.exported_program import export_child, program_bytes
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM

DRIVERS = {"latency": "flops", "size": "parameters"}  # measures that take long, each with the measure that drives it

# How much of a measure a network has.
AMOUNTS = {
    "parameters": "has {} parameters",
    "flops": "has {} multiply-adds",
    "latency": "takes {}",
    "size": "is {} as exported",
}

NUMBER_BYTES = 4  # bytes of a number in an exported program
FEWER = 0.7  # the share of its parameters or multiply-adds that the next network has, if one is above a limit


@dataclass(frozen=True)
class NetworkLimits:
    """The most that a network may have; None is no limit."""

    parameters: float | None = None  # trainable ones
    flops: float | None = None  # forward multiply-adds for one input
    latency: float | None = None  # seconds of a forward pass, the median of several
    size: float | None = None  # bytes of the exported program
    threads: int = 1  # torch's in that forward pass

    @property
    def settings(self) -> dict[str, float | None]:
        """All limits by name, without the threads, which are an option of their own."""
        return {name: getattr(self, name) for name in AMOUNTS}

    @property
    def given(self) -> dict[str, float]:
        """The limits that there are, by name."""
        return {name: value for name, value in self.settings.items() if value is not None}

    def check_encoder(self, encoder: Encoder) -> None:
        """Refuse an encoder that alone is above a limit."""
        if encoder.size > LARGEST_PROGRAM:
            raise ValueError(
                f"The encoder '{printable(encoder.name, 60)}' has {encoder.size:,} bytes of weights, and an exported "
                f"program may have {LARGEST_PROGRAM:,}: give a smaller encoder."
            )
        measures = {"parameters": encoder.cost.parameters, "flops": encoder.cost.flops, "size": encoder.size}
        for name, own in measures.items():
            if own > (most := self.given.get(name, inf)):
                raise ValueError(
                    f"The encoder '{printable(encoder.name, 60)}' alone is larger than max_{name}: {own:,} of "
                    f"{most:,.0f}. Raise the limit, give a smaller encoder, or let it teach a small network, by "
                    f"{option_words('student', True)}."
                )


class NoNetworkWithinError(ValueError):
    """No network of a space is within the limits."""

    def __init__(self, space: str, limit: str, within: str, nearest: str) -> None:
        self.limit, self.within, self.nearest = limit, within, nearest
        self.reason = f"No network of {space} is within {within}: the nearest {nearest}."
        super().__init__(f"{self.reason} Raise {limit} to that; in Python you can give another 'space', too.")


class LimitedSpace:
    """A search space within limits, for the inputs and outputs of one task; ``within`` refuses what is above them."""

    def __init__(self, space: SearchSpace, limits: NetworkLimits, task: Task) -> None:
        self.space = space
        self.limits = limits
        self._bytes = cache(partial(exported_bytes, space, task))
        self._seconds = partial(_seconds, space, task, limits.threads)
        own, encoder = cache(partial(space.cost, shape=task.shape, way=task.way)), encoder_cost(task)
        self.measures: Mapping[str, Measure] = {
            "parameters": lambda architecture: (own(architecture) + encoder).parameters,
            "flops": lambda architecture: (own(architecture) + encoder).flops,
            "latency": cache(self._seconds),
            "size": self._bytes,
        }
        self.within = space.limited(self._excess) if limits.given else space

    def network_near(self, incumbent: Mapping[str, str]) -> Architecture:
        """The usual network, by labels of choices or groups; if it is above a limit, a smaller one near it."""
        wanted = self.space.by_choice(incumbent)
        known = {one.name: wanted[one.name] for one in self.space.choices if wanted.get(one.name) in one.labels}
        found = complete(self.space, known)
        if self.space.violation(found) is not None:
            generator = torch.Generator().manual_seed(0)
            found = first_buildable(self.space, lambda: self.space.sample(generator))
        kept: dict[str, float] = {}
        for name, limit in self.limits.given.items():
            found = self._reduced(found, name, limit, kept)
            if (value := self.measures[name](found)) > limit:
                within = " and max_".join([f"max_{name} = {_plain(name, limit)}", *kept])
                raise NoNetworkWithinError(self.space.name, f"max_{name}", within, _amount(name, value))
            kept[name] = limit
        return found

    def check(self, architecture: Architecture) -> str | None:
        """Why an architecture exceeds a limit when it is timed again; None if it does not."""
        return self._excess(architecture, fresh=True)

    def members(self, architecture: Architecture, most: int, linear: Mapping[str, float] | None = None) -> int:
        """How many networks of an architecture are within the limits together, at most ``most``.

        ``linear`` has the limited measures of a linear model that is to be within them, too; the number may then be 0.
        With a limit of latency there is one network at most: a new measurement may take longer, and would give
        another number.
        """
        limits, taken, least = self.limits.given, linear or {}, int(linear is None)
        if "latency" in limits:
            return least
        shares = [(limit - taken.get(name, 0)) / self.measures[name](architecture) for name, limit in limits.items()]
        number = max(least, int(min([most, *shares])))
        # A program of several networks is larger than as many programs.
        while number > 1 and "size" in limits and self._bytes(architecture, number) > limits["size"]:
            number -= 1
        return number

    def _excess(self, architecture: Architecture, *, fresh: bool = False) -> str | None:
        measures = dict(self.measures)
        if fresh:
            measures["latency"] = self._seconds
        for name, limit in self.limits.given.items():
            if name == "size" and (least := NUMBER_BYTES * measures["parameters"](architecture)) > limit:
                return f"its weights alone are {_plain(name, least)}, and the limit is {_plain(name, limit)}"
            if (value := measures[name](architecture)) > limit:
                return f"it {_amount(name, value)}, and the limit is {_plain(name, limit)}"
        return None

    def _reduced(self, one: Architecture, name: str, limit: float, kept: Mapping[str, float]) -> Architecture:
        """An architecture within a limit, or the nearest; one that takes long to measure is reduced by its driver."""
        driver = DRIVERS.get(name, name)
        measure = self.measures[driver]
        while self.measures[name](one) > limit:
            enough = limit if driver == name else FEWER * measure(one)
            other = self._smaller(one, driver, enough, kept)
            if measure(other) >= measure(one):
                break
            one = other
        return one

    def _smaller(self, one: Architecture, name: str, limit: float, kept: Mapping[str, float]) -> Architecture:
        """An architecture within a limit, by changes of single choices that break no limit of ``kept``."""
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

    def _neighbours(self, one: Architecture) -> Iterator[Architecture]:
        """All architectures that differ in one choice, and can be built."""
        for choice in self.space.choices:
            for label in self.space.proposed_labels(choice):
                if one.get(choice.name, label) != label:
                    other = complete(self.space, {**one, choice.name: label})
                    if self.space.violation(other) is None:
                        yield other


def _seconds(space: SearchSpace, task: Task, threads: int, architecture: Architecture) -> float:
    """The latency of a network, with the encoder in front if there is one; measured anew in each call."""
    # Weights do not matter here, and to draw them must not change the draws of the search.
    with torch.random.fork_rng(devices=[]), torch_threads(threads):
        network = whole_network(task, space.child(architecture, task.shape, task.way))
        return latency(network.to(task.train.inputs.device), seen_task(task).shape)


def exported_bytes(space: SearchSpace, task: Task, architecture: Architecture, networks: int = 1) -> float:
    """Bytes of the exported program of a network, or of an ensemble; it is made for that, which takes a second."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(space, architecture, task.shape, task.way, ensemble=networks)
    seen = seen_task(task)
    export = partial(
        export_child,
        whole_network(task, network),
        architecture=architecture.to_json(),
        classes=task.goal.names(task.classes),
        shape=seen.shape,
        preprocessing=seen.preprocessing,
        objective=task.goal,
    )
    return float(program_bytes(export))


def _plain(name: str, value: float) -> str:
    if name == "latency":
        return f"{1000 * value:.3g} ms"
    return f"{value:,.0f}{' bytes' * (name == 'size')}"


def _amount(name: str, value: float) -> str:
    return AMOUNTS[name].format(_plain(name, value))
