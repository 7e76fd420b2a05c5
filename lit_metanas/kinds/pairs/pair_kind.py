"""Pairs of texts as a kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lit_metanas.inputs.shapes import Shape
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.text import writable
from lit_metanas.kinds.kind import Kind, MadeBefore, Source
from lit_metanas.kinds.pairs.parallel_task import ParallelTask
from lit_metanas.kinds.pairs.table_kinds import kind_of_table
from lit_metanas.kinds.pairs.text_pairs import read_pairs
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
