"""Tasks, episodes, and the sources that they are drawn from; of any kind of data."""

from typing import TYPE_CHECKING, Any

from lit_metanas.tasks.episode_loader import EpisodeAugmentation
from lit_metanas.tasks.sampling import DrawnTasks, draw_episode, draw_task
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.task import Episode, Split, Task, TaskCollection, check_task

if TYPE_CHECKING:
    from lit_metanas.tasks.episode_data import EpisodeDataModule
    from lit_metanas.tasks.target_data import TargetTaskDataModule, TrainingTaskDataModule

__all__ = [
    "DrawnTasks",
    "Episode",
    "EpisodeAugmentation",
    "EpisodeDataModule",
    "Split",
    "Subset",
    "TargetTaskDataModule",
    "Task",
    "TaskCollection",
    "TaskSource",
    "TrainingTaskDataModule",
    "check_task",
    "draw_episode",
    "draw_task",
]


def __getattr__(name: str) -> Any:
    """Import the data modules, and Lightning with them, when first asked for."""
    if name == "EpisodeDataModule":
        from lit_metanas.tasks.episode_data import EpisodeDataModule

        return EpisodeDataModule
    if name in ("TargetTaskDataModule", "TrainingTaskDataModule"):
        from lit_metanas.tasks import target_data

        return getattr(target_data, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
