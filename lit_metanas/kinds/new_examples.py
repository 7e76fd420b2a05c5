"""New examples for an exported network, without labels: images, sounds, texts, rows of tables."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from lit_metanas.io.class_folders import files_in
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.images.image_files import image_files
from lit_metanas.kinds.kind import kind_named
from lit_metanas.kinds.pairs.pair_files import SOURCE_TEXT_COLUMNS, TARGET_TEXT_COLUMNS
from lit_metanas.kinds.questions.squad import read_questions
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES
from lit_metanas.kinds.texts.labelled_text import read_utf8, text_lines
from lit_metanas.kinds.texts.text_tables import (
    SUFFIXES_OF_TABLES,
    TEXT_COLUMNS,
    TableRow,
    columns_of,
    free_columns,
    guess_two,
    listed,
    read_rows,
    usual_column,
)
from lit_metanas.tasks.task import warn_of_data

LARGEST_TEXT = 1 << 28
"""Bytes of a file of texts."""

KindOfTexts = Literal["texts", "sources", "questions"]
"""Texts to tell classes apart, the sources of pairs, or questions with their passages."""

QUESTION_COLUMNS = ("question", "query")
PASSAGE_COLUMNS = ("context", "passage", "story", "paragraph", "document", "text")
"""Names by which columns are found, whatever their case."""


class NewExamples(LightningDataModule):
    """New examples in batches: lists of paths, of texts, or of rows.

    Args:
        examples: all of them, in the order in which they are predicted.
        batch_size: examples a batch.

    Raises:
        ValueError: ``batch_size`` is below 1.

    Example:
        >>> list(NewExamples(["a flight", "a table", "a cab"], batch_size=2).predict_dataloader())
        [['a flight', 'a table'], ['a cab']]
    """

    def __init__(self, examples: Sequence[Any], batch_size: int = 64) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"{type(self).__name__}: batch_size = {batch_size} must be at least 1.")
        self.examples = list(examples)
        self.batch_size = batch_size

    def predict_dataloader(self) -> DataLoader[list[Any]]:
        """Return a loader of lists of examples."""
        starts = range(0, len(self.examples), self.batch_size)
        return DataLoader(_Batches([self.examples[at : at + self.batch_size] for at in starts]), batch_size=None)


class NewImages(NewExamples):
    """Image files in batches of paths: the model knows the shape to read them in.

    Args:
        images: an image file; a folder, whose images and those of its sub-folders are taken; or several of these.
        batch_size: images a batch.

    Attributes:
        files: the image files, in the order in which they are predicted.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no image among them, or ``batch_size`` is below 1.

    Example:
        >>> from PIL import Image
        >>> from lit_metanas.kinds import NewImages
        >>> Image.new("L", (28, 28)).save("letter.png")
        >>> NewImages("letter.png").files
        [PosixPath('letter.png')]
    """

    def __init__(self, images: str | list[str], batch_size: int = 64) -> None:
        self.files = _files(images, image_files, "image")
        super().__init__(self.files, batch_size)


class NewSounds(NewExamples):
    """Sound files in batches of paths.

    Args:
        sounds: a sound file; a folder, whose sounds and those of its sub-folders are taken; or several of these.
        batch_size: sounds a batch.

    Attributes:
        files: the sound files, in the order in which they are predicted.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no sound among them, or ``batch_size`` is below 1.

    Example:
        >>> import wave
        >>> import lit_metanas as lm
        >>> with wave.open("word.wav", "wb") as file:
        ...     file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...     file.writeframes(bytes(8000))
        >>> lm.kinds.NewSounds("word.wav").files
        [PosixPath('word.wav')]
    """

    def __init__(self, sounds: str | list[str], batch_size: int = 64) -> None:
        self.files = _files(sounds, partial(files_in, suffixes=SOUND_SUFFIXES), "sound")
        super().__init__(self.files, batch_size)


class NewTexts(NewExamples):
    r"""The lines of text files, in batches; empty lines are left out, with a warning.

    Args:
        texts: a file in UTF-8, one text a line, or a table with a column that is called ``text`` or alike; or several
            of these.
        batch_size: texts a batch.
        kind: what they are. A table of ``sources`` of pairs has a column that is called ``source`` or alike, or one of
            two whose other one is called ``target`` or alike. ``questions`` stand in tables with columns ``question``
            and ``context`` or alike, in a ``.json`` file in SQuAD's format, or on lines, each with a tab and its
            passage.

    Attributes:
        texts: in the order in which they are predicted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is not in UTF-8, there is no text in them, ``batch_size`` is below 1, or a table lacks the
            columns of sources or questions.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> _ = Path("new.txt").write_text("book a flight\nbook a table\n")
        >>> lm.kinds.NewTexts("new.txt").texts
        ['book a flight', 'book a table']
    """

    def __init__(self, texts: str | list[str], batch_size: int = 64, kind: KindOfTexts = "texts") -> None:
        if kind not in get_args(KindOfTexts):
            raise ValueError(f"NewTexts: kind = '{kind}' must be one of {', '.join(get_args(KindOfTexts))}.")
        paths = [texts] if isinstance(texts, str) else list(texts)
        self.texts = [text for path in paths for text in _texts_of(Path(path), kind)]
        if not self.texts:
            raise ValueError(f"There is no text in {_named(paths)}: give files with one text a line.")
        super().__init__(self.texts, batch_size)


class NewRows(NewExamples):
    r"""The rows of tables, in batches: where each stands, of several files in which, and its values by column.

    Columns that a network does not look at may stand beside the others.

    Args:
        rows: a table with names of columns, CSV, TSV or JSON lines in UTF-8; or several of these.
        batch_size: rows a batch.

    Attributes:
        files: in the order in which their rows are predicted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is no such table, there is no row in them, or ``batch_size`` is below 1.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> _ = Path("new.csv").write_text("height,age\n1.8,20\n1.6,\n")
        >>> lm.kinds.NewRows("new.csv").examples
        [('line 2', {'height': '1.8', 'age': '20'}), ('line 3', {'height': '1.6', 'age': ''})]
    """

    def __init__(self, rows: str | list[str], batch_size: int = 64) -> None:
        paths = [rows] if isinstance(rows, str) else list(rows)
        self.files = [Path(path) for path in paths]
        found = [
            (where if len(paths) == 1 else f"{where} of '{writable(str(file))}'", row)
            for file in self.files
            for where, row in _whole_rows(file)
        ]
        if not found:
            raise ValueError(
                f"There is no row in {_named(paths)}: give a line with the names of the columns, and rows."
            )
        super().__init__(found, batch_size)


class NewOfKind(NewExamples):
    """New examples of a kind of data of another package, in batches of names and examples.

    Args:
        kind: the kind, by the path of its class, such as ``graphs.Graphs``.
        examples: a file or a folder, or several of these.
        batch_size: examples a batch.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no such kind, it reads no new examples, there are none, or ``batch_size`` is below 1.

    Example:
        >>> import lit_metanas as lm
        >>> try:
        ...     lm.kinds.NewOfKind("images", "photos")
        ... except ValueError as error:
        ...     print(error)
        The kind 'images' reads no new examples: give them by a data module (--data).
    """

    def __init__(self, kind: str, examples: str | list[str], batch_size: int = 64) -> None:
        paths = [examples] if isinstance(examples, str) else list(examples)
        found = kind_named(kind).new_examples(paths)
        if not found:
            raise ValueError(f"There are no new examples in {_named(paths)}: give files or folders that have some.")
        super().__init__(found, batch_size)


def _whole_rows(file: Path) -> list[TableRow]:
    """The rows of a table; what a line of JSON leaves out, and others of the file have, is missing there."""
    rows = list(read_rows(file, blank=True))
    blank = dict.fromkeys(columns_of(rows))
    # Missing ones are not written into each, as there may be many different names.
    return [(where, row if len(row) == len(blank) else ChainMap(dict(row), blank)) for where, row in rows]


def _column_of_texts(file: Path) -> list[str] | None:
    """What a table holds in the column that is called ``text`` or alike; None where it has none, or is no table."""
    if file.suffix.lower() not in SUFFIXES_OF_TABLES or not file.is_file():
        return None
    try:
        rows = list(read_rows(file))
    except ValueError:  # lines of text
        return None
    text = usual_column(columns_of(rows), TEXT_COLUMNS)
    return None if text is None else [str(row.get(text) or "").strip() for _, row in rows]


def _column_of_sources(file: Path) -> list[str] | None:
    """The sources of a table of pairs, with or without targets; None where the file is no table.

    Raises:
        ValueError: it is damaged, or has no such column.
    """
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


def _column_of_questions(file: Path) -> list[str] | None:
    """Questions and passages with a tab between, of SQuAD's format or of a table; None where the file is neither.

    Raises:
        ValueError: it is damaged, or lacks something.
    """
    kind, place = file.suffix.lower(), writable(str(file))
    if kind == ".json":
        return [_with_passage(one.question, one.passage) for one in read_questions(file, answered=False)]
    if kind not in SUFFIXES_OF_TABLES:
        return None
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
    """A question and its passage as one text, as preprocessings of questions take it; empty where one of them is."""
    words, passage = " ".join(question.split()), passage.strip()
    return f"{words}\t{passage}" if words and passage else ""


_COLUMNS: Mapping[KindOfTexts, Callable[[Path], list[str] | None]] = {
    "texts": _column_of_texts,
    "sources": _column_of_sources,
    "questions": _column_of_questions,
}


def _texts_of(file: Path, kind: KindOfTexts) -> list[str]:
    """The texts of a file that are not empty: of a table those of its column of texts, else its lines.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not in UTF-8, or lacks the column.
    """
    column = _COLUMNS[kind](file)
    texts = [line.strip() for line in text_lines(read_utf8(file, LARGEST_TEXT).rstrip())] if column is None else column
    empty = [str(number) for number, line in enumerate(texts, 1) if not line]
    if empty:
        named = ", ".join(empty[:10]) + (", …" if len(empty) > 10 else "")
        noun = "empty line" if column is None else "empty text"
        warn_of_data(
            f"'{writable(str(file))}' has {number_of(len(empty), noun)} ({named}): they get no answers, and "
            "those of later lines move up."
        )
    return [text for text in texts if text]


def _files(paths: str | list[str], inside: Callable[[Path], list[Path]], noun: str) -> list[Path]:
    """Files, and those of one kind in folders.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is none among them.
    """
    given = [paths] if isinstance(paths, str) else list(paths)
    files = [file for path in given for file in _walk(Path(path), inside, noun)]
    if not files:
        raise ValueError(f"There is no {noun} in {_named(given)}: give {noun} files, or folders with {noun}s.")
    return files


def _walk(path: Path, inside: Callable[[Path], list[Path]], noun: str) -> list[Path]:
    """A file itself, or the files of a folder and its sub-folders, but hidden ones.

    Raises:
        FileNotFoundError: there is neither.
    """
    if path.is_dir():
        inner = sorted(entry for entry in path.rglob("*") if entry.is_dir())
        shown = [entry for entry in inner if not any(part.startswith(".") for part in entry.relative_to(path).parts)]
        return [file for folder in (path, *shown) for file in inside(folder)]
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file or folder '{writable(str(path))}': give {noun}s, or a folder with some."
        )
    return [path]


def _named(paths: Sequence[str]) -> str:
    return " and ".join(f"'{writable(str(path))}'" for path in paths) or "an empty list"


class _Batches(Dataset[list[Any]]):
    def __init__(self, batches: list[list[Any]]) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> list[Any]:
        return self.batches[index]

    def __len__(self) -> int:
        return len(self.batches)
