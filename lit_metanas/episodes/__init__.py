"""Where tasks come from: tasks, episodes, and the sources that they are drawn from."""

from typing import TYPE_CHECKING, Any

from lit_metanas.episodes.distortion import Distortion
from lit_metanas.episodes.drawn_tasks import DrawnTasks
from lit_metanas.episodes.episode_loader import EpisodeLoader, EpisodeSampler, EpisodeStream
from lit_metanas.episodes.folder_task import FolderTask
from lit_metanas.episodes.glyphs import Glyphs
from lit_metanas.episodes.image_folder import ImageFolder
from lit_metanas.episodes.omniglot import Omniglot
from lit_metanas.episodes.sampling import draw_episode, draw_task
from lit_metanas.episodes.source import Subset, TaskSource
from lit_metanas.episodes.task import Episode, Split, Task
from lit_metanas.episodes.task_collection import TaskCollection

if TYPE_CHECKING:
    from lit_metanas.episodes.episode_data import EpisodeDataModule
    from lit_metanas.episodes.target_task_data import TargetTaskDataModule

__all__ = [
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
    "Omniglot",
    "Split",
    "Subset",
    "TargetTaskDataModule",
    "Task",
    "TaskCollection",
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
