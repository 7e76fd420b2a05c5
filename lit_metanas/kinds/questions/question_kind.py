"""Questions about passages as a kind of data."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from lit_metanas.inputs.shapes import Shape
from lit_metanas.kinds.kind import Kind, Source
from lit_metanas.kinds.questions.squad import SquadTask
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.span import Span
from lit_metanas.spaces import SearchSpace, SequenceSpace
from lit_metanas.tasks.task import Task


class QuestionKind(Kind):
    """Questions that a part of their passage answers, in SQuAD's format."""

    name = "questions"
    noun = "questions"
    configuration = "sequence_spans.yaml"
    labelled = False
    incumbent: ClassVar = {"operation": "gru", "depth": "2"}

    def claims(self, path: Path, group: str | None) -> bool:
        """A JSON file."""
        return path.suffix.lower() == ".json"

    def holds(self, task: Task) -> bool:
        """By its objective."""
        return isinstance(task.goal, Span)

    def read(self, source: Source) -> Task:
        """Of a JSON file."""
        if source.group is not None:
            raise ValueError("Questions are divided by their passages: leave 'group' out.")
        return SquadTask(str(source.path), source.test_path)[0]

    def space(self, shape: Shape, objective: Objective) -> SearchSpace:
        """Networks with scores for each step."""
        return SequenceSpace(
            operations=("conv_3", "conv_5", "gated_linear", "attention_4", "gru"),
            activations=("ReLU", "GELU"),
            dropouts=(0.0, 0.2),
            skips=("residual",),
            widths=(32,),
            readouts=("each",),
        )
