"""Where tasks come from: tasks, episodes, and the sources that they are drawn from."""

from typing import TYPE_CHECKING, Any

from lit_metanas.episodes.class_distances import ClassDistances
from lit_metanas.episodes.data_statistics import DataStatistics
from lit_metanas.episodes.distortion import Distortion
from lit_metanas.episodes.drawn_tasks import DrawnTasks
from lit_metanas.episodes.episode_loader import EpisodeLoader, EpisodeSampler, EpisodeStream
from lit_metanas.episodes.folder_task import FolderTask
from lit_metanas.episodes.glyphs import Glyphs
from lit_metanas.episodes.image_folder import ImageFolder
from lit_metanas.episodes.joined_embedding import JoinedEmbedding
from lit_metanas.episodes.omniglot import Omniglot
from lit_metanas.episodes.random_features import RandomFeatures
from lit_metanas.episodes.sampling import draw_episode, draw_task
from lit_metanas.episodes.source import Subset, TaskSource
from lit_metanas.episodes.task import Episode, Split, Task
from lit_metanas.episodes.task_collection import TaskCollection
from lit_metanas.episodes.task_embedding import TaskEmbedding

if TYPE_CHECKING:
    from lit_metanas.episodes.episode_data import EpisodeDataModule
    from lit_metanas.episodes.target_task_data import TargetTaskDataModule

__all__ = [
    "ClassDistances",
    "DataStatistics",
    "Distortion",
    "DrawnTasks",
    "Episode",
    "EpisodeDataModule",
    "EpisodeLoader",
    "EpisodeSampler",
    "EpisodeStream",
    "FolderTask",
    "Glyphs",
    "ImageFolder",
    "JoinedEmbedding",
    "Omniglot",
    "RandomFeatures",
    "Split",
    "Subset",
    "TargetTaskDataModule",
    "Task",
    "TaskCollection",
    "TaskEmbedding",
    "TaskSource",
    "draw_episode",
    "draw_task",
]


def __getattr__(name: str) -> Any:
    """Import the data modules, and Lightning with them, when first asked for."""
    if name == "EpisodeDataModule":
        from lit_metanas.episodes.episode_data import EpisodeDataModule

        return EpisodeDataModule
    if name == "TargetTaskDataModule":
        from lit_metanas.episodes.target_task_data import TargetTaskDataModule

        return TargetTaskDataModule
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
