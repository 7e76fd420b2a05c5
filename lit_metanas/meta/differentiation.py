"""Differentiation: gradients by autograd or torch.func, and the map over tasks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lit_metanas.inputs.batches import float32
from lit_metanas.meta.learner import Parameters, TaskNoise, Tensors, stack_rows
from lit_metanas.spaces.operations import differentiated_twice
from lit_metanas.tasks.task import Episode, Split

TensorFunction = Callable[[Tensors], tuple[Tensor, Tensor]]  # gives a scalar to be differentiated, and another value


@dataclass(frozen=True)
class Differentiation:
    """Takes gradients, which can themselves be differentiated if ``second_order``, and are constants otherwise.

    Those that are differentiated are computed without autocast: of bf16 a second derivative has too few digits.
    """

    functional: bool = False  # by torch.func, under `vmap`, and not by autograd, for one task after another
    second_order: bool = False

    def __call__(self, function: TensorFunction, at: Tensors) -> tuple[Tensors, Tensor]:
        """Give the gradients of a function's first value by name (zeros if unused), and the function's second value."""
        differentiate = self._by_torch_func if self.functional else self._by_autograd
        if not self.second_order or not at:
            return differentiate(function, at)
        with float32(next(iter(at.values())).device):
            return differentiate(function, at)

    def _by_torch_func(self, function: TensorFunction, at: Tensors) -> tuple[Tensors, Tensor]:
        # torch.autograd.grad around a vmap gives silently wrong second-order gradients through batch-norm.
        if self.second_order:
            return torch.func.grad(function, has_aux=True)(at)
        found, further = torch.func.grad(function, has_aux=True)({key: value.detach() for key, value in at.items()})
        return {name: value.detach() for name, value in found.items()}, further

    def _by_autograd(self, function: TensorFunction, at: Tensors) -> tuple[Tensors, Tensor]:
        # The least memory at first order.
        keep = self.second_order
        leaves = {name: _leaf(value, keep) for name, value in at.items()}
        with torch.enable_grad(), differentiated_twice() if keep else nullcontext():
            loss, further = function(leaves)
        return named_gradients(loss, leaves, create_graph=keep), further


def named_gradients(loss: Tensor, at: Tensors, *, create_graph: bool = False) -> Tensors:
    """The gradients of a scalar by name, by autograd; zeros where it does not depend on a tensor."""
    if not at or not loss.requires_grad:
        return {name: torch.zeros_like(value) for name, value in at.items()}
    found = torch.autograd.grad(
        loss, tuple(at.values()), create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return dict(zip(at, found, strict=True))


def _leaf(value: Tensor, keep_graph: bool) -> Tensor:
    if keep_graph and value.requires_grad:
        # A view: a head made from class means would otherwise pass its gradient on to the weights.
        return value.view_as(value)
    return value.detach().requires_grad_()


TaskMap = Literal["auto", "loop", "vmap"]
"""``loop`` needs the least memory and is faster on a CPU, ``vmap`` is faster on a GPU; ``auto`` goes by device."""

Metrics = dict[str, Tensor]
TaskFunction = Callable[[Episode, TaskNoise], tuple[Parameters, Metrics]]


def mean_loop(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """Mean of the gradients over tasks in turn, and their stacked metrics; a task that is not ``finite`` adds zeros."""
    total: Parameters | None = None
    rows: list[Metrics] = []
    for episode, noise in zip(episodes, noises, strict=True):
        gradients, metrics = function(episode, noise)
        rows.append({**metrics, "finite": _finite(gradients, metrics["losses"])})
        if not rows[-1]["finite"]:
            gradients = gradients.map(torch.zeros_like)
        total = gradients if total is None else total.map(torch.add, gradients)
    assert total is not None, "no episodes"
    if len(rows) > 1:
        total = total.map(lambda value: value / len(rows))
    return total, {k: torch.stack([row[k] for row in rows]) for k in rows[0]}


def mean_vmap(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """As ``mean_loop``, under ``vmap``; ``function`` must differentiate with ``torch.func``."""
    first = episodes[0]
    if len({(each.way, each.support.inputs.shape, each.query.inputs.shape) for each in episodes}) > 1:
        raise ValueError(
            "Episodes of different ways, shots or image sizes cannot be stacked by task_map 'vmap': use 'loop'."
        )
    parts = [(e.support.inputs, e.support.labels, e.query.inputs, e.query.labels) for e in episodes]
    data = tuple(torch.stack(each) for each in zip(*parts, strict=True))
    noise = TaskNoise(*(stack_rows(list(rows), data[0].device) for rows in zip(*noises, strict=True)))

    def one(data: tuple[Tensor, ...], noise: TaskNoise) -> tuple[Parameters, Metrics]:
        support, query = Split(data[0], data[1]), Split(data[2], data[3])
        gradients, metrics = function(Episode(first.id, first.way, support, None, query, first.classes), noise)
        return gradients, {**metrics, "finite": _finite(gradients, metrics["losses"])}

    gradients, metrics = torch.vmap(one)(data, noise)
    finite = metrics["finite"] > 0
    if not bool(finite.all()):
        gradients = gradients.map(lambda value: torch.where(finite.view(-1, *[1] * (value.dim() - 1)), value, 0.0))
    return gradients.map(lambda value: value.mean(0)), metrics


def _finite(gradients: Parameters, loss: Tensor) -> Tensor:
    """1 if a task's loss and gradient are finite, else 0, as a scalar of the loss's type."""
    values = torch.cat([value.reshape(-1) for value in (*gradients.flat().values(), loss)])
    return (values.abs().amax() < math.inf).to(loss.dtype)  # amax gives NaN if there is one, and NaN < inf is false
