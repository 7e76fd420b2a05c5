"""Episodes for meta-training, meta-validation and meta-test, as a Lightning data module."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.overrides.distributed import UnrepeatedDistributedSampler
from lightning.pytorch.trainer.states import TrainerFn
from torch.utils.data import DataLoader

from lit_metanas.inputs.preprocessing import Preprocessing, check_range
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.checkpoints import FIX
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.io.text import number_of
from lit_metanas.tasks.episode_loader import EpisodeAugmentation, EpisodeLoader, EpisodeSampler, EpisodeStream
from lit_metanas.tasks.source import Subset, TaskSource, check_source
from lit_metanas.tasks.task import Episode

MOST_EPISODES = 10_000_000  # the places of a step's tasks are listed, and lengths beyond 2**63 are none


class RankedData(LightningDataModule):
    """A data module that several processes share."""

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return getattr(self.trainer, "world_size", 1)

    @property
    def rank(self) -> int:
        """Number of this process."""
        return getattr(self.trainer, "global_rank", 0)

    def own_share(self, items: Any) -> UnrepeatedDistributedSampler:
        """The indices of items that equal this process's number modulo the number of processes, none of them twice.

        There is at least one for each process.
        """
        # Lightning wraps no sampler of this kind in another one.
        return UnrepeatedDistributedSampler(items, num_replicas=self.world_size, rank=self.rank, shuffle=False)


class StepTasks(RankedData):
    """A data module whose training batches are the tasks of an outer step; all processes share them evenly."""

    tasks_per_step: int | None  # over all processes; None takes one a process
    steps_per_epoch: int

    @property
    def tasks_in_step(self) -> int:
        """How many tasks a step takes, over all processes."""
        return self.tasks_per_step or self.world_size

    @property
    def trained_batches(self) -> int | None:
        """How many batches of this epoch the trainer has trained on; None without a trainer."""
        if self.trainer is None:
            return None
        return int(self.trainer.fit_loop.epoch_loop.batch_progress.state_dict()["current"]["processed"])

    def training_sampler(self) -> EpisodeSampler:
        """The keys of the tasks of each outer step."""
        return EpisodeSampler(self.steps_per_epoch * self.tasks_in_step, self.tasks_in_step, self.rank, self.world_size)

    def check_shares(self) -> None:
        """Refuse a number of tasks that the processes cannot share evenly."""
        if self.tasks_in_step % self.world_size:
            raise ValueError(
                f"data.tasks_per_step is {self.tasks_per_step}, which {self.world_size} processes cannot share evenly: "
                f"give a multiple of {self.world_size}, or leave it out for one task a process."
            )

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint keeps: how many tasks a step took."""
        return {"tasks_in_step": self.tasks_in_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuse to go on with steps of another size where nobody asked for it."""
        before = isinstance(state_dict, dict) and state_dict.get("tasks_in_step")
        if type(before) is not int or before < 1:  # True is an int, too
            raise ValueError(
                f"The checkpoint is damaged, its state of {type(self).__name__} is of another kind: {FIX}."
            )
        assert self.trainer is not None
        is_open = self.tasks_per_step is None and self.trainer.state.fn == TrainerFn.FITTING
        if is_open and before != self.tasks_in_step:
            processes = " and a number of processes that divides it" * bool(before % self.world_size)
            raise ValueError(
                f"The checkpoint was trained with {number_of(before, 'task')} a step, and "
                f"{number_of(self.world_size, 'process')} would take {self.tasks_in_step}: give "
                f"--data.tasks_per_step {before}{processes}."
            )


@keeps_arguments()
class EpisodeDataModule(StepTasks):
    """Batches are lists of episodes, ``tasks_per_step`` over all processes.

    A training episode is a function of (seed, epoch, index), whatever the number of processes and workers. Validation
    and test episodes are the same in every epoch and every run.

    Args:
        source: where the images come from.
        way: classes a training episode.
        shot: support images a class.
        query: query images a class.
        eval_way: classes a validation or test episode; by default as in training.
        eval_shot: support images a class of these; by default as in training.
        eval_query: query images a class of these; by default as in training.
        tasks_per_step: training episodes an outer step, over all processes; None takes one a process.
        eval_tasks_per_step: validation or test episodes a batch, over all processes; rounded up to share them evenly.
        steps_per_epoch: outer steps an epoch.
        val_episodes: validation episodes, over all processes.
        test_episodes: test episodes, over all processes.
        seed: seed of the training episodes, at least 0.
        eval_seed: seed of the validation and test episodes, so that runs with any ``seed`` are judged alike.
        within_group: draw the classes of each episode from one alphabet or script.
        num_workers: processes that draw episodes ahead; 0 draws in the training process.
        augmentation: changes the images of training episodes; None leaves them as they are.

    Raises:
        ValueError: a number is out of its range, or ``source`` is no TaskSource.

    Example:
        >>> source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6, fractions=(0.5, 0.0, 0.5))
        >>> data = lm.EpisodeDataModule(source, way=3, shot=1, query=4)
        >>> data.shape, data.stream("train")[0, 0].query.inputs.shape
        ((1, 8, 8), torch.Size([12, 1, 8, 8]))
    """

    def __init__(
        self,
        source: TaskSource,
        way: int = 5,
        shot: int = 1,
        query: int = 5,
        eval_way: int | None = None,
        eval_shot: int | None = None,
        eval_query: int | None = None,
        tasks_per_step: int | None = None,
        eval_tasks_per_step: int = 4,
        steps_per_epoch: int = 100,
        val_episodes: int = 100,
        test_episodes: int = 600,
        seed: int = 0,
        eval_seed: int = 0,
        within_group: bool = False,
        num_workers: int = 0,
        augmentation: EpisodeAugmentation | None = None,
    ) -> None:
        super().__init__()
        check_source(source)
        self.source = source
        self.way = way
        self.shot = shot
        self.query = query
        self.eval_way = way if eval_way is None else eval_way
        self.eval_shot = shot if eval_shot is None else eval_shot
        self.eval_query = query if eval_query is None else eval_query
        self.tasks_per_step = tasks_per_step
        self.eval_tasks_per_step = eval_tasks_per_step
        self.steps_per_epoch = steps_per_epoch
        self.val_episodes = val_episodes
        self.test_episodes = test_episodes
        self.seed = seed
        self.eval_seed = eval_seed
        self.within_group = within_group
        self.num_workers = num_workers
        self.augmentation = augmentation
        self._loaders: list[EpisodeLoader[Episode]] = []
        self._require_ranges()

    @property
    def shape(self) -> Shape:
        """Shape of one input."""
        return self.source.shape

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes inputs of raw examples; None for images."""
        return self.source.preprocessing

    def with_training_episodes(
        self, way: int | None = None, query: int | None = None, augmentation: EpisodeAugmentation | None = None
    ) -> EpisodeDataModule:
        """The same episodes but for the size and the changes of those to train on.

        Args:
            way: classes a training episode; None leaves them.
            query: query images a class of these; None leaves them.
            augmentation: changes their images; None leaves it as it is.

        Raises:
            ValueError: a number is out of its range.
        """
        other = copy(self)
        for name, value in {"way": way, "query": query, "augmentation": augmentation}.items():
            if value is not None:
                setattr(other, name, value)
        other._loaders = []  # else the copy would end the workers of the original
        other._require_ranges()
        return other

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Give it to the source, which takes it if it leaves it open.

        Raises:
            ValueError: it is for other examples.
        """
        self.source.take_preprocessing(preprocessing)

    def prepare_data(self) -> None:
        """Prepare the source, on one process."""
        self.source.prepare()

    def setup(self, stage: str) -> None:
        """Take the model's preprocessing, check the division over processes, draw an episode of each subset needed.

        Raises:
            ValueError: the processes cannot share the episodes of a step evenly, or the source is too small.
        """
        made = getattr(getattr(self.trainer, "lightning_module", None), "preprocessing", None)
        if made is not None:
            self.take_preprocessing(made)
        if stage == "fit":
            self.check_shares()
        stages: dict[str, list[Subset]] = {"fit": ["train", "val"], "validate": ["val"], "test": ["test"]}
        if not getattr(self.trainer, "limit_val_batches", 1):
            stages["fit"].remove("val")
        for subset in stages.get(stage, ()):
            # in the main process: so its errors come early and its images are in memory before workers fork
            self.stream(subset)[0, 0]

    def stream(self, subset: Subset) -> EpisodeStream:
        """Return all episodes of a subset, by (epoch, index)."""
        sizes, augmentation = (self.eval_seed, self.eval_way, self.eval_shot, self.eval_query), None
        if subset == "train":
            sizes, augmentation = (self.seed, self.way, self.shot, self.query), self.augmentation
        return EpisodeStream(self.source, subset, *sizes, self.within_group, augmentation)

    def train_dataloader(self) -> EpisodeLoader[Episode]:
        """Return a loader of ``steps_per_epoch`` batches an epoch."""
        return self._loader("train", self.training_sampler(), done=lambda: self.trained_batches)

    def val_dataloader(self) -> EpisodeLoader[Episode]:
        """Return a loader of the validation episodes."""
        return self._eval_loader("val", self.val_episodes)

    def predict_dataloader(self) -> DataLoader[EpisodeDataModule]:
        """Return a loader of the one problem that a search for all tasks has: this data module itself."""
        return DataLoader([self], batch_size=None)  # type: ignore[arg-type]

    def test_dataloader(self) -> EpisodeLoader[Episode]:
        """Return a loader of the test episodes."""
        return self._eval_loader("test", self.test_episodes)

    def _eval_loader(self, subset: Subset, episodes: int) -> EpisodeLoader[Episode]:
        # Rounded up: the processes share a batch evenly.
        per_batch = -(-self.eval_tasks_per_step // self.world_size) * self.world_size
        return self._loader(subset, EpisodeSampler(episodes, per_batch, self.rank, self.world_size, renewed=False))

    def _loader(
        self, subset: Subset, sampler: EpisodeSampler, done: Callable[[], int | None] | None = None
    ) -> EpisodeLoader[Episode]:
        self._loaders.append(EpisodeLoader(self.stream(subset), sampler, self.num_workers, done=done))
        return self._loaders[-1]

    def teardown(self, stage: str) -> None:
        """Let the processes end that draw episodes ahead."""
        while self._loaders:
            self._loaders.pop().end_workers()

    def on_exception(self, exception: BaseException) -> None:
        """Let the processes end that draw episodes ahead."""
        self.teardown("fit")

    def _require_ranges(self) -> None:
        least = {
            "way": 2, "shot": 1, "query": 1, "eval_way": 2, "eval_shot": 1, "eval_query": 1, "num_workers": 0,
            "eval_tasks_per_step": 1, "steps_per_epoch": 1, "val_episodes": 1, "test_episodes": 1,
        }  # fmt: skip
        if self.tasks_per_step is not None:
            least["tasks_per_step"] = 1
        numbers = {name: (getattr(self, name), bound, MOST_EPISODES) for name, bound in least.items()}
        check_range("EpisodeDataModule", **numbers, seed=(self.seed, 0), eval_seed=(self.eval_seed, 0))
