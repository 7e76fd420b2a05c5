"""What evaluation has besides the parameters: batch-norm statistics, and architectures of single episodes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from lit_metanas.inputs.batches import as_floats, blank_inputs, channels_last, inputs_like
from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta import InnerLoop, Learner, Parameters
from lit_metanas.meta.inner_loop import Adaptation
from lit_metanas.meta.learner import ADAPTED_LOGITS, task_generator
from lit_metanas.records.record import Cost
from lit_metanas.relaxations import Derived
from lit_metanas.spaces import Architecture, SearchSpace, Supernet, one_hot
from lit_metanas.spaces.supernet import embed_and_record
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
        tasks = self._all(trainer) or [blank_inputs(0, self.shape)]
        return channels_last(torch.cat([inputs_like(task, like) for task in tasks]))

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
        self._restored = [as_floats(task) for task in state["tasks"]]
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
        return embed_and_record(self.supernet, parameters.weights, mixture, inputs)[1]


def _pack(images: Tensor) -> Tensor:
    """Images as bytes if these hold them exactly, else as they are; on the CPU."""
    images = images.cpu()
    coarse = (images * 255).round().clamp(0, 255).to(torch.uint8)
    if torch.equal(as_floats(coarse).to(images), images):
        return coarse
    return images.clone()


class AdaptedLogits:
    """Derives an architecture from logits that adapt in the inner loop (Lian et al. 2020, T-NAS, Algorithm 2).

    Logits adapt under the relaxation and with each batch's own batch-norm statistics; the largest ones are the
    episode's architecture. What else moved beside them is given up: weights and head adapt anew, under the
    architecture alone. Weights that were trained in a mixture of candidates serve a single one badly.

    Attributes:
        found: the architectures of the episodes since the evaluation began.
        cost: of finding them.
        statistics: batch-norm means and variances of each architecture that was found.

    Example:
        >>> architectures = lm.training.AdaptedLogits()  # ``task_architectures`` of ``MetaSearch``
        >>> architectures.check(lm.meta.JointInnerLoop(steps=5, groups=("logits", "head")))
    """

    def __init__(self) -> None:
        self.found: list[Architecture] = []
        self.cost = Cost()
        self.statistics: dict[Architecture, Mapping[str, Tensor]] = {}

    @property
    def mean_cost(self) -> Cost:
        """Of finding one architecture."""
        total, episodes = self.cost, len(self.found)
        whole = {name: round(getattr(total, name) / episodes) for name in ("queries", "steps", "images", "flops")}
        return Cost(**whole, seconds=total.seconds / episodes)

    def check(self, inner_loop: InnerLoop) -> None:
        """Ask for steps that move logits."""
        if not inner_loop.steps or "logits" not in inner_loop.groups:
            raise ValueError(
                f"AdaptedLogits needs an inner loop that moves logits, not {type(inner_loop).__name__} with "
                f"{inner_loop.steps} steps: give JointInnerLoop or AlternatingInnerLoop."
            )

    def begin(self, space: SearchSpace, inner_loop: InnerLoop, images: Tensor, seed: int) -> None:
        """Forget earlier episodes; ``images`` are of the last training tasks, none where nothing was trained."""
        self._space, self._inner_loop, self._images, self._seed = space, inner_loop, images, seed
        self.found, self.cost = [], Cost()
        self.statistics.clear()

    @torch.no_grad()
    def take(
        self, learner: Learner, parameters: Parameters, episode: Episode, number: int
    ) -> tuple[Learner, Parameters]:
        """What judges an episode, of which only the support set is read; ``number`` is its place in its series.

        The learner has the supernet, under a relaxation that computes the episode's architecture alone.
        """
        begin, learner, inner_loop = time.perf_counter(), replace(learner, statistics=None), self._inner_loop
        steps, generator = inner_loop.steps, task_generator(self._seed, ADAPTED_LOGITS, number)
        noise = learner.draw_noise(parameters.logits, episode, generator, steps=steps)
        adaptation = Adaptation(learner, episode, noise)
        adapted = inner_loop.adapt(parameters, adaptation)
        architecture = self._space.derive(adapted.logits)
        if architecture not in self.statistics:
            mixture = one_hot(self._space.choices, architecture)
            # Without images, where nothing was trained, these are empty.
            _, self.statistics[architecture] = embed_and_record(
                learner.supernet, parameters.weights, mixture, self._images
            )
        learner = replace(learner, relaxation=Derived(self._space), statistics=self.statistics[architecture])
        self.found.append(architecture)
        self.cost += Cost(
            steps=steps,
            images=sum(inner_loop.support_images(episode, step) for step in range(steps)),
            flops=inner_loop.flops(parameters, adaptation),
            seconds=time.perf_counter() - begin,
        )
        return learner, parameters._replace(logits=adapted.logits)
