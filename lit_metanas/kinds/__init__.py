"""Kinds of data: images, sounds, texts, rows, pairs of texts, questions; what reads each and makes tasks of it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_metanas.kinds.images import (
        Distortion,
        FolderTask,
        Glyphs,
        ImageAugmentation,
        ImageFolder,
        Omniglot,
        TorchvisionSource,
    )
    from lit_metanas.kinds.images.array_tasks import ArraySource, task_from_arrays
    from lit_metanas.kinds.images.dataset_tasks import DatasetSource, task_from_dataset
    from lit_metanas.kinds.kind import Kind, Source
    from lit_metanas.kinds.new_examples import NewExamples
    from lit_metanas.kinds.pairs import NumberWords, ParallelFolder, ParallelTable, ParallelTask, PhrasePairs
    from lit_metanas.kinds.questions import BabiFolder, BabiTask, QuestionSentences, QuestionWords, SquadTask, Stories
    from lit_metanas.kinds.rows import Columns, TableTask
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
        Phrases,
        SentenceSource,
        StaticVectors,
        TextDataset,
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
        "TorchvisionSource task_from_arrays task_from_dataset"
    ),
    "kind": "Kind Source",
    "new_examples": "NewExamples",
    "pairs": "NumberWords ParallelFolder ParallelTable ParallelTask PhrasePairs",
    "questions": "BabiFolder BabiTask QuestionSentences QuestionWords SquadTask Stories",
    "rows": "Columns TableTask",
    "sounds": "AudioFolder AudioFolderTask LogMel SpokenWords TableColumns TranscriptTask mu_law_sound",
    "texts": (
        "BytePairs Characters Docstrings NGrams Phrases SentenceSource StaticVectors TextDataset TextFolder TextSource "
        "TextTable TextTask Words task_from_texts"
    ),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "ArraySource",
    "AudioFolder",
    "AudioFolderTask",
    "BabiFolder",
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
    "NewExamples",
    "NumberWords",
    "Omniglot",
    "ParallelFolder",
    "ParallelTable",
    "ParallelTask",
    "PhrasePairs",
    "Phrases",
    "QuestionSentences",
    "QuestionWords",
    "SentenceSource",
    "Source",
    "SpokenWords",
    "SquadTask",
    "StaticVectors",
    "Stories",
    "TableColumns",
    "TableTask",
    "TextDataset",
    "TextFolder",
    "TextSource",
    "TextTable",
    "TextTask",
    "TorchvisionSource",
    "TranscriptTask",
    "Words",
    "mu_law_sound",
    "task_from_arrays",
    "task_from_dataset",
    "task_from_texts",
]


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first asked for, so that no other kind of data is loaded."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lit_metanas.kinds.{_HOMES[name]}"), name)
