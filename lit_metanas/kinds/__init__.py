"""Kinds of data: images, sounds, texts, rows, tables, series, pairs, questions; what reads each for a task."""

from typing import TYPE_CHECKING

from lit_metanas.io.packages import lazy_names

if TYPE_CHECKING:
    from lit_metanas.kinds.augmentation import ImageAugmentation as ImageAugmentation
    from lit_metanas.kinds.file_reading import Source as Source
    from lit_metanas.kinds.images.array_tasks import (
        ArraySource as ArraySource,
        DatasetSource as DatasetSource,
        task_from_arrays as task_from_arrays,
        task_from_dataset as task_from_dataset,
    )
    from lit_metanas.kinds.images.folders import FolderTask as FolderTask, ImageFolder as ImageFolder
    from lit_metanas.kinds.images.glyphs import Glyphs as Glyphs
    from lit_metanas.kinds.images.omniglot import Omniglot as Omniglot
    from lit_metanas.kinds.kind import Kind as Kind
    from lit_metanas.kinds.pairs.number_words import NumberWords as NumberWords
    from lit_metanas.kinds.pairs.parallel_texts import ParallelTask as ParallelTask
    from lit_metanas.kinds.questions.question_words import QuestionWords as QuestionWords
    from lit_metanas.kinds.questions.squad import SquadTask as SquadTask
    from lit_metanas.kinds.questions.stories import Stories as Stories
    from lit_metanas.kinds.rows.columns import Columns as Columns
    from lit_metanas.kinds.rows.row_tasks import TableTask as TableTask
    from lit_metanas.kinds.rows.text_rows import TextRows as TextRows
    from lit_metanas.kinds.series.scaled_series import ScaledSeries as ScaledSeries
    from lit_metanas.kinds.series.series_kind import SeriesTask as SeriesTask, task_from_series as task_from_series
    from lit_metanas.kinds.sounds.audio_folders import AudioFolder as AudioFolder, AudioFolderTask as AudioFolderTask
    from lit_metanas.kinds.sounds.log_mel import LogMel as LogMel
    from lit_metanas.kinds.sounds.spoken_words import SpokenWords as SpokenWords
    from lit_metanas.kinds.sounds.transcripts import TranscriptTask as TranscriptTask
    from lit_metanas.kinds.texts.text_source import (
        Docstrings as Docstrings,
        TextSource as TextSource,
        TextTable as TextTable,
    )
    from lit_metanas.kinds.texts.text_task import TextTask as TextTask, task_from_texts as task_from_texts
    from lit_metanas.kinds.texts.text_tokens import BytePairs as BytePairs
    from lit_metanas.kinds.texts.vocabularies import Characters as Characters, NGrams as NGrams, Words as Words

_NAMES = {
    "augmentation": "ImageAugmentation",
    "images.array_tasks": "ArraySource DatasetSource task_from_arrays task_from_dataset",
    "images.folders": "FolderTask ImageFolder",
    "images.glyphs": "Glyphs",
    "images.omniglot": "Omniglot",
    "kind": "Kind",
    "file_reading": "Source",
    "pairs.number_words": "NumberWords",
    "pairs.parallel_texts": "ParallelTask",
    "questions.question_words": "QuestionWords",
    "questions.squad": "SquadTask",
    "questions.stories": "Stories",
    "rows.columns": "Columns",
    "rows.row_tasks": "TableTask",
    "rows.text_rows": "TextRows",
    "series.scaled_series": "ScaledSeries",
    "series.series_kind": "SeriesTask task_from_series",
    "sounds.audio_folders": "AudioFolder AudioFolderTask",
    "sounds.log_mel": "LogMel",
    "sounds.spoken_words": "SpokenWords",
    "sounds.transcripts": "TranscriptTask",
    "texts.text_tokens": "BytePairs",
    "texts.text_source": "Docstrings TextSource TextTable",
    "texts.text_task": "TextTask task_from_texts",
    "texts.vocabularies": "Characters NGrams Words",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [*_HOMES]

__getattr__ = lazy_names(__name__, _HOMES)  # so that no other kind of data is loaded
