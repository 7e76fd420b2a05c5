"""All that is random in one adapted task, drawn before anything is computed."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor

from lit_metanas.episodes.task import Episode
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.space import Supernet


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
