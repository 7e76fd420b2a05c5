"""Gradients with autograd or torch.func, and the map over tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from lit_metanas.meta.parameters import Parameters, TaskNoise
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.tasks.task import Episode, Split

Tensors = dict[str, Tensor]


class Differentiation(ABC):
    """Takes gradients, of first order (constants for all that follows) or of second order (differentiable).

    Args:
        second_order: whether the gradients can be differentiated again.
    """

    def __init__(self, *, second_order: bool = False) -> None:
        self.second_order = second_order

    @abstractmethod
    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate.

        Args:
            function: named tensors to a scalar loss and a further tensor.
            at: where; may be empty.

        Returns:
            The loss's gradients by name (zeros where it does not depend on a tensor), and the further tensor.
        """


class Autograd(Differentiation):
    """``torch.autograd.grad``: for one task after another; the least memory at first order."""

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        keep = self.second_order
        # Views, lest a head made from class means pass its gradient on to the weights as if it were no parameter.
        leaves = {k: v.view_as(v) if keep and v.requires_grad else v.detach().requires_grad_() for k, v in at.items()}
        with torch.enable_grad():
            loss, further = function(leaves)
        if not leaves or not loss.requires_grad:
            return {name: torch.zeros_like(value) for name, value in leaves.items()}, further
        gradients = torch.autograd.grad(
            loss, tuple(leaves.values()), create_graph=keep, allow_unused=True, materialize_grads=True
        )
        return dict(zip(leaves, gradients, strict=True)), further


class Functional(Differentiation):
    """``torch.func.grad``: the only right one under ``vmap``.

    ``torch.autograd.grad`` around a ``vmap`` gives silently wrong second-order gradients through batch-norm.
    """

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        if not self.second_order:
            at = {name: value.detach() for name, value in at.items()}
        gradients, further = torch.func.grad(function, has_aux=True)(at)
        if not self.second_order:
            gradients = {name: value.detach() for name, value in gradients.items()}
        return gradients, further


TaskMap = Literal["auto", "loop", "vmap"]
"""``loop`` needs the least memory and is the faster one on a CPU, ``vmap`` pays on a GPU; ``auto`` goes by device."""

Metrics = dict[str, Tensor]
TaskFunction = Callable[[Episode, TaskNoise], tuple[Parameters, Metrics]]


def vectorised(task_map: TaskMap, relaxation: Relaxation, device: torch.device) -> bool:
    """Whether tasks are mapped by ``vmap``.

    Raises:
        ValueError: ``vmap`` is asked for with a relaxation that computes one candidate a choice.
    """
    if task_map == "vmap" and relaxation.discrete:
        raise ValueError(
            f"{type(relaxation).__name__} computes another child a task, which task_map 'vmap' cannot: use 'loop'."
        )
    return task_map == "vmap" or (task_map == "auto" and device.type == "cuda" and not relaxation.discrete)


def mean_loop(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """Mean of the gradients over tasks, and the metrics stacked, shape ``(tasks, ...)``; one task after another."""
    total: Parameters | None = None
    rows: list[Metrics] = []
    for episode, noise in zip(episodes, noises, strict=True):
        gradients, metrics = function(episode, noise)
        total = gradients if total is None else total.mapped(torch.add, gradients)
        rows.append(metrics)
    assert total is not None, "no episodes"
    return total.mapped(lambda value: value / len(rows)), {k: torch.stack([row[k] for row in rows]) for k in rows[0]}


def mean_vmap(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """The same under ``vmap``; ``function`` must differentiate with ``torch.func``.

    Raises:
        ValueError: the episodes differ in shape.
    """
    first = episodes[0]
    if any(_shape(episode) != _shape(first) for episode in episodes):
        raise ValueError(
            "Episodes of different ways, shots or image sizes cannot be stacked by task_map 'vmap': use 'loop'."
        )
    data = tuple(
        torch.stack([part(episode) for episode in episodes])
        for part in (
            lambda e: e.support.inputs,
            lambda e: e.support.labels,
            lambda e: e.query.inputs,
            lambda e: e.query.labels,
        )
    )
    noise = TaskNoise(*(_stack([getattr(n, field) for n in noises]) for field in TaskNoise._fields))

    def one(data: tuple[Tensor, ...], noise: TaskNoise) -> tuple[Parameters, Metrics]:
        support, query = Split(data[0], data[1]), Split(data[2], data[3])
        return function(Episode(first.id, first.way, support, None, query, first.classes), noise)

    gradients, metrics = torch.vmap(one)(data, noise)
    return gradients.mapped(lambda value: value.mean(0)), metrics


def _shape(episode: Episode) -> tuple[int, torch.Size, torch.Size]:
    return episode.way, episode.support.inputs.shape, episode.query.inputs.shape


def _stack(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
