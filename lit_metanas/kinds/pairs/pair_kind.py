"""Pairs of texts as a kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from lit_metanas.inputs.shapes import Shape
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.text import writable
from lit_metanas.kinds.kind import Kind, MadeBefore, Source
from lit_metanas.kinds.pairs.parallel_task import ParallelTask
from lit_metanas.kinds.pairs.table_kinds import kind_of_table
from lit_metanas.kinds.pairs.text_pairs import SOURCE_TEXT_COLUMNS, TARGET_TEXT_COLUMNS, read_pairs
from lit_metanas.kinds.texts.new_texts import new_texts
from lit_metanas.kinds.texts.text_tables import SUFFIXES_OF_TABLES, free_columns, guess_two, listed, read_rows
from lit_metanas.kinds.texts.vocabularies import characters_for
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.translation import Translation
from lit_metanas.spaces import EncoderDecoderSpace, SearchSpace, SequenceSpace
from lit_metanas.tasks.task import Task


class PairKind(Kind):
    """Texts, each with the text that it becomes, such as its translation."""

    name = "pairs"
    noun = "pairs of texts"
    configuration = "encoder_decoder_small.yaml"
    labelled = False
    incumbent: ClassVar = {"operation": "gru"}

    def claims(self, path: Path, group: str | None) -> bool:
        """A table of two texts, neither of which repeats as labels do."""
        return kind_of_table(path, group) == self.name

    def holds(self, task: Task) -> bool:
        """By its objective."""
        return isinstance(task.goal, Translation)

    def read(self, source: Source) -> Task:
        """Of a table; networks have as many steps as the longest texts need, and some for longer ones."""
        made = source.prepared
        if made is None:
            parts = [part for part in (source.path, source.test) if part is not None]
            pairs = [pair for part in parts for _, pair in read_pairs(part, group=source.group)]
            sources, targets = zip(*pairs, strict=True)
            made = characters_for(map(str, sources)), characters_for(map(str, targets))
        first, second = made
        return ParallelTask(
            str(source.path),
            preprocessing=first,
            target_preprocessing=second,
            test_path=source.test_path,
            group=source.group,
        )[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Small encoders and decoders."""
        encoder = SequenceSpace(
            operations=("conv_3", "gru"), depths=(1, 2), dropouts=(0.0, 0.2), skips=("residual",), readouts=("each",)
        )
        return EncoderDecoderSpace(
            encoder, decoders=("gru",), decoder_depths=(1, 2), target_steps=objective.steps or 80
        )

    def as_before(self, made: MadeBefore, place: str) -> tuple[TextPreprocessing, TextPreprocessing] | None:
        """The same tokens of sources and targets."""
        if made.inputs is None or made.outputs is None:
            return None
        first, second = (TextPreprocessing.checked(each, writable(place)) for each in (made.inputs, made.outputs))
        return first, second

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The sources of tables, with or without targets, or the lines of other files."""
        return list(new_texts(paths, _sources))


def _sources(file: Path) -> list[str] | None:
    """The sources of a table of pairs, with or without targets; None where the file is no table."""
    if file.suffix.lower() not in SUFFIXES_OF_TABLES:
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
