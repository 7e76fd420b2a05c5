"""The inner training of a meta-training over tasks: a sampled child, a few steps on one task, and its score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import channels_last, inputs_like
from lit_metanas.records.budget import Cost
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.choice_space import first_buildable
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import batch_norms, judge, training_cost, training_loss
from lit_metanas.training.trainers import apart_from_caller


@dataclass(frozen=True)
class AdaptedChild:
    """A child after its inner steps on a task: the mean of their losses, a scalar, and their cost."""

    # `change` is that of the weights that the child began with, by their names. Each is the leading part of the given
    # one, since a child may be narrower.
    network: nn.Module
    change: dict[str, Tensor]
    loss: Tensor
    cost: Cost

    @property
    def finite(self) -> bool:
        """Whether the loss and all changes are finite."""
        return all(bool(value.isfinite().all()) for value in (self.loss, *self.change.values()))


@dataclass(frozen=True)
class InnerTraining:
    """Steps of Adam on a task's train part, each on a new batch of at least 2 examples; a smaller part is one batch."""

    space: SearchSpace
    steps: int
    rate: float
    batch_size: int

    def sample(self, generator: torch.Generator) -> Architecture:
        """Draw an architecture that can be built."""
        return first_buildable(self.space, lambda: self.space.sample(generator))

    def adapt(
        self, weights: Mapping[str, Tensor], task: Task, architecture: Architecture, generator: torch.Generator
    ) -> AdaptedChild:
        """Train a child, which begins with the given weights by name; these stay as they are."""
        # The generator draws the batches, and the seed of dropout and of weights that are not inherited.
        space, goal, like = self.space, task.goal, next(iter(weights.values()))
        space.check_objective(goal)
        inputs, labels = channels_last(inputs_like(task.train.inputs, like)), task.train.labels
        size = min(self.batch_size, len(labels))
        with apart_from_caller(like.device):
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
                f"{space.name} does not name the weights that a child has learned, so none can be meta-trained: define "
                "supernet_weights."
            )
        change = {name: after[name] - before[name] for name in begun}
        cost = training_cost(space, architecture, task.shape, task.way, images=self.steps * size)
        return AdaptedChild(network, change, torch.stack(losses).mean(), cost)

    def score(self, network: nn.Module, task: Task) -> float:
        """The metric of an adapted child on a task's val part, or on its test part if it has none."""
        # Batch-norm takes means and variances over the train part, without dropout (precise batch-norm, Wu and Johnson
        # 2021). The examples are ordered by class, so each batch has some from everywhere.
        like = next(network.parameters())
        part = task.test
        if task.val is not None and len(task.val):
            part = task.val
        learned, judged = (channels_last(inputs_like(each.inputs, like)) for each in (task.train, part))
        network.eval()
        norms = batch_norms(network)
        for layer in norms:
            layer.train()
            layer.reset_running_stats()
            layer.momentum = None  # the mean over all batches
        if norms:
            batches = max(1, len(learned) // self.batch_size)
            with torch.no_grad():
                for first in range(batches):
                    network(learned[first::batches])
        return judge(network.eval(), Split(judged, part.labels), task.goal).value


def _is_leading(value: Tensor, whole: Tensor) -> bool:
    """Whether a tensor is the leading part of another."""
    return value.dim() == whole.dim() and torch.equal(value, whole[tuple(map(slice, value.shape))])
