"""Tasks, episodes, and the sources that they are drawn from; of any kind of data."""

from typing import TYPE_CHECKING

from lit_metanas.io.packages import lazy_names
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


_DATA_MODULES = {
    "EpisodeDataModule": "episode_data",
    "TargetTaskDataModule": "target_data",
    "TrainingTaskDataModule": "target_data",
}

__getattr__ = lazy_names(__name__, _DATA_MODULES)  # the data modules need Lightning
