"""Differentiation: gradients by autograd or torch.func, update rules that have derivatives, and the map over tasks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Literal

import torch
from torch import Tensor

from lit_metanas.inputs.batches import float32
from lit_metanas.meta.learner import Parameters, TaskNoise, Tensors
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.operations import differentiated_twice
from lit_metanas.tasks.task import Episode, Split


class Differentiation(ABC):
    """Takes gradients, which can themselves be differentiated if ``second_order``, and are constants otherwise.

    Those that are differentiated are computed without autocast.
    """

    def __init__(self, *, second_order: bool = False) -> None:
        self.second_order = second_order

    @abstractmethod
    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Give the gradients of a function's first value by name (zeros if unused), and the function's second value."""


class Autograd(Differentiation):
    """``torch.autograd.grad``, for one task after another: the least memory at first order."""

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        keep = self.second_order
        leaves = {name: _leaf(value, keep) for name, value in at.items()}
        with ExitStack() as modes:
            modes.enter_context(torch.enable_grad())
            modes.enter_context(_precise(keep, leaves))
            if keep:
                modes.enter_context(differentiated_twice())
            loss, further = function(leaves)
        if not leaves or not loss.requires_grad:
            return {name: torch.zeros_like(value) for name, value in leaves.items()}, further
        gradients = torch.autograd.grad(
            loss, tuple(leaves.values()), create_graph=keep, allow_unused=True, materialize_grads=True
        )
        return dict(zip(leaves, gradients, strict=True)), further


def _precise(second_order: bool, at: Tensors) -> AbstractContextManager[object]:
    """No autocast for gradients that are differentiated: of bf16 a second derivative has too few digits."""
    if not (second_order and at):
        return nullcontext()
    return float32(next(iter(at.values())).device)


def _leaf(value: Tensor, keep_graph: bool) -> Tensor:
    """The tensor that a gradient is taken for."""
    if keep_graph and value.requires_grad:
        # A view: a head made from class means would otherwise pass its gradient on to the weights.
        return value.view_as(value)
    return value.detach().requires_grad_()


class Functional(Differentiation):
    """``torch.func.grad``, the only correct way under ``vmap``."""

    def __call__(self, function: Callable[[Tensors], tuple[Tensor, Tensor]], at: Tensors) -> tuple[Tensors, Tensor]:
        """Differentiate."""
        # torch.autograd.grad around a vmap gives silently wrong second-order gradients through batch-norm.
        if not self.second_order:
            at = {name: value.detach() for name, value in at.items()}
        with _precise(self.second_order, at):
            gradients, further = torch.func.grad(function, has_aux=True)(at)
        if not self.second_order:
            gradients = {name: value.detach() for name, value in gradients.items()}
        return gradients, further


class UpdateRule(ABC):
    """A differentiable optimizer without state of its own.

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, rule=lm.meta.SGD(momentum=0.9))
        >>> isinstance(loop.rule, lm.meta.UpdateRule)
        True
    """

    @abstractmethod
    def start(self, values: Tensors) -> Tensors:
        """The state before the first step."""

    @abstractmethod
    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Make a step.

        Args:
            values: tensors by name.
            gradients: their gradients.
            state: from ``start`` or the last step.
            rates: a learning rate for each.
            step: number of the step, from 0.

        Returns:
            New values and new state.
        """


class SGD(UpdateRule):
    """Gradient descent, with momentum as in ``torch.optim.SGD``.

    Args:
        momentum: share of the last step's direction that is kept, in [0, 1).

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, learning_rate=0.1, rule=lm.meta.SGD(momentum=0.9))
    """

    def __init__(self, *, momentum: float = 0.0) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"SGD momentum {momentum} is outside [0, 1): give a share such as 0.9.")
        self.momentum = momentum

    def start(self, values: Tensors) -> Tensors:
        """Velocities of zero, or nothing without momentum."""
        if not self.momentum:
            return {}
        return {name: torch.zeros_like(value) for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the velocity."""
        if self.momentum:
            gradients = state = {name: self.momentum * state[name] + gradients[name] for name in values}
        moved = {name: torch.sub(value, gradients[name], alpha=rates[name]) for name, value in values.items()}
        return moved, state


class Adam(UpdateRule):
    """Adam (Kingma and Ba 2015, Algorithm 1), differentiable.

    Departure from the paper: ``epsilon`` stands under the root, squared, since the root has no derivative at zero.

    Args:
        beta1: decay of the gradient's mean.
        beta2: decay of its mean square.
        epsilon: smallest divisor.

    Example:
        >>> loop = lm.meta.JointInnerLoop(steps=5, learning_rate=1e-3, rule=lm.meta.Adam(beta1=0.5))
    """

    def __init__(self, *, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon

    def start(self, values: Tensors) -> Tensors:
        """Both moments of zero."""
        return {f"{moment}.{name}": torch.zeros_like(value) for moment in "mv" for name, value in values.items()}

    def __call__(
        self, values: Tensors, gradients: Tensors, state: Tensors, rates: Mapping[str, float], step: int
    ) -> tuple[Tensors, Tensors]:
        """Go against the mean over the root mean square."""
        moved: Tensors = {}
        moments: Tensors = {}
        for name, value in values.items():
            mean = self.beta1 * state[f"m.{name}"] + (1 - self.beta1) * gradients[name]
            square = self.beta2 * state[f"v.{name}"] + (1 - self.beta2) * gradients[name].square()
            moments[f"m.{name}"], moments[f"v.{name}"] = mean, square
            size = (square / (1 - self.beta2 ** (step + 1)) + self.epsilon**2).sqrt()
            moved[name] = value - rates[name] * (mean / (1 - self.beta1 ** (step + 1))) / size
        return moved, moments


TaskMap = Literal["auto", "loop", "vmap"]
"""``loop`` needs the least memory and is faster on a CPU, ``vmap`` is faster on a GPU; ``auto`` goes by device."""

Metrics = dict[str, Tensor]
TaskFunction = Callable[[Episode, TaskNoise], tuple[Parameters, Metrics]]


def uses_vmap(task_map: TaskMap, relaxation: Relaxation, device: torch.device) -> bool:
    """Whether tasks are mapped by ``vmap``; ValueError if a discrete relaxation makes that impossible."""
    if task_map == "vmap" and relaxation.discrete:
        raise ValueError(
            f"{type(relaxation).__name__} computes a different child for each task, which task_map 'vmap' cannot: use "
            "'loop'."
        )
    return task_map == "vmap" or (task_map == "auto" and device.type == "cuda" and not relaxation.discrete)


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
        if total is not None:
            gradients = total.map(torch.add, gradients)
        total = gradients
    assert total is not None, "no episodes"
    if len(rows) > 1:
        total = total.map(lambda value: value / len(rows))
    return total, {k: torch.stack([row[k] for row in rows]) for k in rows[0]}


def mean_vmap(
    function: TaskFunction, episodes: Sequence[Episode], noises: Sequence[TaskNoise]
) -> tuple[Parameters, Metrics]:
    """As ``mean_loop``, under ``vmap``; ``function`` must differentiate with ``torch.func``."""
    first = episodes[0]
    if any(_shape(episode) != _shape(first) for episode in episodes):
        raise ValueError(
            "Episodes of different ways, shots or image sizes cannot be stacked by task_map 'vmap': use 'loop'."
        )
    parts = [(e.support.inputs, e.support.labels, e.query.inputs, e.query.labels) for e in episodes]
    data = tuple(torch.stack(each) for each in zip(*parts, strict=True))
    noise = TaskNoise(*(_stack([getattr(one, field) for one in noises]) for field in TaskNoise._fields))

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


def _shape(episode: Episode) -> tuple[int, torch.Size, torch.Size]:
    return episode.way, episode.support.inputs.shape, episode.query.inputs.shape


def _stack(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
