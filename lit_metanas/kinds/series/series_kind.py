"""Series of numbers, such as those of sensors, as a kind of data."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from lit_metanas.inputs.shapes import SeriesShape, Shape
from lit_metanas.io.text import number_of
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind, Prepared
from lit_metanas.kinds.series.scaled_series import ScaledSeries
from lit_metanas.kinds.series.series_files import (
    ARCHIVE_SUFFIX,
    SERIES_TABLES,
    archive_pair,
    read_series,
    series_column,
)
from lit_metanas.kinds.series.series_tasks import SeriesTask, task_from_series
from lit_metanas.kinds.texts.table_files import read_rows
from lit_metanas.objectives.objective import Objective
from lit_metanas.spaces import RocketSpace, SearchSpace, SequenceSpace
from lit_metanas.spaces.any_input.rocket_space import LEVELS
from lit_metanas.tasks.labels import Labels
from lit_metanas.tasks.task import Task

# Convolutions along time.
STEP_LAYERS: Mapping[str, str] = {
    "operation": "conv_5", "depth": "3", "width": "64", "activation": "ReLU", "dropout": "0.2", "pool": "max",
    "readout": "max", "skip": "residual",
}  # fmt: skip
# Networks of different structure. Those that did best on a validation part of spoken vowels come first.
SERIES_NETWORKS: tuple[Mapping[str, str], ...] = (
    STEP_LAYERS,
    {**STEP_LAYERS, "operation": "inception", "readout": "mean"},  # as InceptionTime, with pooling
    {**STEP_LAYERS, "operation": "dil_conv_3"},
    {**STEP_LAYERS, "operation": "gru", "depth": "2"},
    {**STEP_LAYERS, "operation": "sep_conv_7", "readout": "attention"},
)

# Inputs of so many steps are also tried with half as many.
FINEST_HALVED = 32


class SeriesKind(Kind):
    """Series of numbers: CSV files in a folder for each class, a long table, files of the UCR archive, or arrays."""

    name = "series"
    noun = "series"
    class_files: ClassVar[Collection[str]] = frozenset(SERIES_TABLES)
    piped = ".csv"
    preprocessing_class = ScaledSeries
    read_files = frozenset({*SERIES_TABLES, ARCHIVE_SUFFIX})
    first: ClassVar = SERIES_NETWORKS
    recipe: ClassVar = {
        "learning_rate": 3e-3,
        "weight_decay": 0.1,
        "label_smoothing": 0.1,
        "warmup": 0.1,
        "batch_size": 32,
    }
    linear_space = RocketSpace
    features: ClassVar = dict.fromkeys(map(str, LEVELS), "fixed convolutions")
    averages_linear = True
    member_epochs = 60

    def claims(self, path: Path, group: str | None) -> bool:
        """A file of the UCR archive, a folder with two such parts, or a long table with a usual column of ids."""
        if path.is_dir():
            return archive_pair(path) is not None
        if path.suffix.lower() == ARCHIVE_SUFFIX:
            return True
        if path.suffix.lower() not in SERIES_TABLES:
            return False
        column = series_column(read_rows(path))
        return column is not None and column != group

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs, where each gets one answer."""
        return isinstance(task.shape, SeriesShape) and task.goal.scored == "input"

    def read(self, source: Source) -> Task:
        """Of a file or folder."""
        return SeriesTask(
            str(source.path),
            test_path=source.test_path,
            group=source.group,
            preprocessing=source.prepared,
            min_per_class=source.least,
            targets=source.targets,
        )[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Networks of steps."""
        return SequenceSpace(
            operations=(
                "conv_3", "conv_5", "sep_conv_7", "dil_conv_3", "inception", "gated_linear", "attention_4", "gru",
            ),
            activations=("ReLU", "GELU"),
            dropouts=(0.0, 0.2),
            pools=("max", "avg"),
            widths=(32, 64),
            shared=True,
        )  # fmt: skip

    def in_memory(
        self, examples: Any, labels: Labels, tested: tuple[Any, Any], *, prepared: Any, **divided: Any
    ) -> Task:
        """The task of arrays."""
        return task_from_series(examples, labels, *tested, preprocessing=prepared, **divided)

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """All steps, or the means of more neighbours."""
        usual = task.preprocessing
        if not isinstance(usual, ScaledSeries):
            return {}
        made = [usual]
        if usual.steps >= FINEST_HALVED:
            made.append(replace(usual, steps=-(-usual.steps // 2), every=2 * usual.every))
        return {number_of(one.steps, "step"): ScaledSeries(one.names, steps=one.steps, every=one.every) for one in made}

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The series of CSV files, of long tables and of files of the UCR archive."""
        files = [file for path in paths for file in self._files(Path(path))]
        found = [one for file in files for one in read_series(file, labelled=False)]
        # The channels of an archive have no names.
        return [(one.where, dict(zip(one.names, one.values, strict=False)) or one.values) for one in found]

    def describe(self, task: Task) -> str:
        """How many channels and steps they have."""
        if not isinstance(task.preprocessing, ScaledSeries):
            return ""
        made = task.preprocessing
        channels = number_of(len(made.means), "channel")
        return f", of {channels} and up to {number_of(made.steps * made.every, 'step')}"
