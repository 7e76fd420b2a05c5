"""Batch-norm statistics of an architecture within a supernet."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.func import functional_call

from lit_metanas.meta.parameters import Parameters
from lit_metanas.relaxations import Derived
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Mixture, Shape, Supernet
from lit_metanas.tasks.task import Episode
from lit_metanas.training.collectives import interleaved


@torch.no_grad()
def embed_and_record(
    supernet: Supernet, weights: Mapping[str, Tensor], mixture: Mixture, inputs: Tensor, batch_size: int = 500
) -> tuple[Tensor, dict[str, Tensor]]:
    """Embed inputs in batches, each normalised by itself, and pool their means and variances.

    Args:
        supernet: the network that ``weights`` belong to.
        weights: its parameters.
        mixture: which candidates are computed.
        inputs: shape ``(n, channels, height, width)``.
        batch_size: inputs embedded at once.

    Returns:
        Features of shape ``(n, features)``, and the statistics ``<layer>.mean`` and ``<layer>.var``.
    """
    parts = -(-len(inputs) // batch_size)
    features = torch.empty(0)
    sums: dict[str, Tensor] = {}
    for part in range(parts):
        record: dict[str, Tensor] = {}
        # Every so-manieth input: examples ordered by class would give batches of few classes.
        batch = inputs[part::parts]
        embedded = functional_call(supernet, dict(weights), (batch, mixture), {"record": record}, tie_weights=False)
        if not part:
            features = embedded.new_empty(len(inputs), embedded.shape[1])
        features[part::parts] = embedded
        share = len(batch) / len(inputs)
        for name, value in record.items():
            if name.endswith(".var"):  # to second moments, which can be pooled
                value = value + record[f"{name.removesuffix('.var')}.mean"] ** 2
            sums[name] = sums.get(name, torch.zeros_like(value)) + share * value
    for name in sums:
        if name.endswith(".var"):
            sums[name] = (sums[name] - sums[f"{name.removesuffix('.var')}.mean"] ** 2).clamp_min(0)
    return features, sums


class RunningStatistics:
    """Means and variances over the images of the last training tasks of all processes, under today's weights.

    Precise batch-norm (Wu and Johnson 2021): it costs nothing in training, unlike moving averages, which every
    architecture would need its own of.

    Args:
        supernet: the network.
        shape: channels, height and width of an input.
        space: derives the architecture.
        tasks: how many tasks are kept, over all processes.

    Attributes:
        values: ``<layer>.mean`` and ``<layer>.var``; empty before training and without batch-norm.
        step: the outer step that these belong to.
    """

    def __init__(self, supernet: Supernet, shape: Shape, space: SearchSpace, tasks: int = 16) -> None:
        self.supernet = supernet
        self.shape = shape
        self.derived = Derived(space)
        self.tasks = tasks
        self.values: dict[str, Tensor] = {}
        self.step = 0
        self._mine: deque[Tensor] = deque()
        self._restored: list[Tensor] = []  # the tasks of all processes, until there are further ones

    def add(self, episodes: Sequence[Episode], world: int) -> None:
        """Keep this process's tasks, and forget the oldest; what is no number in a spoiled image counts as zero."""
        self._restored = []
        for episode in episodes:
            images = torch.cat([episode.support.inputs, episode.query.inputs])
            self._mine.append(images.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0))
        while len(self._mine) > -(-self.tasks // world):
            self._mine.popleft()

    def refresh(self, parameters: Parameters, step: int, trainer: Trainer) -> None:
        """Bring ``values`` up to an outer step; all processes get the same."""
        with torch.inference_mode(False):
            like = next(iter(parameters.weights.values()))
            if self._mine and self.step < step:
                self.values = self._recorded(parameters, self.images(trainer, like))
                self.step = step
            self.values = {name: value.to(like) for name, value in self.values.items()}

    def under(self, parameters: Parameters, images: Tensor) -> dict[str, Tensor]:
        """Statistics of the architecture of the largest logits over ``images``; empty where there are none."""
        return self._recorded(parameters, images) if len(images) else {}

    def images(self, trainer: Trainer, like: Tensor) -> Tensor:
        """The images of the last training tasks of all processes."""
        tasks = self._all(trainer)
        return torch.cat(tasks).to(like) if tasks else like.new_empty(0, *self.shape)

    def lacking(self, parameters: Parameters) -> bool:
        """Whether the derived architecture has a batch-norm layer without statistics."""
        blank = torch.zeros(2, *self.shape).to(next(iter(parameters.weights.values())))
        return not self._recorded(parameters, blank).keys() <= self.values.keys()

    def state(self, trainer: Trainer) -> dict[str, Any]:
        """The tasks of all processes, as plain tensors, so that a resumed training has the same statistics."""
        return {"tasks": [_packed(task) for task in self._all(trainer)]}

    def restore(self, state: Mapping[str, Any], values: Mapping[str, Tensor], step: int, trainer: Trainer) -> None:
        """Take up a state, on any number of processes, with the statistics of its step.

        Training goes on with as many tasks on each process: the oldest that do not go round are then forgotten.
        """
        self.values, self.step = dict(values), step
        self._restored = [_unpacked(task) for task in state["tasks"]]
        first = len(self._restored) % trainer.world_size
        self._mine = deque(self._restored[first + trainer.global_rank :: trainer.world_size])

    def _all(self, trainer: Trainer) -> list[Tensor]:
        """The tasks of all processes in their order in training."""
        if self._restored or trainer.world_size == 1 or not self._mine:
            return self._restored or list(self._mine)
        device = trainer.strategy.root_device
        return list(interleaved(torch.stack([task.to(device) for task in self._mine]), trainer))

    def _recorded(self, parameters: Parameters, inputs: Tensor) -> dict[str, Tensor]:
        mixture = self.derived(parameters.logits, {}, 1.0)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        return embed_and_record(self.supernet, parameters.weights, mixture, inputs)[1]


def _packed(images: Tensor) -> Tensor:
    """Images as bytes if these hold them exactly, else as they are; on the CPU."""
    images = images.cpu()
    coarse = (images * 255).round().clamp(0, 255).to(torch.uint8)
    return coarse if torch.equal(_unpacked(coarse).to(images), images) else images.clone()


def _unpacked(images: Tensor) -> Tensor:
    return images.float().div(255) if images.dtype == torch.uint8 else images
