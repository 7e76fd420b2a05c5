"""The inner training of a meta-training over tasks: a sampled child, a few steps on one task, and its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import channels_last, inputs_like
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import batch_norms, judge, training_cost, training_loss
from lit_metanas.training.trainers import uncached_autocast

FRUITLESS_SAMPLES = 1000
"""Architectures in a row that cannot be built, after which a space counts as empty."""


@dataclass(frozen=True)
class AdaptedChild:
    """A child after its inner steps on a task.

    Attributes:
        network: the child.
        change: of those of its weights that it began with, by their names; each the leading part of the given one.
        loss: mean over the inner steps, a scalar.
        cost: of the inner steps.
    """

    network: nn.Module
    change: dict[str, Tensor]
    loss: Tensor
    cost: Cost

    @property
    def finite(self) -> bool:
        """Whether loss and weights are."""
        return all(bool(value.isfinite().all()) for value in (self.loss, *self.change.values()))


@dataclass(frozen=True)
class InnerTraining:
    """Steps of Adam on a task's train part, each on a batch drawn anew.

    Attributes:
        space: the search space.
        steps: their number.
        rate: their learning rate.
        batch_size: examples a step, at least 2; all of a smaller train part.
    """

    space: SearchSpace
    steps: int
    rate: float
    batch_size: int

    def sample(self, generator: torch.Generator) -> Architecture:
        """An architecture that can be built, drawn uniformly.

        Raises:
            ValueError: none was found.
        """
        for _ in range(FRUITLESS_SAMPLES):
            architecture = self.space.sample(generator)
            if self.space.violation(architecture) is None:
                return architecture
        raise ValueError(f"No architecture drawn from {self.space.name} can be built: widen the space.")

    def adapt(
        self, weights: Mapping[str, Tensor], task: Task, architecture: Architecture, generator: torch.Generator
    ) -> AdaptedChild:
        """Train a child on a task.

        Args:
            weights: what it begins with, by the names that children inherit; they stay as they are.
            task: the task.
            architecture: of the child.
            generator: draws the batches, and the seed of dropout and of what is not inherited.

        Raises:
            ValueError: the space is not for such tasks, or its children do not tell their weights.
        """
        space, goal, like = self.space, task.goal, next(iter(weights.values()))
        space.check_objective(goal)
        inputs, labels = channels_last(inputs_like(task.train.inputs, like)), task.train.labels
        size = min(self.batch_size, len(labels))
        with torch.random.fork_rng(devices=[like.device] if like.is_cuda else []), uncached_autocast():
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            network = space.child(architecture, task.shape, task.way, weights).to(like).train()
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            before = space.supernet_weights(network)
            optimizer = torch.optim.Adam(network.parameters(), lr=self.rate)
            losses = []
            for _ in range(self.steps):
                chosen = torch.randperm(len(labels), generator=generator)[:size].to(labels.device)
                loss = training_loss(space, network, goal, inputs[chosen], labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        after = space.supernet_weights(network)
        # A classifier of another number of outputs is not inherited.
        begun = [name for name, value in before.items() if name in weights and _is_leading(value, weights[name])]
        if not begun:
            raise ValueError(
                f"{space.name} does not tell which weights a child has learned, so none can be meta-trained: define "
                "supernet_weights."
            )
        cost = training_cost(space, architecture, task.shape, task.way, images=self.steps * size)
        return AdaptedChild(
            network, {name: after[name] - before[name] for name in begun}, torch.stack(losses).mean(), cost
        )

    def score(self, network: nn.Module, task: Task) -> float:
        """The metric of an adapted child on a task's val part, or its test part where it has none.

        Batch-norm takes means and variances over the train part (precise batch-norm, Wu and Johnson 2021), without
        dropout. As examples are ordered by class, each batch has some from everywhere.
        """
        like = next(network.parameters())
        part = task.val if task.val is not None and len(task.val) else task.test
        learned, judged = (channels_last(inputs_like(each.inputs, like)) for each in (task.train, part))
        network.eval()
        norms = batch_norms(network)
        for layer in norms:
            layer.train()
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
        with torch.no_grad():
            batches = max(1, len(learned) // self.batch_size)
            for first in range(batches) if norms else ():
                network(learned[first::batches])
        return judge(network.eval(), Split(judged, part.labels), task.goal)[1].value


def _is_leading(value: Tensor, whole: Tensor) -> bool:
    """Whether a tensor is the leading part of another."""
    if value.dim() != whole.dim() or any(few > many for few, many in zip(value.shape, whole.shape, strict=True)):
        return False
    return torch.equal(value, whole[tuple(slice(size) for size in value.shape)])
