"""Kinds of data: images, sounds, texts, rows, tables, series, pairs, questions; what reads each for a task."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_metanas.kinds.file_reading import Source
    from lit_metanas.kinds.images import (
        Distortion,
        FolderTask,
        Glyphs,
        ImageAugmentation,
        ImageFolder,
        Omniglot,
    )
    from lit_metanas.kinds.images.array_tasks import ArraySource, task_from_arrays
    from lit_metanas.kinds.images.dataset_tasks import DatasetSource, task_from_dataset
    from lit_metanas.kinds.kind import Kind
    from lit_metanas.kinds.pairs import NumberWords, ParallelTable, ParallelTask
    from lit_metanas.kinds.questions import BabiTask, QuestionWords, SquadTask, Stories
    from lit_metanas.kinds.rows import Columns, TableTask, TextRows
    from lit_metanas.kinds.series import ScaledSeries, SeriesTask, task_from_series
    from lit_metanas.kinds.sounds import (
        AudioFolder,
        AudioFolderTask,
        LogMel,
        SpokenWords,
        TableColumns,
        TranscriptTask,
        mu_law_sound,
    )
    from lit_metanas.kinds.texts import (
        BytePairs,
        Characters,
        Docstrings,
        NGrams,
        PretrainedTokens,
        SentenceSource,
        TextFolder,
        TextSource,
        TextTable,
        TextTask,
        Words,
        task_from_texts,
    )

_NAMES = {
    "images": (
        "ArraySource DatasetSource Distortion FolderTask Glyphs ImageAugmentation ImageFolder Omniglot "
        "task_from_arrays task_from_dataset"
    ),
    "kind": "Kind",
    "file_reading": "Source",
    "pairs": "NumberWords ParallelTable ParallelTask",
    "questions": "BabiTask QuestionWords SquadTask Stories",
    "rows": "Columns TableTask TextRows",
    "series": "ScaledSeries SeriesTask task_from_series",
    "sounds": "AudioFolder AudioFolderTask LogMel SpokenWords TableColumns TranscriptTask mu_law_sound",
    "texts": (
        "BytePairs Characters Docstrings NGrams PretrainedTokens SentenceSource TextFolder TextSource "
        "TextTable TextTask Words task_from_texts"
    ),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ArraySource",
    "AudioFolder",
    "AudioFolderTask",
    "BabiTask",
    "BytePairs",
    "Characters",
    "Columns",
    "DatasetSource",
    "Distortion",
    "Docstrings",
    "FolderTask",
    "Glyphs",
    "ImageAugmentation",
    "ImageFolder",
    "Kind",
    "LogMel",
    "NGrams",
    "NumberWords",
    "Omniglot",
    "ParallelTable",
    "ParallelTask",
    "PretrainedTokens",
    "QuestionWords",
    "ScaledSeries",
    "SentenceSource",
    "SeriesTask",
    "Source",
    "SpokenWords",
    "SquadTask",
    "Stories",
    "TableColumns",
    "TableTask",
    "TextFolder",
    "TextRows",
    "TextSource",
    "TextTable",
    "TextTask",
    "TranscriptTask",
    "Words",
    "mu_law_sound",
    "task_from_arrays",
    "task_from_dataset",
    "task_from_series",
    "task_from_texts",
]


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first asked for, so that no other kind of data is loaded."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lit_metanas.kinds.{_HOMES[name]}"), name)
