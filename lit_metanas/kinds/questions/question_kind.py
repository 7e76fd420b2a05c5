"""Questions about passages as a kind of data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.text import writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.questions.squad import SquadTask, read_questions
from lit_metanas.kinds.texts.table_files import SUFFIXES_OF_TABLES, is_table_file, read_rows
from lit_metanas.kinds.texts.text_tables import free_columns, guess_two, listed, new_texts
from lit_metanas.objectives import Objective, Span
from lit_metanas.spaces import SearchSpace, SequenceSpace
from lit_metanas.tasks.task import Task

# Names by which columns are found, whatever their case.
QUESTION_COLUMNS = ("question", "query")
PASSAGE_COLUMNS = ("context", "passage", "story", "paragraph", "document", "text")


class QuestionKind(Kind):
    """Questions that a part of their passage answers, in SQuAD's format."""

    name = "questions"
    noun = "questions"
    new_files = frozenset({".json", ".txt", *SUFFIXES_OF_TABLES})
    piped = ".txt"
    labelled = False
    first: ClassVar = ({"operation": "gru", "depth": "2"},)

    def claims(self, path: Path, group: str | None) -> bool:
        """A JSON file."""
        return path.suffix.lower() == ".json" and not is_table_file(path)

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

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """Questions with their passages: in SQuAD's format, of tables, or of lines with a tab between the two."""
        return new_texts(paths, _questions)


def _questions(file: Path) -> list[str] | None:
    """Questions and passages with a tab between, of SQuAD's format or of a table; None where the file is neither."""
    place = writable(str(file))
    if not is_table_file(file):
        if file.suffix.lower() != ".json":
            return None
        return [_with_passage(one.question, one.passage) for one in read_questions(file, answered=False)]
    rows = list(read_rows(file))
    free = free_columns(rows, place)
    question, passage = guess_two(free, (None, None), (QUESTION_COLUMNS, PASSAGE_COLUMNS))
    if question is None or passage is None:
        raise ValueError(
            f"'{place}' has the columns {listed(free)}: call those of questions and their passages 'question' and "
            "'context', or give a file that ends in .txt, with a question, a tab and its passage on each line."
        )
    return [_with_passage(str(row.get(question) or ""), str(row.get(passage) or "")) for _, row in rows]


def _with_passage(question: str, passage: str) -> str:
    """A question and its passage as one text, as preprocessings take it; empty where one of them is."""
    words, passage = " ".join(question.split()), passage.strip()
    if not words or not passage:
        return ""
    return f"{words}\t{passage}"
