"""Folders of texts, with a sub-folder of text files for each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.class_folders import class_folders, file_groups
from lit_metanas.kinds.texts.labelled_text import Labelled, read_utf8
from lit_metanas.kinds.texts.text_source import TextSource, split_sentences

LARGEST_TEXT_FILE = 1 << 20  # bytes


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
