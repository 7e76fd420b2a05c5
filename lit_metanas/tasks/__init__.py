"""Where tasks come from: tasks, episodes, and the sources that they are drawn from."""

from typing import TYPE_CHECKING, Any

from lit_metanas.tasks.array_tasks import ArraySource, task_from_arrays
from lit_metanas.tasks.dataset_tasks import DatasetSource, task_from_dataset
from lit_metanas.tasks.embeddings import ClassDistances, DataStatistics, JoinedEmbedding, RandomFeatures, TaskEmbedding
from lit_metanas.tasks.episode_loader import EpisodeLoader, EpisodeSampler, EpisodeStream
from lit_metanas.tasks.images import (
    Distortion,
    FolderTask,
    Glyphs,
    ImageAugmentation,
    ImageFolder,
    Omniglot,
    TorchvisionSource,
)
from lit_metanas.tasks.inputs import ImageShape, Preprocessing, RowShape, SeriesShape, Shape, TokenShape, shape_of
from lit_metanas.tasks.objective import Classification, Objective, Transcription
from lit_metanas.tasks.questions import BabiFolder, BabiTask, QuestionSentences, QuestionWords, Span, SquadTask, Stories
from lit_metanas.tasks.sampling import DrawnTasks, draw_episode, draw_task
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.speech import (
    AudioFolder,
    AudioFolderTask,
    LogMel,
    SpokenWords,
    TableColumns,
    TranscriptTask,
    mu_law_sound,
)
from lit_metanas.tasks.tabular import QuantileColumns, StandardisedColumns, TableTask
from lit_metanas.tasks.task import Episode, Split, Task, TaskCollection, check_task
from lit_metanas.tasks.text import (
    BytePairs,
    Characters,
    Docstrings,
    Phrases,
    SentenceSource,
    StaticVectors,
    TextDataset,
    TextFolder,
    TextPreprocessing,
    TextSource,
    TextTable,
    TextTask,
    Words,
    task_from_texts,
)
from lit_metanas.tasks.translation import (
    NumberWords,
    ParallelFolder,
    ParallelTable,
    ParallelTask,
    PhrasePairs,
    Translation,
)

if TYPE_CHECKING:
    from lit_metanas.tasks.episode_data import EpisodeDataModule
    from lit_metanas.tasks.new_examples import NewImages, NewRows, NewSounds, NewTexts
    from lit_metanas.tasks.target_data import TargetTaskDataModule, TrainingTaskDataModule

__all__ = [
    "ArraySource",
    "AudioFolder",
    "AudioFolderTask",
    "BabiFolder",
    "BabiTask",
    "BytePairs",
    "Characters",
    "ClassDistances",
    "Classification",
    "DataStatistics",
    "DatasetSource",
    "Distortion",
    "Docstrings",
    "DrawnTasks",
    "Episode",
    "EpisodeDataModule",
    "EpisodeLoader",
    "EpisodeSampler",
    "EpisodeStream",
    "FolderTask",
    "Glyphs",
    "ImageAugmentation",
    "ImageFolder",
    "ImageShape",
    "JoinedEmbedding",
    "LogMel",
    "NewImages",
    "NewRows",
    "NewSounds",
    "NewTexts",
    "NumberWords",
    "Objective",
    "Omniglot",
    "ParallelFolder",
    "ParallelTable",
    "ParallelTask",
    "PhrasePairs",
    "Phrases",
    "Preprocessing",
    "QuantileColumns",
    "QuestionSentences",
    "QuestionWords",
    "RandomFeatures",
    "RowShape",
    "SentenceSource",
    "SeriesShape",
    "Shape",
    "Span",
    "Split",
    "SpokenWords",
    "SquadTask",
    "StandardisedColumns",
    "StaticVectors",
    "Stories",
    "Subset",
    "TableColumns",
    "TableTask",
    "TargetTaskDataModule",
    "Task",
    "TaskCollection",
    "TaskEmbedding",
    "TaskSource",
    "TextDataset",
    "TextFolder",
    "TextPreprocessing",
    "TextSource",
    "TextTable",
    "TextTask",
    "TokenShape",
    "TorchvisionSource",
    "TrainingTaskDataModule",
    "TranscriptTask",
    "Transcription",
    "Translation",
    "Words",
    "check_task",
    "draw_episode",
    "draw_task",
    "mu_law_sound",
    "shape_of",
    "task_from_arrays",
    "task_from_dataset",
    "task_from_texts",
]


def __getattr__(name: str) -> Any:
    """Import the data modules, and Lightning with them, when first asked for."""
    if name == "EpisodeDataModule":
        from lit_metanas.tasks.episode_data import EpisodeDataModule

        return EpisodeDataModule
    if name in ("NewImages", "NewRows", "NewSounds", "NewTexts"):
        from lit_metanas.tasks import new_examples

        return getattr(new_examples, name)
    if name in ("TargetTaskDataModule", "TrainingTaskDataModule"):
        from lit_metanas.tasks import target_data

        return getattr(target_data, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
