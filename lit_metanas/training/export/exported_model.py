"""An exported network as a LightningModule, which the verb ``predict`` runs on new examples."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from lit_metanas.io.files import own_path, write_whole
from lit_metanas.io.text import printable, writable
from lit_metanas.tasks.images.image_files import read_images
from lit_metanas.tasks.inputs import ImageShape, Preprocessing, as_shape
from lit_metanas.tasks.new_examples import NewRows
from lit_metanas.tasks.objective import Classification
from lit_metanas.tasks.questions.question_words import SEPARATOR_SHOWN, QuestionPreprocessing
from lit_metanas.tasks.speech import LogMel
from lit_metanas.tasks.speech.sound_files import read_sound
from lit_metanas.tasks.tabular.standardised_columns import NumericColumns, row_numbers
from lit_metanas.tasks.task import warn_of_data
from lit_metanas.tasks.text.text_tables import TableRow
from lit_metanas.tasks.text.words import TextPreprocessing
from lit_metanas.training.collectives import gather_lists
from lit_metanas.training.export.exported_program import load_exported
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

STANDARD_OUTPUT = "-"
"""Named as the file to write, it gets the table alone, so that other programs can read it."""

Row = dict[str, str | float]

WRITTEN = "written"
"""The column of what a network says that tells no classes apart."""


class ExportedModel(LightningModule):
    """Runs an exported network on new images, sounds, texts or rows; prints what it says of each and writes a file.

    Of a network that tells classes apart these are the class of each, and in the file all probabilities, too. Of others
    they are what the objective is about: transcripts, texts such as translations, or answers.

    Args:
        directory: the folder of an exported network, or one in which it is the only one.
        output: the file to write, CSV, or JSON if it is so named; it replaces earlier predictions, and nothing else.
            With ``-`` the table is printed as CSV, and nothing else is.

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
        >>> model = lm.ExportedModel("out")
        >>> model.exported.classes
        ('cat', 'dog')
    """

    def __init__(self, directory: str, output: str = "predictions.csv") -> None:
        super().__init__()
        # Not a submodule: an exported program has no training mode, and stays on the CPU.
        self.exported = load_exported(_only_export(Path(directory)))
        self.output = None if output == STANDARD_OUTPUT else _checked_output(output)
        self._batches: list[tuple[int, list[Row]]] = []
        self._told_of_cut = False

    def on_predict_start(self) -> None:
        """Forget earlier examples."""
        self._batches, self._told_of_cut = [], False

    def predict_step(self, batch: list[Path] | list[str] | list[TableRow], batch_idx: int) -> Tensor | list[str]:
        """Probabilities, shape ``(n, classes)``, of a batch of files, texts or rows; or what is said.

        Raises:
            ValueError: a file is unreadable, or the network is for another kind of example.
        """
        shape, kind = as_shape(self.exported.shape), _kind(batch[0])
        if kind != (self.exported.noun if self.exported.noun in ("texts", "rows") else "files"):
            wanted, *_ = GIVEN_BY.get(self.exported.noun, ("a data module of your own",))
            raise ValueError(f"The exported network is for {self.exported.noun}: give them by --data {wanted}.")
        made = self.exported.preprocessing
        columns = made.names if isinstance(made, NumericColumns) else ()
        given, told = _parts(batch, columns, self._only_file)
        self._tell_of_cut(given)
        examples = read_images([Path(file) for file in told], shape) if isinstance(shape, ImageShape) else given
        names = [{kind.removesuffix("s"): writable(each)} for each in told]
        found = self.exported.predict(examples) if self._classifies else self.exported.show(examples)
        rows: list[Row] = []
        for name, each in zip(names, found, strict=True):
            rows.append({**name, **(self._of_class(each) if isinstance(each, Tensor) else {WRITTEN: each})})
        # Batches go round the processes.
        self._batches.append((batch_idx * self.trainer.world_size + self.trainer.global_rank, rows))
        return found

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
        """Print what was found and write the file, of the examples of all processes, on the first one."""
        batches = sorted(gather_lists(self._batches), key=lambda batch: batch[0])
        if not self.trainer.is_global_zero:
            return
        rows = [row for _, batch in batches for row in batch]
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


def predict_command(folder: str) -> list[str]:
    """The words of the command that runs the exported network in a folder on new examples."""
    try:
        noun = exported_noun(folder)
    except (OSError, ValueError):  # which the command would tell
        noun = "images"
    if noun not in GIVEN_BY:
        return ["predict", "--model.directory", folder, "--data", "YOUR_DATA_MODULE"]
    return ["predict", folder, GIVEN_BY[noun][2]]


def example_words(folder: str, paths: Sequence[str]) -> list[str]:
    """The keys by which ``predict`` takes an exported network and new examples of the kind that it is for.

    Args:
        folder: the network's, or one in which it is the only one.
        paths: of the examples.

    Raises:
        FileNotFoundError: there is no exported network.
        ValueError: there are several, no examples, or nothing that makes inputs of them.
    """
    own = _only_export(Path(folder))
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
    if file.exists() and not _holds_predictions(file):
        raise ValueError(f"'{output}' already exists and holds no predictions: give another 'output' (--model.output).")
    return file


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
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
