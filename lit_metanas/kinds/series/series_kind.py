"""Series of numbers, such as those of sensors, as a kind of data and as one target task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lit_metanas.inputs.shapes import SeriesShape, Shape
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind, Prepared
from lit_metanas.kinds.labelled_examples import labelled_examples
from lit_metanas.kinds.series.scaled_series import RawSeries, ScaledSeries, series_array
from lit_metanas.kinds.series.series_files import (
    ARCHIVE_SUFFIX,
    SERIES_TABLES,
    RecordedSeries,
    SeriesValues,
    archive_pair,
    read_series,
    series_column,
)
from lit_metanas.kinds.texts.table_files import read_rows
from lit_metanas.objectives.objective import Objective
from lit_metanas.spaces import RocketSpace, SearchSpace, SequenceSpace
from lit_metanas.spaces.any_input.rocket_space import LEVELS
from lit_metanas.tasks.labels import ClassNames, Groups, Labels
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.splits import check_shares, tell_shared_groups
from lit_metanas.tasks.task import SingleTask, Split, Task, warn_of_data

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


def task_from_series(
    X: Sequence[RawSeries],
    y: Labels,
    X_test: Sequence[RawSeries] | None = None,
    y_test: Labels | None = None,
    *,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    classes: ClassNames | None = None,
    group: Groups | None = None,
    min_per_class: int | None = None,
    targets: Targets | None = None,
    preprocessing: ScaledSeries | None = None,
    id: str = "series",
) -> Task:
    """Make a target task of series. Each class is split at random by the shares, unless the test part is given.

    Args:
        X: an array ``(n, channels, steps)``, or a list of arrays ``(channels, steps)`` of any lengths. NaN is a missing
            value, and NaN in all channels to the end is no part of a series.
        y: one label a series: numbers, names, or whatever else is hashable.
        X_test: series of the test part, in the order in which they stay.
        y_test: their labels.
        val: share of each class to choose architectures by; 0 leaves the task without a validation part.
        test: share of each class to report accuracy on, where ``X_test`` is not given. What is left is for training.
        seed: of the split, at least 0.
        classes: names of the classes, as in ``task_from_arrays``; None takes the labels themselves.
        group: of each of ``X`` which others it belongs to, such as a patient: those of a group go into one part.
        min_per_class: classes with fewer series are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        preprocessing: what makes inputs, fitted on the series to learn from; None takes ``ScaledSeries``.
        id: the task's name in records and results.

    Raises:
        ValueError: series or labels are malformed, there are too few of a class, or an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> X, y = [np.random.rand(3, 20 + n) for n in range(20)], ["walk", "run"] * 10
        >>> task = lm.kinds.task_from_series(X, y)
        >>> task.shape, task.classes, len(task.train), len(task.val), len(task.test)
        (SeriesShape(features=4, steps=39), ('run', 'walk'), 12, 4, 4)
    """
    if (X_test is None) != (y_test is None):
        raise ValueError("X_test and y_test belong together: give both or neither.")
    tested = None
    if X_test is not None and y_test is not None:
        tested, test = (_in_memory(X_test, "X_test"), y_test), 0.0
    check_shares("task_from_series", val=val, test=test, drawn=tested is None, seed=seed)
    return _task(
        id,
        _in_memory(X, "X"),
        y,
        tested=tested,
        shares=(None, val, test),
        seed=seed,
        preprocessing=preprocessing,
        targets=targets,
        classes=classes,
        group=group,
        min_per_class=min_per_class,
    )


def _in_memory(series: Sequence[RawSeries], name: str) -> list[SeriesValues]:
    return [series_array(one, f"{name}[{at}]") for at, one in enumerate(series)]


class SeriesTask(SingleTask):
    r"""One's own series of numbers, such as those of sensors, as a collection of a single task.

    A path is one of: a folder with a folder of CSV files for each class, a file for each series, a column for each
    channel; a long table with a row for each step in the order of time, and a column of the series' ids; a file of the
    UCR archive (``.ts``), or a folder with ``NAME_TRAIN.ts`` and ``NAME_TEST.ts``. Columns of time are not learned
    from. A value that is empty, ``NA``, ``nan``, ``null`` or ``?`` is missing.

    Args:
        path: the file or folder.
        id: of a long table, the column that says which rows are one series; None finds it by a usual name, such as
            ``id``.
        label: its column of labels; None finds it by a usual name, such as ``label``.
        train: share of each class's series to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: of the random split, at least 0.
        test_path: the path of the series to report accuracy on, in place of some of ``path``.
        group: which series belong together, and so into one part: the column of a long table, or of files what
            ``FolderTask`` takes.
        preprocessing: what makes inputs, fitted on the series to learn from; None takes ``ScaledSeries``.
        min_per_class: classes with fewer series are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file is malformed, there are too few series of a class, the test series have a label of their own,
            or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> label = ["flat", "up"]
        >>> rows = [f"{n},{step},{n % 2 * step},{label[n % 2]}" for n in range(10) for step in range(4)]
        >>> size = Path("slopes.csv").write_text("\n".join(["id,time,height,label", *rows]))
        >>> task = lm.kinds.SeriesTask("slopes.csv")[0]
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('flat', 'up'), SeriesShape(features=2, steps=4), 6, 2, 2)
    """

    def __init__(
        self,
        path: str,
        id: str | None = None,
        label: str | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_path: str | None = None,
        group: str | None = None,
        preprocessing: ScaledSeries | None = None,
        min_per_class: int | None = None,
        targets: Targets | None = None,
    ) -> None:
        check_shares("SeriesTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        made = preprocessing or ScaledSeries()
        first, second = archive_pair(self.path) or (self.path, None)
        if test_path is not None:
            first, second = self.path, Path(test_path)
        series = read_series(first, id, label, group, made.names)
        groups, names = [one.group for one in series], series[0].names
        self._labelled = _labelled(series)
        self._options: dict[str, Any] = {
            "shares": (train, val, test),
            "seed": seed,
            "preprocessing": replace(made, names=names),
            "group": group and groups,
            "min_per_class": min_per_class,
            "targets": targets,
            "where": [one.where for one in series],
        }
        if second is not None:
            tested = read_series(second, id, label, group, names)
            self._options |= {
                "shares": (None, val, 0.0),
                "tested": _labelled(tested),
                "where": [one.where for one in tested],
            }
            if group is not None:
                tell_shared_groups(f"'{writable(str(second))}'", groups, [one.group for one in tested])

    def make(self) -> Task:
        """Split the series and make inputs of them."""
        return _task(self.path.resolve().stem, *self._labelled, place=f"'{writable(str(self.path))}'", **self._options)


def _labelled(series: Sequence[RecordedSeries]) -> tuple[list[SeriesValues], list[str]]:
    return [series_array(one.values, one.where) for one in series], [one.label for one in series]


def _task(
    id: str,
    series: Sequence[SeriesValues],
    labels: Labels,
    *,
    shares: tuple[float | None, float, float],
    seed: int,
    preprocessing: ScaledSeries | None,
    tested: tuple[Sequence[SeriesValues], Labels] | None = None,
    where: Sequence[str] = (),
    **labelled_as: Any,
) -> Task:
    labelled = labelled_examples(len(series), labels, noun="series", **labelled_as)
    divided = labelled.divided(shares, seed)
    own = [[series[place] for place in places.tolist()] for places, _ in divided]
    shown, answers = tested or ((), ())
    every = [*series, *shown]
    made = (preprocessing or ScaledSeries()).reaching(max(one.shape[1] for one in every)).fitted(own[0])
    parts = [Split(made.encode(part), targets) for part, (_, targets) in zip(own, divided, strict=True)]
    given = None
    if shown:
        given = made.encode(shown), answers
    if missing := sum(int(np.isnan(one).sum()) for one in every):
        number = f"{missing:,} of {sum(one.size for one in every):,}"
        warn_of_data(f"{labelled.place}: {number} values are missing, and are interpolated in time.")
    return labelled.task(id, parts, given, preprocessing=made, names=where)


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
            label=source.label,
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
        found = [one for _, file in super().new_examples(paths) for one in read_series(file, labelled=False)]
        # The channels of an archive have no names.
        return [(one.where, dict(zip(one.names, one.values, strict=False)) or one.values) for one in found]

    def describe(self, task: Task) -> str:
        """How many channels and steps they have."""
        made = task.preprocessing
        if not isinstance(made, ScaledSeries):
            return ""
        return f", of {number_of(len(made.means), 'channel')} and up to {number_of(made.steps * made.every, 'step')}"
