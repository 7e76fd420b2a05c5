"""An exported network as a LightningModule, which the verb ``predict`` runs on new examples."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape, as_shape
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.text import MOST_NAMED, cell_text, printable, utf8_text, writable
from lit_metanas.kinds.new_examples import NewRows
from lit_metanas.kinds.questions.question_words import SEPARATOR_SHOWN, QuestionPreprocessing
from lit_metanas.kinds.rows.standardised_columns import NumericColumns, row_numbers
from lit_metanas.kinds.sounds import LogMel
from lit_metanas.kinds.sounds.sound_files import read_sound
from lit_metanas.kinds.texts.text_tables import TableRow
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.task import warn_of_data
from lit_metanas.training.collectives import gather_lists
from lit_metanas.training.export.exported_program import load_exported, network_inputs
from lit_metanas.training.export.network_description import DESCRIPTION, exported_noun, exported_texts

SHOWN, LONGEST_PRINTED = 20, 200
"""Examples that are printed, and characters of each."""

GIVEN_BY = {
    "images": ("NewImages", "--data.images", "NEW_IMAGES"),
    "sounds": ("NewSounds", "--data.sounds", "NEW_SOUNDS"),
    "texts": ("NewTexts", "--data.texts", "FILE"),
    "rows": ("NewRows", "--data.rows", "FILE"),
}
"""How the verb ``predict`` is given new examples, by what they are: data module, key and value."""

GIVEN_AS = {"images": "files", "sounds": "files", "texts": "texts", "examples": "files"}
"""What batches of new examples hold, by what they are; of other kinds they hold rows: each a name and an example."""

STANDARD_OUTPUT = "-"
"""Named as the file to write, it gets the table alone, so that other programs can read it."""

Row = dict[str, str | float]


class _Told(NamedTuple):
    """What is said of the examples of a batch: its place, rows of the table, and why files were left out."""

    place: int
    rows: list[Row]
    unreadable: list[str]


WRITTEN = "written"
"""The column of what a network says that tells no classes apart."""


class ExportedModel(LightningModule):
    """Runs an exported network on new images, sounds, texts or rows; prints what it says of each and writes a file.

    Of a network that tells classes apart these are the class of each, and in the file all probabilities, too. Of others
    they are what the objective is about: transcripts, texts such as translations, or answers. Files that cannot be read
    are left out, and named in a warning.

    Args:
        directory: the folder of an exported network, or one in which it is the only one.
        output: the file to write, CSV, or JSON if it is so named; it replaces earlier predictions, and nothing else.
            With ``-`` the table is printed as CSV, and nothing else is.

    Attributes:
        unreadable: why each file of the last prediction was left out.

    Raises:
        ValueError: there is no exported network, or several; the output is of another kind, or a file is there already
            that holds no predictions.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> model = lm.training.ExportedModel("out")
        >>> model.exported.classes
        ('cat', 'dog')
    """

    def __init__(self, directory: str, output: str = "predictions.csv") -> None:
        super().__init__()
        # Not a submodule: an exported program has no training mode, and stays on the CPU.
        self.exported = load_exported(_only_export(Path(directory)))
        self.output = None if output == STANDARD_OUTPUT else _checked_output(output)
        self.unreadable: list[str] = []
        self._batches: list[_Told] = []
        self._told_of_cut = False

    def on_predict_start(self) -> None:
        """Forget earlier examples."""
        self._batches, self._told_of_cut = [], False

    def predict_step(self, batch: list[Path] | list[str] | list[TableRow], batch_idx: int) -> Tensor | list[str]:
        """Probabilities, shape ``(n, classes)``, of a batch of files, texts or rows; or what is said."""
        exported, kind = self.exported, _kind(batch[0])
        if kind != GIVEN_AS.get(exported.noun, "rows"):
            wanted, *_ = GIVEN_BY.get(exported.noun, ("a data module of your own",))
            raise ValueError(f"The exported network is for {exported.noun}: give them by --data {wanted}.")
        given: list[Any] = list(batch)
        names, unreadable = list(map(str, given)), list[str]()
        inputs: Any = given
        if kind == "rows":
            names = [name for name, _ in given]
            inputs = given = [self._numbers(*row) for row in given]
        elif kind == "files":
            inputs, given, unreadable = _readable(given, as_shape(exported.shape), exported.preprocessing)
            names = list(map(str, given))
        if not names:
            self._keep(batch_idx, [], unreadable)
            return torch.zeros(0, len(exported.classes)) if self._classifies else []
        self._tell_of_cut(given)
        found: Tensor | list[str]
        if self._classifies:
            found = exported.predict(inputs)
            answers = [self._of_class(each) for each in found]
        else:
            found = exported.show(inputs)
            answers = [{WRITTEN: each} for each in found]
        key = kind.removesuffix("s")
        rows = [{key: utf8_text(name), **answer} for name, answer in zip(names, answers, strict=True)]
        self._keep(batch_idx, rows, unreadable)
        return found

    def _numbers(self, place: str, row: Any) -> Any:
        """A row as the network takes it; ValueError where a column is missing or a value is no number."""
        made = self.exported.preprocessing
        if not isinstance(made, NumericColumns) or not made.names:
            return row
        if self._only_file is not None:
            place = f"{place} of '{writable(str(self._only_file))}'"
        return row_numbers(row, made.names, place)

    def _keep(self, batch_idx: int, rows: list[Row], unreadable: list[str]) -> None:
        """Remember what is said of a batch, as batches go round the processes."""
        place = batch_idx * self.trainer.world_size + self.trainer.global_rank
        self._batches.append(_Told(place, rows, unreadable))

    @property
    def _only_file(self) -> Path | None:
        """The table that all new rows are of; None where they tell it themselves."""
        data = getattr(self.trainer, "datamodule", None)
        return data.files[0] if isinstance(data, NewRows) and len(data.files) == 1 else None

    def _tell_of_cut(self, examples: Sequence[Any]) -> None:
        """Say once that sounds are cut, or examples of which texts are written; texts to be classified mostly are."""
        if self._told_of_cut or (self._classifies and not isinstance(self.exported.preprocessing, LogMel)):
            return
        if (told := _first_longer(examples, self.exported.preprocessing)) is not None:
            self._told_of_cut = True
            warn_of_data(f"{told}: the rest of longer {self.exported.noun} is left out.")

    @property
    def _classifies(self) -> bool:
        return isinstance(self.exported.objective, Classification | None)

    @property
    def _noun(self) -> str:
        """What the file holds, in the plural."""
        objective = self.exported.objective
        if objective is None or self._classifies:
            return "probabilities"
        return objective.noun

    def _of_class(self, probabilities: Tensor) -> Row:
        named = zip(self.exported.classes, probabilities.tolist(), strict=True)
        by_class = {name: round(value, 6) for name, value in named}
        best = max(by_class, key=by_class.__getitem__)
        shares: Row = {f"p({name})": value for name, value in by_class.items()}
        return {"class": best, "probability": by_class[best], **shares}

    def on_predict_end(self) -> None:
        """Print what was found and write the file, of the examples of all processes, on the first one."""
        batches = sorted(gather_lists(self._batches), key=lambda batch: batch.place)
        rows = [row for batch in batches for row in batch.rows]
        self.unreadable = [reason for batch in batches for reason in batch.unreadable]
        if self.unreadable:
            self._tell_unreadable(len(rows))
        if not self.trainer.is_global_zero:
            return
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
        print(f"{which} {self._noun} are in {writable(str(self.output))}.")

    def _line(self, row: Row) -> str:
        """What is printed of an example."""
        (kind, given), *_ = row.items()
        example = printable(str(given))
        if kind == "text":
            example = printable(str(given).replace("\t", f" {SEPARATOR_SHOWN} "), LONGEST_PRINTED)
        if self._classifies:
            return f"{example}: {printable(str(row['class']))} ({float(row['probability']):.1%})"
        return f"{example}: {printable(str(row[WRITTEN]))}"

    def _tell_unreadable(self, read: int) -> None:
        """Name the files that were left out, and why."""
        reasons, noun = self.unreadable, self.exported.noun
        if not read and len(reasons) > 1:
            raise ValueError(f"{reasons[0]} Nor can {len(reasons) - 1} other {noun} be read.")
        if not read:
            raise ValueError(reasons[0])
        said = f"{len(reasons)} of {read + len(reasons)} {noun} cannot be read, and have no prediction. "
        said += " ".join(reasons[:MOST_NAMED])
        if len(reasons) > MOST_NAMED:
            said += f" And {len(reasons) - MOST_NAMED} more."
        warn_of_data(said)


def predict_command(folder: str, kind: str | None = None) -> list[str]:
    """The words of the command that runs the exported network in a folder on new examples."""
    if kind is not None and "." in kind:
        return ["predict", folder, "FILE", "--kind", kind]
    try:
        noun = exported_noun(folder)
    except (OSError, ValueError):  # which the command would tell
        noun = "images"
    if noun not in GIVEN_BY:
        return ["predict", "--model.directory", folder, "--data", "YOUR_DATA_MODULE"]
    return ["predict", folder, GIVEN_BY[noun][2]]


def example_words(folder: str, paths: Sequence[str], kind: str | None = None) -> list[str]:
    """The keys by which ``predict`` takes an exported network and new examples of the kind that it is for."""
    own = _only_export(Path(folder))
    if kind is not None:
        examples = f"--data.examples={json.dumps(list(paths))}"
        return ["--model.directory", folder, "--data", "NewOfKind", f"--data.kind={kind}", examples]
    noun = exported_noun(own)
    if noun not in GIVEN_BY:
        raise ValueError(
            f"'{folder}' does not tell how inputs are made of files, since its task had no preprocessing: give "
            "--model.directory, and inputs by a data module of your own (--data)."
        )
    data, key, placeholder = GIVEN_BY[noun]
    if not paths:
        command = f"lit-metanas predict {folder} {placeholder}"
        raise ValueError(f"There are no new {noun}: give them right after the folder, as in `{command}`.")
    kind = exported_texts(own) if noun == "texts" else "texts"
    told = [] if kind == "texts" else [f"--data.kind={kind}"]
    return ["--model.directory", folder, "--data", data, f"{key}={json.dumps(list(paths))}", *told]


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
    elif isinstance(preprocessing, QuestionPreprocessing):
        room = preprocessing.room
    else:
        return None
    for text, fits in zip(examples, preprocessing.whole(examples), strict=True):
        if not fits:
            return f"'{printable(' '.join(text.split()), 40)}' has more than the {room} that are read"
    return None


def _readable(
    files: Sequence[Path], shape: Shape, preprocessing: Preprocessing | None
) -> tuple[Tensor, list[Path], list[str]]:
    """The inputs made of files, those that could be read, and why each of the others could not."""
    inputs, read, reasons = list[Tensor](), list[Path](), list[str]()
    for file in files:
        try:
            inputs.append(network_inputs([file], shape, preprocessing))
            read.append(file)
        except (ValueError, OSError) as error:
            reasons.append(str(error))
    return torch.cat(inputs or [torch.zeros(0)]), read, reasons


def _kind(example: object) -> str:
    match example:
        case Path():
            return "files"
        case str():
            return "texts"
    return "rows"


def _checked_output(output: str) -> Path:
    """The file to write."""
    file = own_path(output, "output")
    if file.suffix not in (".csv", ".json"):
        raise ValueError(f"The output '{output}' is neither CSV nor JSON: let its name end in .csv or .json.")
    if os.path.lexists(file) and not _holds_predictions(file):
        raise ValueError(f"'{output}' already exists and holds no predictions: give another 'output' (--model.output).")
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
            return as_list or ((as_table or head[1:] == [WRITTEN]) and head[0] in ("file", "text", "row"))
    return False


def _only_export(directory: Path) -> Path:
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
