"""Target tasks that are drawn from a task source."""

from __future__ import annotations

from lit_metanas.episodes.sampling import draw_task
from lit_metanas.episodes.source import Subset, TaskSource
from lit_metanas.episodes.task import Task
from lit_metanas.episodes.task_collection import TaskCollection


class DrawnTasks(TaskCollection):
    """Target tasks over held-out classes: task ``i`` is a function of the source, the subset, the seed and ``i``.

    Args:
        source: where the images come from.
        subset: choose by ``val``, report on ``test``.
        way: classes a task.
        train: training images a class.
        val: validation images a class.
        test: test images a class.
        tasks: number of tasks, at least 1.
        seed: seed of the list, at least 0.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        source: TaskSource,
        subset: Subset = "test",
        way: int = 10,
        train: int = 100,
        val: int = 100,
        test: int = 100,
        tasks: int = 10,
        seed: int = 0,
    ) -> None:
        least = {"way": (way, 2), "train": (train, 1), "val": (val, 0), "test": (test, 1)}
        least |= {"tasks": (tasks, 1), "seed": (seed, 0)}
        for name, (value, bound) in least.items():
            if value < bound:
                raise ValueError(f"DrawnTasks: {name} = {value} must be at least {bound}.")
        self.source = source
        self.subset: Subset = subset
        self.way = way
        self.train = train
        self.val = val
        self.test = test
        self.tasks = tasks
        self.seed = seed

    @property
    def shape(self) -> tuple[int, int, int]:
        """The source's shape."""
        return self.source.shape

    def prepare(self) -> None:
        """Prepare the source."""
        self.source.prepare()

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self.tasks

    def __getitem__(self, index: int) -> Task:
        """Draw one task."""
        if not 0 <= index < self.tasks:
            raise IndexError(f"task {index} of {self.tasks}")
        return draw_task(
            self.source,
            self.subset,
            seed=self.seed,
            index=index,
            way=self.way,
            train=self.train,
            val=self.val,
            test=self.test,
        )
