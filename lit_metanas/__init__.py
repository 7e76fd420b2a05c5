"""Meta-learned neural architecture search on PyTorch Lightning.

``import lit_metanas as lm`` has what most programs use, such as ``lm.search``, and the sub-packages, which have all
other public names, such as ``lm.spaces.NASBench201``. Each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lit_metanas import (
        automl as automl,
        callbacks as callbacks,
        comparisons as comparisons,
        estimators as estimators,
        inputs as inputs,
        io as io,
        kinds as kinds,
        meta as meta,
        objectives as objectives,
        records as records,
        relaxations as relaxations,
        report as report,
        searchers as searchers,
        spaces as spaces,
        surrogates as surrogates,
        tasks as tasks,
        testing as testing,
        training as training,
    )
    from lit_metanas.automl import (
        AutoClassifier as AutoClassifier,
        AutoRegressor as AutoRegressor,
        auto as auto,
        distil as distil,
    )
    from lit_metanas.comparisons import (
        SearchResult as SearchResult,
        search as search,
    )
    from lit_metanas.inputs import (
        ImageShape as ImageShape,
        Preprocessing as Preprocessing,
        RowShape as RowShape,
        SeriesShape as SeriesShape,
        Shape as Shape,
        TokenShape as TokenShape,
    )
    from lit_metanas.kinds import (
        AudioFolderTask as AudioFolderTask,
        FolderTask as FolderTask,
        Glyphs as Glyphs,
        Kind as Kind,
        ParallelTask as ParallelTask,
        SquadTask as SquadTask,
        TableTask as TableTask,
        TextTask as TextTask,
        TranscriptTask as TranscriptTask,
        task_from_arrays as task_from_arrays,
        task_from_dataset as task_from_dataset,
        task_from_texts as task_from_texts,
    )
    from lit_metanas.objectives import (
        Classification as Classification,
        Objective as Objective,
        Regression as Regression,
        Span as Span,
        Transcription as Transcription,
        Translation as Translation,
    )
    from lit_metanas.records import (
        Budget as Budget,
        Cost as Cost,
    )
    from lit_metanas.searchers import (
        DARTSSearcher as DARTSSearcher,
        MetaSearchedArchitecture as MetaSearchedArchitecture,
        RandomArchitecture as RandomArchitecture,
        Searcher as Searcher,
    )
    from lit_metanas.spaces import (
        Architecture as Architecture,
        Builder as Builder,
        EncoderDecoderSpace as EncoderDecoderSpace,
        GridSpace as GridSpace,
        LayeredSpace as LayeredSpace,
        MLPSpace as MLPSpace,
        SearchSpace as SearchSpace,
        SequenceSpace as SequenceSpace,
        default_space as default_space,
    )
    from lit_metanas.tasks import (
        EpisodeDataModule as EpisodeDataModule,
        Split as Split,
        Task as Task,
        TaskSource as TaskSource,
        TrainingTaskDataModule as TrainingTaskDataModule,
        draw_task as draw_task,
    )
    from lit_metanas.training import (
        Child as Child,
        MetaSearch as MetaSearch,
        Recipe as Recipe,
        Trainer as Trainer,
        export_child as export_child,
        load as load,
    )

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
