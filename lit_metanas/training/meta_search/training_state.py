"""The state of a meta-training beside its parameters, so that an interrupted one goes on as if it had not been."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lit_metanas.inputs.batches import blank_inputs, channels_last, inputs_like
from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta.learner import Parameters
from lit_metanas.relaxations.relaxation import Derived
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet, embed_and_record
from lit_metanas.tasks.task import Episode


class RunningStatistics:
    """Means and variances over the images of the last training tasks of all processes, under the current weights."""

    # Precise batch-norm (Wu and Johnson 2021): it costs nothing in training, unlike moving averages, which every
    # architecture would need its own of.

    def __init__(self, supernet: Supernet, shape: Shape, space: SearchSpace, tasks: int = 16) -> None:
        self.supernet = supernet
        self.shape = shape
        self.derived = Derived(space)
        self.tasks = tasks  # kept over all processes
        self.values: dict[str, Tensor] = {}  # <layer>.mean and <layer>.var; empty before training
        self.step = 0  # the outer step that they belong to
        self._mine: deque[tuple[Tensor, ...]] = deque()
        self._restored: list[Tensor] = []  # the tasks of all processes, until there are further ones

    def add(self, episodes: Sequence[Episode], world: int) -> None:
        """Keep this process's tasks, and forget the oldest."""
        self._restored = []
        # They are joined when they are asked for: once an epoch, not at each step.
        self._mine.extend((episode.support.inputs, episode.query.inputs) for episode in episodes)
        while len(self._mine) > -(-self.tasks // world):
            self._mine.popleft()

    def refresh(self, parameters: Parameters, step: int, trainer: Trainer) -> None:
        """Bring ``values`` up to an outer step; all processes get the same."""
        with torch.inference_mode(False):
            like = next(iter(parameters.weights.values()))
            if self._mine and self.step < step:
                self.values = self._record_statistics(parameters, self.images(trainer, like))
                self.step = step
            self.values = {name: value.to(like) for name, value in self.values.items()}

    def images(self, trainer: Trainer, like: Tensor) -> Tensor:
        """The images of the last training tasks of all processes."""
        # Those of a checkpoint may lie on another device than later ones.
        none = blank_inputs(0, self.shape)
        return torch.cat([inputs_like(task, like) for task in self._all(trainer) or [none]])

    def lacking(self, parameters: Parameters) -> bool:
        """Whether the derived architecture has a batch-norm layer without statistics."""
        blank = inputs_like(blank_inputs(2, self.shape), next(iter(parameters.weights.values())))
        return not self._record_statistics(parameters, blank).keys() <= self.values.keys()

    def state(self, trainer: Trainer) -> dict[str, Any]:
        """The tasks of all processes, as plain tensors, so that a resumed training has the same statistics."""
        return {"tasks": [_pack(task) for task in self._all(trainer)]}

    def restore(self, state: Mapping[str, Any], values: Mapping[str, Tensor], step: int, rank: int, world: int) -> None:
        """Continue from a state, on process ``rank`` of any number of processes, with the statistics of its step."""
        # Each process then has as many tasks: the oldest ones that cannot be shared out evenly are forgotten.
        size = blank_inputs(0, self.shape).shape[1:]
        if not all(isinstance(task, Tensor) and task.shape[1:] == size for task in state["tasks"]):
            raise ValueError("a task has inputs of another shape")
        self.values, self.step = dict(values), step
        self._restored = [_unpack(task) for task in state["tasks"]]
        first = len(self._restored) % world
        self._mine = deque((task,) for task in self._restored[first + rank :: world])

    def _all(self, trainer: Trainer) -> list[Tensor]:
        """The tasks of all processes in their order in training; values that are not finite count as zero."""
        if self._restored or not self._mine:
            return self._restored
        mine = [torch.cat(parts).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for parts in self._mine]
        if trainer.world_size == 1:
            return mine
        device = trainer.strategy.root_device
        gathered = trainer.strategy.all_gather(torch.stack([task.to(device) for task in mine]))
        return list(gathered.transpose(0, 1).flatten(0, 1))  # task `i` of process `rank` is number `i * world + rank`

    def _record_statistics(self, parameters: Parameters, inputs: Tensor) -> dict[str, Tensor]:
        mixture = self.derived(parameters.logits, {}, 1.0)
        return embed_and_record(self.supernet, parameters.weights, mixture, channels_last(inputs))[1]


def _pack(images: Tensor) -> Tensor:
    """Images as bytes if these hold them exactly, else as they are; on the CPU."""
    images = images.cpu()
    coarse = (images * 255).round().clamp(0, 255).to(torch.uint8)
    if torch.equal(_unpack(coarse).to(images), images):
        return coarse
    return images.clone()


def _unpack(images: Tensor) -> Tensor:
    if images.dtype == torch.uint8:
        return images.float().div(255)
    return images
