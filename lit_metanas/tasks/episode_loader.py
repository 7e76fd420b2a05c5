"""Batches of episodes or tasks: the same ones on any number of processes, resumable in the middle of an epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from lit_metanas.tasks.sampling import changes_generator, draw_episode
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.task import Episode

EpisodeKey = tuple[int, int]  # epoch, and index in it

Loaded = TypeVar("Loaded")


class EpisodeAugmentation(ABC):
    """Changes the inputs of training episodes at random, such as ``ImageAugmentation`` for images.

    Example:
        >>> class Mirrored(lm.tasks.EpisodeAugmentation):
        ...     def of_episode(self, episode, generator):
        ...         query = lm.Split(episode.query.inputs.flip(-1), episode.query.labels)
        ...         return lm.tasks.Episode(episode.id, episode.way, episode.support, None, query)
    """

    @abstractmethod
    def of_episode(self, episode: Episode, generator: torch.Generator) -> Episode:
        """Change the inputs of an episode.

        Args:
            episode: that was drawn.
            generator: of what is drawn, on the CPU.

        Raises:
            ValueError: the inputs are of another kind.
        """


@dataclass(frozen=True)
class EpisodeStream(Dataset[Episode]):
    """All episodes of one seed: maps (epoch, index) to an episode; see ``draw_episode``."""

    source: TaskSource
    subset: Subset
    seed: int
    way: int
    shot: int
    query: int
    within_group: bool = False
    augmentation: EpisodeAugmentation | None = None

    def __getitem__(self, key: EpisodeKey) -> Episode:
        """Draw one episode, without what made its inputs."""
        # A vocabulary would go from worker to trainer with each, and Lightning, which changes the precision of a batch
        # part by part, fails where one is frozen. The data module has it.
        epoch, index = key
        episode = draw_episode(
            self.source,
            self.subset,
            seed=self.seed,
            epoch=epoch,
            index=index,
            way=self.way,
            shot=self.shot,
            query=self.query,
            within_group=self.within_group,
        )
        if self.augmentation is not None:
            episode = self.augmentation.of_episode(episode, changes_generator(self.subset, self.seed, epoch, index))
        return replace(episode, preprocessing=None)


class EpisodeSampler(Sampler[list[EpisodeKey]]):
    """Yields the keys of this process's episodes, a list a batch."""

    # Batch `b` of the epoch consists, over all processes, of the indices `b * per_batch` to `(b + 1) * per_batch - 1`;
    # process `rank` of `world` takes those that equal `rank` modulo `world`. Of the last batch some processes may have
    # one episode fewer than others, or none: an empty list. Unless they are `renewed`, each epoch has those of epoch 0.

    def __init__(self, episodes: int, per_batch: int, rank: int = 0, world: int = 1, renewed: bool = True) -> None:
        assert per_batch % world == 0
        self.episodes = episodes
        self.per_batch = per_batch
        self.rank = rank
        self.world = world
        self.renewed = renewed
        self.epoch = 0
        self.first_batch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose keys come next; Lightning calls it before each epoch."""
        self.epoch = epoch if self.renewed else 0

    def __len__(self) -> int:
        return -(-self.episodes // self.per_batch)

    def __iter__(self) -> Iterator[list[EpisodeKey]]:
        for start in range(self.first_batch * self.per_batch, self.episodes, self.per_batch):
            stop = min(start + self.per_batch, self.episodes)
            yield [(self.epoch, index) for index in range(start + self.rank, stop, self.world)]


class EpisodeLoader(Generic[Loaded]):
    """Loads batches, lists of episodes or of whole tasks. It has a state: Lightning can resume within an epoch."""

    # Not a `DataLoader` itself, for Lightning would wrap its sampler in a second distributed one, but around one.
    # `done` returns how many batches of the epoch have been trained on; by default those handed out are counted. It
    # matters where training is interrupted in the middle of a step.

    def __init__(
        self,
        stream: Dataset[Loaded],
        sampler: EpisodeSampler,
        num_workers: int = 0,
        done: Callable[[], int | None] | None = None,
    ) -> None:
        self.stream = stream
        self.sampler = sampler
        self.batch_sampler: None = None  # where Lightning finds a sampler, it looks for this, too
        self._done = done or (lambda: None)
        self._handed_out = 0
        self._resume: EpisodeKey = -1, 0  # an epoch, and its batches that are done
        self._num_workers = num_workers
        self._loader = self._make_loader()

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[list[Loaded]]:
        """Yield the batches of the sampler's epoch, once after a resume only those that are left of it."""
        # A generator: nothing is drawn before the first batch is asked for, by when Lightning has set the epoch.
        epoch, done = self._resume
        self._resume = -1, 0
        self.sampler.first_batch = self._handed_out = done if epoch == self.sampler.epoch else 0
        for batch in self._loader:
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and the number of its batches that are done."""
        done = self._done()
        return {"epoch": self.sampler.epoch, "batch": self._handed_out if done is None else done}

    def end_workers(self) -> None:
        """Let the processes end that draw ahead; the next epoch starts others."""
        # Left to the garbage collector, which may take their queues before them, each is waited for in vain.
        self._loader = self._make_loader()

    def _make_loader(self) -> DataLoader[Loaded]:
        return DataLoader(
            self.stream,
            batch_sampler=self.sampler,
            num_workers=self._num_workers,
            collate_fn=list,
            persistent_workers=self._num_workers > 0,
        )

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue after the batches that were done, if the next epoch to be loaded is theirs."""
        self._resume = state["epoch"], state["batch"]
