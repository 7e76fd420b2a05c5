"""Pairs of texts as a kind of data, and which kind a table holds: rows, labelled texts or pairs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from lit_metanas.inputs import Shape, TextPreprocessing
from lit_metanas.io.class_folders import EXCLUDED
from lit_metanas.io.text import writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind, MadeBefore, known_kinds
from lit_metanas.kinds.listed_files import file_column
from lit_metanas.kinds.pairs.parallel_texts import (
    SOURCE_TEXT_COLUMNS,
    TARGET_TEXT_COLUMNS,
    ParallelTask,
    find_pair_columns,
    read_pairs,
)
from lit_metanas.kinds.rows.cells import CellError
from lit_metanas.kinds.rows.row_tasks import (
    find_row_columns,
    has_text_and_columns,
    label_of_rows,
    seem_rows,
)
from lit_metanas.kinds.texts.table_files import SUFFIXES_OF_TABLES, TableRow, is_table_file, read_rows
from lit_metanas.kinds.texts.text_tables import (
    LABEL_COLUMNS,
    TEXT_COLUMNS,
    NamelessColumnsError,
    check_columns,
    columns_of,
    find_columns,
    free_columns,
    guess_two,
    label_text_of,
    listed,
    new_texts,
    table_rows,
    usual_column,
)
from lit_metanas.kinds.texts.vocabularies import characters_for
from lit_metanas.objectives import Objective, Translation
from lit_metanas.spaces import EncoderDecoderSpace, SearchSpace, SequenceSpace
from lit_metanas.tasks.labels import are_label_sets
from lit_metanas.tasks.number_targets import are_numbers
from lit_metanas.tasks.splits import FEWEST_OF_A_LABEL
from lit_metanas.tasks.task import Task

TableKind: TypeAlias = Literal["rows", "texts", "tables", "pairs"]

_LABELS_ALONE = frozenset(LABEL_COLUMNS) - frozenset(TARGET_TEXT_COLUMNS)


def kind_of_table(path: Path, group: str | None, label: str | None = None) -> TableKind | None:
    """Rows, texts or both with labels, or pairs of texts."""
    if not is_table_file(path):
        return None
    state = path.stat()
    return _kind_of_table(path, group, label, (state.st_mtime_ns, state.st_size), (*EXCLUDED.get(),))


@lru_cache(maxsize=1)  # four kinds ask for it, one after another
def _kind_of_table(
    path: Path, group: str | None, named: str | None, version: tuple[int, int], excluded: tuple[str, ...]
) -> TableKind | None:
    """The kind of a table, as it is now; None where it names files."""
    rows, place = table_rows(path, named), writable(str(path))
    suffixes = {suffix for kind in known_kinds() for suffix in kind.class_files}
    if rows and file_column(rows, suffixes, path) is not None:
        return None
    try:
        found = _kind_by_label(rows, place, group, named) if named is not None else _kind_of_rows(rows, place, group)
    except NamelessColumnsError:
        raise
    except ValueError:
        if not has_text_and_columns(rows, place, group, named):
            raise
        return "tables"
    if found == "texts" and has_text_and_columns(rows, place, group, named):
        return "tables"
    return found


def _kind_of_rows(rows: Sequence[TableRow], place: str, group: str | None) -> Literal["rows", "texts", "pairs"]:
    """Rows or texts, whose labels are in a column that is found, or pairs."""
    label = target = numbered = None
    reason = ""
    if group is not None:
        check_columns(rows, place, group=group)
    try:
        numbered = label_of_rows(rows, place, group)
    except ValueError as error:
        repeats = isinstance(error, CellError) and _repeats(rows, find_row_columns(rows, place, None, None, group)[0])
        if repeats or isinstance(error, NamelessColumnsError):
            raise
        reason = str(error)
    if numbered is not None and (_repeats(rows, numbered) or _are_targets(rows, numbered)):
        return "rows"
    with suppress(ValueError):
        _, label = find_columns(rows, place, None, None, group=group)
        if _are_targets(rows, label):
            return "texts"
    with suppress(ValueError):
        _, target = find_pair_columns(rows, place, None, None, group=group)
    if label is None and target is None:
        if reason and (usual_column(columns_of(rows), LABEL_COLUMNS) is not None or seem_rows(rows, place)):
            raise ValueError(reason)
        find_columns(rows, place, None, None, group=group)  # which says what it lacks
    if target is None or (label is not None and (label.lower() in _LABELS_ALONE or _repeats(rows, target))):
        return "texts"
    return "pairs"


def _kind_by_label(rows: Sequence[TableRow], place: str, group: str | None, label: str) -> Literal["rows", "texts"]:
    try:
        label_of_rows(rows, place, group, label)
    except ValueError:
        check_columns(rows, place, label=label, group=group)
        with suppress(ValueError):
            find_columns(rows, place, None, label, group=group)
            return "texts"
        raise
    return "rows"


def _are_targets(rows: Sequence[TableRow], column: str) -> bool:
    """Whether a column holds numbers to be predicted or sets of labels, and no texts to be written of a source."""
    source = usual_column(columns_of(rows), [name for name in SOURCE_TEXT_COLUMNS if name not in TEXT_COLUMNS])
    if source is not None and column.lower() in TARGET_TEXT_COLUMNS:
        return False
    labels = [label_text_of(row.get(column)) for _, row in rows]
    return are_numbers(labels) or are_label_sets(labels)


def _repeats(rows: Sequence[TableRow], column: str) -> bool:
    """Whether what a column holds stands several times, as labels do."""
    return FEWEST_OF_A_LABEL * len({str(row.get(column)) for _, row in rows}) <= len(rows)


class PairKind(Kind):
    """Texts, each with the text that it becomes, such as its translation."""

    name = "pairs"
    noun = "pairs of texts"
    new_files = frozenset({".txt", *SUFFIXES_OF_TABLES})
    piped = ".txt"
    labelled = False
    first: ClassVar = ({"operation": "gru"},)

    def claims(self, path: Path, group: str | None) -> bool:
        """A table of two texts, neither of which repeats as labels do."""
        return kind_of_table(path, group) == self.name

    def holds(self, task: Task) -> bool:
        """By its objective."""
        return isinstance(task.goal, Translation)

    def read(self, source: Source) -> Task:
        """Of a table; networks have as many steps as the longest texts need, and some for longer ones."""
        if source.group is not None:
            raise ValueError("Pairs of texts are divided by their sources: leave 'group' out.")
        made = source.prepared
        if made is None:
            pairs = [pair for part in filter(None, (source.path, source.test)) for _, pair in read_pairs(part)]
            sources, targets = zip(*pairs, strict=True)
            made = characters_for(map(str, sources)), characters_for(map(str, targets))
        first, second = made
        return ParallelTask(
            str(source.path),
            preprocessing=first,
            target_preprocessing=second,
            test_path=source.test_path,
        )[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Small encoders and decoders."""
        return EncoderDecoderSpace(
            SequenceSpace(
                operations=("conv_3", "gru"),
                depths=(1, 2),
                dropouts=(0.0, 0.2),
                skips=("residual",),
                readouts=("each",),
            ),
            decoders=("gru",),
            decoder_depths=(1, 2),
            target_steps=objective.steps or 80,
        )

    def as_before(self, made: MadeBefore, place: str) -> tuple[TextPreprocessing, TextPreprocessing] | None:
        """The same tokens of sources and targets."""
        if made.inputs is None or made.outputs is None:
            return None
        first, second = (TextPreprocessing.checked(each, writable(place)) for each in (made.inputs, made.outputs))
        return first, second

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The sources of tables, with or without targets, or the lines of other files."""
        return new_texts(paths, _sources)


def _sources(file: Path) -> list[str] | None:
    """The sources of a table of pairs, with or without targets; None where the file is no table."""
    if not is_table_file(file):
        return None
    rows, place = list(read_rows(file)), writable(str(file))
    free = free_columns(rows, place)
    source, target = guess_two(free, (None, None), (SOURCE_TEXT_COLUMNS, TARGET_TEXT_COLUMNS))
    if source is None and len(free) == 1 and target is None:
        source = free[0]
    if source is None:
        raise ValueError(
            f"'{place}' has the columns {listed(free)}, and none is called 'source' or alike: call that of the texts "
            "so, or give a file that ends in .txt, with one text a line."
        )
    return [str(row.get(source) or "").strip() for _, row in rows]
