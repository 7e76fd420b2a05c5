"""An exported network as a LightningModule, which the verb ``predict`` runs on new examples."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
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
        """Probabilities, shape ``(n, classes)``, of a batch of files, texts or rows; or what is said.

        Raises:
            ValueError: a row is malformed, or the network is for another kind of example.
        """
        shape, kind = as_shape(self.exported.shape), _kind(batch[0])
        if kind != GIVEN_AS.get(self.exported.noun, "rows"):
            wanted, *_ = GIVEN_BY.get(self.exported.noun, ("a data module of your own",))
            raise ValueError(f"The exported network is for {self.exported.noun}: give them by --data {wanted}.")
        made = self.exported.preprocessing
        columns = made.names if isinstance(made, NumericColumns) else ()
        given, told = _parts(batch, columns, self._only_file)
        examples: Any = given
        unreadable: list[str] = []
        if kind == "files":
            examples, given, unreadable = _readable(given, shape, made)
            told = [str(file) for file in given]
        if not told:
            self._keep(batch_idx, [], unreadable)
            return torch.zeros(0, len(self.exported.classes)) if self._classifies else []
        self._tell_of_cut(given)
        names = [{kind.removesuffix("s"): utf8_text(each)} for each in told]
        found = self.exported.predict(examples) if self._classifies else self.exported.show(examples)
        rows: list[Row] = []
        for name, each in zip(names, found, strict=True):
            rows.append({**name, **(self._of_class(each) if isinstance(each, Tensor) else {WRITTEN: each})})
        self._keep(batch_idx, rows, unreadable)
        return found

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
        return "probabilities" if objective is None or self._classifies else objective.noun

    def _of_class(self, probabilities: Tensor) -> Row:
        named = zip(self.exported.classes, probabilities.tolist(), strict=True)
        by_class = {name: round(value, 6) for name, value in named}
        best = max(by_class, key=by_class.__getitem__)
        shares: Row = {f"p({name})": value for name, value in by_class.items()}
        return {"class": best, "probability": by_class[best], **shares}

    def on_predict_end(self) -> None:
        """Print what was found and write the file, of the examples of all processes, on the first one.

        Raises:
            ValueError: none of the files can be read.
        """
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
            (kind, given), *_ = row.items()
            example, longest = str(given), None
            if kind == "text":
                example, longest = example.replace("\t", f" {SEPARATOR_SHOWN} "), LONGEST_PRINTED
            sure = f" ({float(row['probability']):.1%})" if self._classifies else ""
            told = printable(str(row["class" if self._classifies else WRITTEN]))
            print(f"{printable(example, longest)}: {told}{sure}")
        table = json.dumps(rows, indent=1, ensure_ascii=False) if self.output.suffix == ".json" else _csv(rows)
        write_whole(self.output, table)
        more = len(rows) - SHOWN
        print(f"{f'… and {more} more; all' if more > 0 else 'All'} {self._noun} are in {writable(str(self.output))}.")

    def _tell_unreadable(self, read: int) -> None:
        """Name the files that were left out, and why.

        Raises:
            ValueError: no file was read.
        """
        reasons, noun = self.unreadable, self.exported.noun
        if not read:
            more = f" Nor can {len(reasons) - 1} other {noun} be read." if reasons[1:] else ""
            raise ValueError(f"{reasons[0]}{more}")
        more = f" And {len(reasons) - MOST_NAMED} more." if len(reasons) > MOST_NAMED else ""
        told = f"{len(reasons)} of {read + len(reasons)} {noun} cannot be read, and have no prediction"
        warn_of_data(f"{told}. {' '.join(reasons[:MOST_NAMED])}{more}")


def predict_command(folder: str, kind: str | None = None) -> list[str]:
    """The words of the command that runs the exported network in a folder on new examples.

    Args:
        folder: of the network.
        kind: of the examples, as a user has named it.
    """
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
    """The keys by which ``predict`` takes an exported network and new examples of the kind that it is for.

    Args:
        folder: the network's, or one in which it is the only one.
        paths: of the examples.
        kind: of the examples, where it is one of another package.

    Raises:
        FileNotFoundError: there is no exported network.
        ValueError: there are several, no examples, or nothing that makes inputs of them.
    """
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
    """What is to be told of the first example of which something is cut off."""
    if isinstance(preprocessing, LogMel):
        lasting = ((file, read_sound(file, lambda rate: 1).seconds) for file in examples)
        cut = ((file, seconds) for file, seconds in lasting if preprocessing.cuts(seconds))
        most = f"{preprocessing.longest / preprocessing.rate:.2f} s are read"
        return next((f"'{writable(str(file))}' lasts {seconds:.2f} s, and {most}" for file, seconds in cut), None)
    if not isinstance(preprocessing, TextPreprocessing | QuestionPreprocessing):
        return None
    read = f"{preprocessing.steps} tokens" if isinstance(preprocessing, TextPreprocessing) else preprocessing.room
    whole = zip(examples, preprocessing.whole(examples), strict=True)
    long = next((text for text, fits in whole if not fits), None)
    return None if long is None else f"'{printable(' '.join(long.split()), 40)}' has more than the {read} that are read"


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
    return torch.cat(inputs) if inputs else torch.zeros(0), read, reasons


def _kind(example: Path | str | TableRow) -> str:
    return "files" if isinstance(example, Path) else "texts" if isinstance(example, str) else "rows"


def _parts(
    batch: Sequence[Path | str | TableRow], columns: Sequence[str], file: Path | None
) -> tuple[list[Any], list[str]]:
    """The examples of a batch, and what they are called: rows by where they stand, others by themselves.

    Args:
        batch: files, texts or rows.
        columns: of rows, that the network looks at; empty where they have no names.
        file: that all rows are of; None where they tell it themselves.

    Raises:
        ValueError: a row lacks a column, or a value is no number; the sentence tells where.
    """
    examples, names = list[Any](), list[str]()
    for each in batch:
        if isinstance(each, Path | str):
            examples.append(each)
            names.append(str(each))
        else:
            where, row = each
            place = where if file is None else f"{where} of '{writable(str(file))}'"
            examples.append(row_numbers(row, columns, place) if columns else row)
            names.append(where)
    return examples, names


def _checked_output(output: str) -> Path:
    """The file to write.

    Raises:
        ValueError: it would be of another kind, or is there already and holds no predictions.
    """
    file = own_path(output, "output")
    if file.suffix not in (".csv", ".json"):
        raise ValueError(f"The output '{output}' is neither CSV nor JSON: let its name end in .csv or .json.")
    if os.path.lexists(file) and not _holds_predictions(file):
        raise ValueError(f"'{output}' already exists and holds no predictions: give another 'output' (--model.output).")
    return file


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    cells = ([cell_text(cell) if isinstance(cell, str) else cell for cell in row.values()] for row in rows)
    csv.writer(text, lineterminator="\n").writerows([map(cell_text, rows[0]), *cells])
    return text.getvalue()


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
    """The folder itself, or the one below it that holds an exported network.

    Raises:
        ValueError: several do.
    """
    if (directory / DESCRIPTION).is_file():
        return directory
    found = sorted(path.parent for path in directory.rglob(DESCRIPTION))
    if len(found) > 1:
        raise ValueError(
            f"There are {len(found)} exported networks in '{directory}': give the folder of one, for instance "
            f"'{found[0]}'."
        )
    return found[0] if found else directory
