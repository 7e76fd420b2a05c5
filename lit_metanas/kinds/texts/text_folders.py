"""Folders of texts: with a sub-folder of text files for each class, or saved by the package ``datasets``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.class_folders import class_folders, file_groups
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import number_of
from lit_metanas.kinds.texts.labelled_text import MOST_SENTENCES, Labelled, read_utf8
from lit_metanas.kinds.texts.text_source import TextSource, split_sentences
from lit_metanas.kinds.texts.text_tables import labelled_rows
from lit_metanas.tasks.task import warn_of_data

LARGEST_TEXT_FILE = 1 << 20  # bytes
MARKS = ("dataset_info.json", "dataset_dict.json")  # files that a saved data set has
_NO_CLASS = "\0"  # stands for a number below 0, as in test parts whose answers are kept back


class TextFolder(TextSource):
    """Text files in UTF-8, a sub-folder for each class; its classes are split as given, or at random by a seed.

    Args:
        root: the folder; each sub-folder is a class, and each ``.txt`` file directly in it an example.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: a class or a file is malformed, a named class does not exist, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> for name in ("letter", "poem", "recipe", "song"):
        ...     Path("texts", name).mkdir(parents=True)
        ...     for number in range(5):
        ...         size = Path("texts", name, f"{number}.txt").write_text(f"This {name} is the text {number}.")
        >>> source = lm.kinds.TextFolder("texts", train=["letter", "poem"], test=["recipe", "song"])
        >>> source.classes("test"), source.instances("test", 0)
        (('recipe', 'song'), 5)
    """

    def __init__(
        self,
        root: str,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        preprocessing: TextPreprocessing | None = None,
    ) -> None:
        super().__init__(preprocessing)
        self.root = Path(root)
        self._name = self.root.resolve().name
        self._sentences = split_sentences(
            text_files(self.root),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="TextFolder",
            place=str(self.root),
        )


def text_files(root: Path, group: str | None = None) -> Iterator[Labelled]:
    """The text files of each class folder."""
    classes = class_folders(root, {".txt"}, "text files", deep=group is not None)
    groups = {} if group is None else file_groups(root, classes, group)
    for name, files in classes.items():
        for file in files:
            where = file.relative_to(root).as_posix()
            yield Labelled(where, read_utf8(file, LARGEST_TEXT_FILE), name, groups.get(file, ""))


class TextDataset(TextSource):
    """A data set that ``datasets`` (Hugging Face) has saved on disk; its classes are split as given, or by a seed.

    The rows of all its splits are taken, as a split for learning one task shares its classes between its parts.
    Nothing is downloaded, and no code of a data set runs. It needs ``pip install 'lit-metanas[datasets]'``.

    Args:
        path: the folder that ``save_to_disk`` wrote.
        text: the column of texts; None finds it as ``TextTable`` does.
        label: the column of labels; None finds it as ``TextTable`` does.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it is no such data set, a named class does not exist, or the package is not installed.

    Example:
        >>> import lit_metanas as lm
        >>> source = lm.kinds.TextDataset("banking77", seed=1)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str,
        text: str | None = None,
        label: str | None = None,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
        preprocessing: TextPreprocessing | None = None,
    ) -> None:
        super().__init__(preprocessing)
        self.path = Path(path)
        self._name = self.path.resolve().name
        self._sentences = split_sentences(
            read_text_dataset(self.path, text, label),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="TextDataset",
            place=str(path),
        )


def is_dataset(path: Path) -> bool:
    """Whether a folder is one that ``datasets`` has saved."""
    return any((path / name).is_file() for name in MARKS)


def read_text_dataset(
    path: Path, text: str | None = None, label: str | None = None, group: str | None = None
) -> list[Labelled]:
    """The texts of all splits."""
    if not path.is_dir():
        raise FileNotFoundError(
            f"There is no folder '{path}': give one that save_to_disk of the package datasets wrote."
        )
    if not is_dataset(path):
        raise ValueError(f"'{path}' is no saved data set ({' or '.join(MARKS)}): write it by save_to_disk.")
    datasets = import_extra("datasets", "datasets", "TextDataset")
    try:
        loaded = datasets.load_from_disk(str(path))
        parts = list(loaded.values()) if isinstance(loaded, datasets.DatasetDict) else [loaded]
        rows = [row for part in parts for row in _rows_of(part, path)]
    except (ValueError, OSError, KeyError, TypeError, AttributeError) as error:  # pyarrow's are among these
        raise ValueError(f"'{path}' cannot be read by the package datasets ({error}): save it anew.") from None
    numbered = [(f"row {number}", row) for number, row in enumerate(rows)]
    labelled = labelled_rows(numbered, str(path), text, label, group)
    known = [one for one in labelled if one.label != _NO_CLASS]
    if hidden := len(labelled) - len(known):
        warn_of_data(f"'{path}' has a number below 0 in place of a class in {number_of(hidden, 'row')}: left out.")
    return known


def _rows_of(part: Any, path: Path) -> list[Mapping[str, Any]]:
    """The texts and numbers of each row; numbers that stand for names as these."""
    if len(part) > MOST_SENTENCES:
        raise ValueError(f"it has {len(part)} rows, more than {MOST_SENTENCES}")
    columns = {}
    for name, feature in part.features.items():
        if str(getattr(feature, "dtype", None)).startswith(("string", "large_string", "int", "uint")):
            names = getattr(feature, "names", None) or []
            columns[name] = [_named(value, names) for value in part.with_format(None)[name]]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _named(value: Any, names: list[str]) -> Any:
    """The name of the class that a number stands for, if it stands for one."""
    if not names or value is None:
        return value
    return names[value] if value >= 0 else _NO_CLASS
