"""The table of what an exported network says of new examples: printed, and written as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lit_metanas.inputs.shapes import as_shape
from lit_metanas.io.files import open_regular, own_path, write_whole
from lit_metanas.io.text import cell_text, printable, utf8_text, writable
from lit_metanas.kinds import Columns, LogMel, TextRows
from lit_metanas.kinds.questions.question_words import SEPARATOR_SHOWN
from lit_metanas.kinds.sounds.sound_files import read_sound
from lit_metanas.objectives import Classification, Regression, SeveralLabels
from lit_metanas.tasks.task import warn_of_data
from lit_metanas.training.export.exported_program import load, network_inputs

# Examples that are printed, and characters of each.
SHOWN, LONGEST_PRINTED = 20, 200

# Named as the file to write, it gets the table alone, so that other programs can read it.
STANDARD_OUTPUT = "-"

# What the first column of a table of predictions is called, by what they are of; else `row`.
_COLUMNS = {"images": "file", "sounds": "file", "examples": "file", "texts": "text", "questions": "text"}

# The column of what a network says that tells no classes apart.
_WRITTEN = "written"

# How the files begin that are written here: others are not replaced.
_PREDICTIONS = re.compile(
    r'(file|text|row),("?class"?,probability,|labels,"?p\(|"?prediction|written\n)|\[\s*\{\s*"(file|text|row)":'
)

Row = dict[str, str | float]


class ReadBatch(NamedTuple):
    """What an exported network says of a batch."""

    found: Tensor | list[str]  # probabilities, shape (n, classes), numbers, or what is said
    rows: list[Row]  # of the table
    kept: list[int]  # the places of the examples that have a row
    unreadable: list[str]  # why files were left out


class PredictionTable:
    """Runs an exported network on batches of named examples; prints what it says and writes the table."""

    def __init__(self, directory: Path, output: str) -> None:
        self.exported = load(directory)
        self.output = None if output == STANDARD_OUTPUT else _checked_output(output)
        self._told_of_cut = False
        self._classifies = isinstance(self.exported.goal, Classification | SeveralLabels)

    def predict(self, batch: Sequence[tuple[str, Any]]) -> ReadBatch:
        """What the network says of a batch of names and examples; raises ValueError for examples of another kind."""
        noun, column = self.exported.noun, _column(batch[0][1])
        if column != _COLUMNS.get(noun, "row"):
            raise ValueError(f"The exported network is for {noun}: say so by --kind {noun}.")
        inputs: Any = [example for _, example in batch]
        kept, unreadable = list(range(len(batch))), list[str]()
        if column != "text":  # any text can be read
            inputs, kept, unreadable = _readable(batch, self._inputs_of)
        if not kept:
            return ReadBatch([], [], [], unreadable)
        self._tell_of_cut([batch[place][1] for place in kept])
        found, answers = self._answers(inputs)
        rows = [{column: utf8_text(batch[at][0]), **answer} for at, answer in zip(kept, answers, strict=True)]
        return ReadBatch(found, rows, kept, unreadable)

    def _inputs_of(self, batch: Sequence[tuple[str, Any]]) -> Tensor:
        """The inputs of some examples; raises ValueError or OSError where one cannot be read."""
        made, given = self.exported.preprocessing, [example for _, example in batch]
        if isinstance(made, Columns | TextRows):
            return made.encode(given, where=[name for name, _ in batch])
        return network_inputs(given, as_shape(self.exported.shape), made)

    def _answers(self, inputs: Any) -> tuple[Tensor | list[str], list[Row]]:
        goal, classes = self.exported.goal, self.exported.classes
        if not isinstance(goal, Classification | SeveralLabels | Regression):
            said = self.exported.show(inputs)
            return said, [{_WRITTEN: each} for each in said]
        found = self.exported.predict(inputs)
        if isinstance(goal, Classification):
            best = goal.unshifted(found).argmax(1).tolist()
            return found, [_of_class(row, place, classes) for row, place in zip(found.tolist(), best, strict=True)]
        return found, [_of_numbers(goal.columns(row, classes)) for row in found.tolist()]

    def write(self, rows: list[Row]) -> None:
        """Print the first rows, and write all of them."""
        table = _csv(rows)
        if self.output is None:
            print(table, end="")
            return
        for row in rows[:SHOWN]:
            print(_line(row))
        if self.output.suffix == ".json":
            table = json.dumps(rows, indent=1, ensure_ascii=False)
        write_whole(self.output, table)
        which = "All"
        if len(rows) > SHOWN:
            which = f"… and {len(rows) - SHOWN} more; all"
        what = "probabilities" if self._classifies else self.exported.goal.noun
        why = ""
        if getattr(self.exported.goal, "shift", None):
            why = " A class that is rare is predicted even if another one is more probable."
        print(f"{which} {what} are in {writable(str(self.output))}.{why}")

    def _tell_of_cut(self, examples: Sequence[Any]) -> None:
        """Say once that sounds are longer than what is read of them."""
        made = self.exported.preprocessing
        if self._told_of_cut or not isinstance(made, LogMel):
            return
        for file in examples:
            seconds = read_sound(file, lambda rate: 1).seconds
            if made.cuts(seconds):
                self._told_of_cut, most = True, made.longest / made.rate
                warn_of_data(
                    f"'{writable(str(file))}' lasts {seconds:.2f} s, and {most:.2f} s are read: the rest of longer "
                    f"{self.exported.noun} is left out."
                )
                return


def _of_class(probabilities: Sequence[float], best: int, classes: Sequence[str]) -> Row:
    shares = [round(one, 6) for one in probabilities]
    named: Row = {f"p({name})": share for name, share in zip(classes, shares, strict=True)}
    return {"class": classes[best], "probability": shares[best], **named}


def _of_numbers(columns: Mapping[str, str | float]) -> Row:
    return {name: one if isinstance(one, str) else float(f"{one:.6g}") for name, one in columns.items()}


def _line(row: Row) -> str:
    (kind, given), *answer = row.items()
    example = printable(str(given))
    if kind == "text":  # a tab stands between a passage and its question
        example = printable(str(given).replace("\t", f" {SEPARATOR_SHOWN} "), LONGEST_PRINTED)
    match row:
        case {"class": name, "probability": float(share)}:
            return f"{example}: {printable(str(name))} ({share:.1%})"
        case {"labels": said} | {"written": said}:
            return f"{example}: {printable(str(said))}"
    return f"{example}: {', '.join(f'{printable(name)} {value:.6g}' for name, value in answer)}"


def predict_command(folder: str, kind: str | None = None) -> list[str]:
    """The words of the command that runs the exported network in a folder on new examples."""
    words = ["predict", folder, "FILE"]
    if kind is not None and "." in kind:
        words += ["--kind", kind]
    return words


def _readable(
    batch: Sequence[tuple[str, Any]], inputs_of: Callable[[Sequence[tuple[str, Any]]], Tensor]
) -> tuple[Tensor, list[int], list[str]]:
    """The inputs of those examples that can be read, their places, and why each of the others cannot."""
    with suppress(ValueError, OSError):  # to be found one by one
        return inputs_of(batch), list(range(len(batch))), []
    inputs, kept, reasons = list[Tensor](), list[int](), list[str]()
    for place, one in enumerate(batch):
        try:
            inputs.append(inputs_of([one]))
            kept.append(place)
        except (ValueError, OSError) as error:
            reasons.append(str(error))
    return torch.cat(inputs or [torch.zeros(0)]), kept, reasons


def _column(example: Any) -> str:
    match example:
        case Path():
            return "file"
        case str():
            return "text"
    return "row"


def _checked_output(output: str) -> Path:
    file = own_path(output, "output")
    if file.suffix not in (".csv", ".json"):
        raise ValueError(f"The output '{output}' is neither CSV nor JSON: let its name end in .csv or .json.")
    if os.path.lexists(file) and not _holds_predictions(file):
        raise ValueError(f"'{output}' already exists and holds no predictions: give another 'output'.")
    return file


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(map(cell_text, rows[0]))
    for row in rows:
        lines.writerow([cell_text(value) if isinstance(value, str) else value for value in row.values()])
    return text.getvalue()


def _holds_predictions(file: Path) -> bool:
    with suppress(ValueError, OSError), open_regular(file) as stream:
        return not file.is_symlink() and _PREDICTIONS.match(stream.read(1000).decode(errors="replace")) is not None
    return False
