"""Meta-learned neural architecture search on PyTorch Lightning.

``import lit_metanas as lm`` has what most programs use, such as ``lm.search``, and the sub-packages, which have all
other public names, such as ``lm.spaces.NASBench201``. Each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lit_metanas import automl as automl
    from lit_metanas import callbacks as callbacks
    from lit_metanas import comparisons as comparisons
    from lit_metanas import estimators as estimators
    from lit_metanas import inputs as inputs
    from lit_metanas import io as io
    from lit_metanas import kinds as kinds
    from lit_metanas import meta as meta
    from lit_metanas import objectives as objectives
    from lit_metanas import records as records
    from lit_metanas import relaxations as relaxations
    from lit_metanas import report as report
    from lit_metanas import searchers as searchers
    from lit_metanas import spaces as spaces
    from lit_metanas import surrogates as surrogates
    from lit_metanas import tasks as tasks
    from lit_metanas import testing as testing
    from lit_metanas import training as training
    from lit_metanas.automl import AutoClassifier as AutoClassifier
    from lit_metanas.automl import AutoRegressor as AutoRegressor
    from lit_metanas.automl import auto as auto
    from lit_metanas.automl import distil as distil
    from lit_metanas.comparisons import SearchResult as SearchResult
    from lit_metanas.comparisons import search as search
    from lit_metanas.inputs import ImageShape as ImageShape
    from lit_metanas.inputs import Preprocessing as Preprocessing
    from lit_metanas.inputs import RowShape as RowShape
    from lit_metanas.inputs import SeriesShape as SeriesShape
    from lit_metanas.inputs import Shape as Shape
    from lit_metanas.inputs import TokenShape as TokenShape
    from lit_metanas.kinds import AudioFolderTask as AudioFolderTask
    from lit_metanas.kinds import FolderTask as FolderTask
    from lit_metanas.kinds import Glyphs as Glyphs
    from lit_metanas.kinds import Kind as Kind
    from lit_metanas.kinds import ParallelTask as ParallelTask
    from lit_metanas.kinds import SquadTask as SquadTask
    from lit_metanas.kinds import TableTask as TableTask
    from lit_metanas.kinds import TextTask as TextTask
    from lit_metanas.kinds import TranscriptTask as TranscriptTask
    from lit_metanas.kinds import task_from_arrays as task_from_arrays
    from lit_metanas.kinds import task_from_dataset as task_from_dataset
    from lit_metanas.kinds import task_from_texts as task_from_texts
    from lit_metanas.objectives import Classification as Classification
    from lit_metanas.objectives import Objective as Objective
    from lit_metanas.objectives import Regression as Regression
    from lit_metanas.objectives import Span as Span
    from lit_metanas.objectives import Transcription as Transcription
    from lit_metanas.objectives import Translation as Translation
    from lit_metanas.records import Budget as Budget
    from lit_metanas.records import Cost as Cost
    from lit_metanas.searchers import DARTSSearcher as DARTSSearcher
    from lit_metanas.searchers import MetaSearchedArchitecture as MetaSearchedArchitecture
    from lit_metanas.searchers import RandomArchitecture as RandomArchitecture
    from lit_metanas.searchers import Searcher as Searcher
    from lit_metanas.spaces import Architecture as Architecture
    from lit_metanas.spaces import Builder as Builder
    from lit_metanas.spaces import EncoderDecoderSpace as EncoderDecoderSpace
    from lit_metanas.spaces import GridSpace as GridSpace
    from lit_metanas.spaces import LayeredSpace as LayeredSpace
    from lit_metanas.spaces import MLPSpace as MLPSpace
    from lit_metanas.spaces import SearchSpace as SearchSpace
    from lit_metanas.spaces import SequenceSpace as SequenceSpace
    from lit_metanas.spaces import default_space as default_space
    from lit_metanas.tasks import EpisodeDataModule as EpisodeDataModule
    from lit_metanas.tasks import Split as Split
    from lit_metanas.tasks import Task as Task
    from lit_metanas.tasks import TaskSource as TaskSource
    from lit_metanas.tasks import TrainingTaskDataModule as TrainingTaskDataModule
    from lit_metanas.tasks import draw_task as draw_task
    from lit_metanas.training import Child as Child
    from lit_metanas.training import MetaSearch as MetaSearch
    from lit_metanas.training import Recipe as Recipe
    from lit_metanas.training import Trainer as Trainer
    from lit_metanas.training import export_child as export_child
    from lit_metanas.training import load as load

__version__ = "0.1.0"

ROOMS = (
    "io", "inputs", "objectives", "tasks", "spaces", "records", "relaxations", "meta", "kinds", "training",
    "surrogates", "estimators", "searchers", "comparisons", "callbacks", "report", "automl", "testing",
)  # fmt: skip
"""The sub-packages with public names, in the order in which data flows."""

_NAMES = {
    "inputs": "ImageShape Preprocessing RowShape SeriesShape Shape TokenShape",
    "objectives": "Classification Objective Regression Span Transcription Translation",
    "tasks": "EpisodeDataModule Split Task TaskSource TrainingTaskDataModule draw_task",
    "spaces": (
        "Architecture Builder EncoderDecoderSpace GridSpace LayeredSpace MLPSpace SearchSpace SequenceSpace "
        "default_space"
    ),
    "records": "Budget Cost",
    "kinds": (
        "AudioFolderTask FolderTask Glyphs Kind ParallelTask SquadTask TableTask TextTask TranscriptTask "
        "task_from_arrays task_from_dataset task_from_texts"
    ),
    "training": "Child MetaSearch Recipe Trainer export_child load",
    "searchers": "DARTSSearcher MetaSearchedArchitecture RandomArchitecture Searcher",
    "comparisons": "SearchResult search",
    "automl": "AutoClassifier AutoRegressor auto distil",
}
_ROOM_OF = {name: room for room, names in _NAMES.items() for name in names.split()}

__all__ = [*_ROOM_OF]


if not TYPE_CHECKING:  # else a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        """Import a room, or the room of a name."""
        if name in ROOMS:
            return import_module(f"lit_metanas.{name}")
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"lit_metanas.{_ROOM_OF[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """The names and the rooms, imported or not."""
    return sorted({*__all__, *ROOMS, *(name for name in globals() if name.startswith("__"))})
