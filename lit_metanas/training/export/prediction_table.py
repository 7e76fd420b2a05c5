"""The table of what an exported network says of new examples: printed, and written as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import as_shape
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.text import MOST_NAMED, cell_text, printable, utf8_text, writable
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.questions.question_words import SEPARATOR_SHOWN, QuestionWords
from lit_metanas.kinds.rows import Columns, TextRows
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.sound_files import read_sound
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import LABELS, NO_LABEL, SeveralLabels, labels_of_text
from lit_metanas.tasks.task import warn_of_data
from lit_metanas.training.export.exported_program import load, network_inputs
from lit_metanas.training.export.network_description import DESCRIPTION, exported_kind

SHOWN, LONGEST_PRINTED = 20, 200
"""Examples that are printed, and characters of each."""

NEW_FILES = {"images": "NEW_IMAGES", "sounds": "NEW_SOUNDS"}
"""What a command calls new examples, by what they are; others stand in a ``FILE``."""

_COLUMNS = {"images": "file", "sounds": "file", "examples": "file", "texts": "text", "questions": "text"}
"""What the first column of a table of predictions is called, by what they are of; else ``row``."""

STANDARD_OUTPUT = "-"
"""Named as the file to write, it gets the table alone, so that other programs can read it."""

Row = dict[str, str | float]


class ReadBatch(NamedTuple):
    """What an exported network says of a batch."""

    found: Tensor | list[str]  # probabilities, shape (n, classes), numbers, or what is said
    rows: list[Row]  # of the table
    kept: list[int]  # the places of the examples that have a row
    unreadable: list[str]  # why files were left out


WRITTEN = "written"
"""The column of what a network says that tells no classes apart."""


class PredictionTable:
    """Runs an exported network on batches of named examples; prints what it says and writes the table."""

    def __init__(self, directory: Path, output: str) -> None:
        self.exported = load(directory)
        self.output = None if output == STANDARD_OUTPUT else _checked_output(output)
        self._told_of_cut = False

    def predict(self, batch: Sequence[tuple[str, Any]]) -> ReadBatch:
        """What the network says of a batch of names and examples; raises ValueError for examples of another kind."""
        exported, column = self.exported, _column(batch[0][1])
        if column != _COLUMNS.get(exported.noun, "row"):
            raise ValueError(f"The exported network is for {exported.noun}: say so by --kind {exported.noun}.")
        names, given, unreadable = [name for name, _ in batch], [example for _, example in batch], list[str]()
        inputs: Any = given
        kept = list(range(len(batch)))
        if column != "text":
            inputs, kept, unreadable = _readable(batch, self._inputs_of)
            names, given = ([own[place] for place in kept] for own in (names, given))
        if not names:
            return ReadBatch(torch.zeros(0, len(exported.classes)) if self._classifies else [], [], [], unreadable)
        self._tell_of_cut(given)
        found: Tensor | list[str]
        if isinstance(exported.objective, SeveralLabels):
            found = exported.predict(inputs)
            answers = [exported.objective.columns(each, exported.classes) for each in found.tolist()]
        elif self._classifies:
            found = exported.predict(inputs)
            answers = [self._of_class(each) for each in found]
        elif isinstance(exported.objective, Regression):
            found = exported.predict(inputs)
            numbers = [exported.objective.columns(each, exported.classes) for each in found.tolist()]
            answers = [{name: float(f"{value:.6g}") for name, value in row.items()} for row in numbers]
        else:
            found = exported.show(inputs)
            answers = [{WRITTEN: each} for each in found]
        rows = [{column: utf8_text(name), **answer} for name, answer in zip(names, answers, strict=True)]
        return ReadBatch(found, rows, kept, unreadable)

    def _inputs_of(self, batch: Sequence[tuple[str, Any]]) -> Tensor:
        """The inputs of some examples; raises ValueError or OSError where one cannot be read."""
        made, given = self.exported.preprocessing, [example for _, example in batch]
        if isinstance(made, Columns | TextRows):
            return made.encode(given, where=[name for name, _ in batch])
        return network_inputs(given, as_shape(self.exported.shape), made)

    def write(self, rows: list[Row]) -> None:
        """Print the first rows, and write all of them."""
        if self.output is None:
            print(_csv(rows), end="")
            return
        for row in rows[:SHOWN]:
            print(self._line(row))
        table = _csv(rows)
        if self.output.suffix == ".json":
            table = json.dumps(rows, indent=1, ensure_ascii=False)
        write_whole(self.output, table)
        which = "All"
        if len(rows) > SHOWN:
            which = f"… and {len(rows) - SHOWN} more; all"
        why = ""
        if getattr(self.exported.objective, "shift", None):
            why = " A class that is rare is predicted even if another one is more probable."
        print(f"{which} {self._noun} are in {writable(str(self.output))}.{why}")

    def report_unreadable(self, reasons: Sequence[str], read: int) -> None:
        """Name the files that were left out, and why; ValueError if none of the others was read."""
        noun = self.exported.noun
        if not reasons:
            return
        if not read and len(reasons) > 1:
            raise ValueError(f"{reasons[0]} Nor can {len(reasons) - 1} other {noun} be read.")
        if not read:
            raise ValueError(reasons[0])
        said = f"{len(reasons)} of {read + len(reasons)} {noun} cannot be read, and have no prediction. "
        said += " ".join(reasons[:MOST_NAMED])
        if len(reasons) > MOST_NAMED:
            said += f" And {len(reasons) - MOST_NAMED} more."
        warn_of_data(said)

    def _tell_of_cut(self, examples: Sequence[Any]) -> None:
        """Say once that sounds are cut, or examples of which texts are written; texts to be classified mostly are."""
        if self._told_of_cut or (self._classifies and not isinstance(self.exported.preprocessing, LogMel)):
            return
        if (told := _first_longer(examples, self.exported.preprocessing)) is not None:
            self._told_of_cut = True
            warn_of_data(f"{told}: the rest of longer {self.exported.noun} is left out.")

    @property
    def _classifies(self) -> bool:
        return isinstance(self.exported.objective, Classification | SeveralLabels | None)

    @property
    def _noun(self) -> str:
        """What the file holds, in the plural."""
        objective = self.exported.objective
        if objective is None or self._classifies:
            return "probabilities"
        return objective.noun

    def _of_class(self, probabilities: Tensor) -> Row:
        named, goal = zip(self.exported.classes, probabilities.tolist(), strict=True), self.exported.goal
        by_class = {name: round(value, 6) for name, value in named}
        assert isinstance(goal, Classification)
        best = self.exported.classes[int(goal.unshifted(probabilities).argmax())]
        shares: Row = {f"p({name})": value for name, value in by_class.items()}
        return {"class": best, "probability": by_class[best], **shares}

    def _line(self, row: Row) -> str:
        """What is printed of an example."""
        (kind, given), *_ = row.items()
        example = printable(str(given))
        if kind == "text":
            example = printable(str(given).replace("\t", f" {SEPARATOR_SHOWN} "), LONGEST_PRINTED)
        if LABELS in row:
            labels = labels_of_text(str(row[LABELS]))
            sure = [(name, float(row[f"p({name})"])) for name in self.exported.classes if name in labels]
            shown = [f"{printable(name)} ({share:.1%})" for name, share in sorted(sure, key=lambda one: -one[1])]
            return f"{example}: {', '.join(shown) or NO_LABEL}"
        if self._classifies:
            return f"{example}: {printable(str(row['class']))} ({float(row['probability']):.1%})"
        if WRITTEN in row:
            return f"{example}: {printable(str(row[WRITTEN]))}"
        return f"{example}: {', '.join(f'{printable(name)} {value:.6g}' for name, value in [*row.items()][1:])}"


def predict_command(folder: str, kind: str | None = None) -> list[str]:
    """The words of the command that runs the exported network in a folder on new examples."""
    if kind is not None and "." in kind:
        return ["predict", folder, "FILE", "--kind", kind]
    try:
        noun = exported_kind(folder)
    except (OSError, ValueError):  # which the command would tell
        noun = "images"
    return ["predict", folder, NEW_FILES.get(noun, "FILE")]


def is_kind(name: str) -> bool:
    """Whether there is a kind of this name, of which new examples can be read of files."""
    with suppress(ValueError):
        kind_named(name)
        return True
    return False


def _first_longer(examples: Sequence[Any], preprocessing: Preprocessing | None) -> str | None:
    """A clause on the first example of which something is cut off; None where nothing is."""
    if isinstance(preprocessing, LogMel):
        for file in examples:
            seconds = read_sound(file, lambda rate: 1).seconds
            if preprocessing.cuts(seconds):
                most = preprocessing.longest / preprocessing.rate
                return f"'{writable(str(file))}' lasts {seconds:.2f} s, and {most:.2f} s are read"
        return None
    if isinstance(preprocessing, TextPreprocessing):
        room = f"{preprocessing.steps} tokens"
    elif isinstance(preprocessing, QuestionWords):
        room = preprocessing.room
    else:
        return None
    for text, fits in zip(examples, preprocessing.whole(examples), strict=True):
        if not fits:
            return f"'{printable(' '.join(text.split()), 40)}' has more than the {room} that are read"
    return None


def _readable(
    batch: Sequence[tuple[str, Any]], inputs_of: Callable[[Sequence[tuple[str, Any]]], Tensor]
) -> tuple[Tensor, list[int], list[str]]:
    """The inputs of those examples that can be read, their places, and why each of the others cannot."""
    try:
        return inputs_of(batch), list(range(len(batch))), []
    except (ValueError, OSError):
        pass  # to be found one by one
    inputs, kept, reasons = list[Tensor](), list[int](), list[str]()
    for place, one in enumerate(batch):
        try:
            inputs.append(inputs_of([one]))
            kept.append(place)
        except (ValueError, OSError) as error:
            reasons.append(str(error))
    return torch.cat(inputs or [torch.zeros(0)]), kept, reasons


def _column(example: Any) -> str:
    """What the first column of the table is called for such an example."""
    match example:
        case Path():
            return "file"
        case str():
            return "text"
    return "row"


def _checked_output(output: str) -> Path:
    """The file to write."""
    file = own_path(output, "output")
    if file.suffix not in (".csv", ".json"):
        raise ValueError(f"The output '{output}' is neither CSV nor JSON: let its name end in .csv or .json.")
    if os.path.lexists(file) and not _holds_predictions(file):
        raise ValueError(f"'{output}' already exists and holds no predictions: give another 'output'.")
    return file


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    lines: list[Iterable[str | float]] = [rows[0].keys(), *(row.values() for row in rows)]
    csv.writer(text, lineterminator="\n").writerows(map(_cell, line) for line in lines)
    return text.getvalue()


def _cell(value: str | float) -> str | float:
    if isinstance(value, str):
        return cell_text(value)
    return value


def _holds_predictions(file: Path) -> bool:
    """Whether a file begins as those that are written here do."""
    with suppress(OSError, csv.Error):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                begin = opened.read(1000).decode(errors="replace")
            head = next(csv.reader(io.StringIO(begin)), [])
            as_table = head[1:3] == ["class", "probability"] and "".join(head[3:4]).startswith("p(")
            as_list = "".join(begin.split()).startswith(('[{"file":', '[{"text":', '[{"row":'))
            as_numbers = "".join(head[1:2]).startswith("prediction")
            as_labels = head[1:2] == [LABELS] and "".join(head[2:3]).startswith("p(")
            as_table = as_table or as_numbers or as_labels or head[1:] == [WRITTEN]
            return as_list or (as_table and head[0] in ("file", "text", "row"))
    return False


def only_export(directory: Path) -> Path:
    """The folder itself, or the one below it that holds an exported network."""
    if (directory / DESCRIPTION).is_file():
        return directory
    found = sorted(path.parent for path in directory.rglob(DESCRIPTION))
    if len(found) > 1:
        raise ValueError(
            f"There are {len(found)} exported networks in '{directory}': give the folder of one, for instance "
            f"'{found[0]}'."
        )
    return next(iter(found), directory)
