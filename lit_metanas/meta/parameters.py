"""The tree of meta-parameters, and the noise of one task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.supernet import Supernet
from lit_metanas.tasks.task import Episode

Group = Literal["weights", "logits", "head", "rates"]
"""A part of the tree."""


class Parameters(NamedTuple):
    """Weights, logits and head of a learner: a pytree for ``torch.func``.

    Attributes:
        weights: the supernet's parameters by name.
        logits: architecture logits by choice, each of shape ``(labels,)``.
        head: the head's parameters; empty for a head that is made anew from each support set.
        rates: learned inner learning rates (scalars) as ``InnerLoop.initial_rates`` names them; empty where the inner
            loop's own constants are used.
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    head: dict[str, Tensor]
    rates: dict[str, Tensor] = {}  # noqa: RUF012 (never changed in place)

    def flat(self, groups: Collection[Group] = ("weights", "logits", "head", "rates")) -> dict[str, Tensor]:
        """The tensors of some groups under the names ``group.name``."""
        trees = {"weights": self.weights, "logits": self.logits, "head": self.head, "rates": self.rates}
        return {f"{group}.{name}": value for group in groups for name, value in trees[group].items()}

    def updated(self, flat: dict[str, Tensor]) -> Parameters:
        """The tree with the tensors of ``flat`` (names as from ``flat()``) in place of its own."""
        return Parameters(
            {name: flat.get(f"weights.{name}", value) for name, value in self.weights.items()},
            {name: flat.get(f"logits.{name}", value) for name, value in self.logits.items()},
            {name: flat.get(f"head.{name}", value) for name, value in self.head.items()},
            {name: flat.get(f"rates.{name}", value) for name, value in self.rates.items()},
        )

    def mapped(self, function: Callable[..., Tensor], *others: Parameters) -> Parameters:
        """Apply ``function`` to each tensor and its namesakes in trees of the same structure."""
        flats = [other.flat() for other in others]
        return self.updated({key: function(value, *(f[key] for f in flats)) for key, value in self.flat().items()})


class TaskNoise(NamedTuple):
    """Uniform numbers for one task: a pytree of tensors, which ``vmap`` maps over.

    Attributes:
        relaxation: by choice, shape ``(steps + draws, labels)``: one row an inner step, then those of the query.
        support: dropout of the support set, each of shape ``(steps + 1, examples, ...)``; empty switches it off.
        query: dropout of the query set, each of shape ``(examples, ...)``; empty switches it off.
    """

    relaxation: dict[str, Tensor]
    support: dict[str, Tensor]
    query: dict[str, Tensor]


def task_generator(seed: int, step: int, task: int) -> torch.Generator:
    """A generator that is a function of (seed, step, task)."""
    digest = blake2b(f"{seed} {step} {task}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)


def draw(
    supernet: Supernet,
    relaxation: Relaxation,
    logits: dict[str, Tensor],
    episode: Episode,
    generator: torch.Generator,
    *,
    steps: int,
    draws: int = 1,
    support_dropout: bool = True,
    query_dropout: bool = True,
) -> TaskNoise:
    """Draw the noise of one task.

    Args:
        supernet: says what dropout takes.
        relaxation: says what the relaxation takes.
        logits: for each choice, shape ``(labels,)``.
        episode: gives the numbers of examples, and the device.
        generator: the source of randomness.
        steps: inner steps.
        draws: mixtures that the query set is judged under.
        support_dropout: whether dropout is on while adapting.
        query_dropout: whether dropout is on for the query set.
    """
    device = episode.support.inputs.device
    rows = [relaxation.draw_noise(logits, generator) for _ in range(steps + draws)]
    support = [supernet.draw_noise(len(episode.support), generator) for _ in range(steps + 1)]
    query = supernet.draw_noise(len(episode.query), generator)
    return TaskNoise(
        {name: torch.stack([row[name] for row in rows]).to(device) for name in rows[0]},
        {name: torch.stack([s[name] for s in support]).to(device) for name in support[0]} if support_dropout else {},
        {name: value.to(device) for name, value in query.items()} if query_dropout else {},
    )


def row(noise: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """The noise of one step."""
    return {name: value[step] for name, value in noise.items()}
