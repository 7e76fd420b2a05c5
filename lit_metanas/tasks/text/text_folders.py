"""Folders with a sub-folder of text files for each class."""

from __future__ import annotations

from pathlib import Path

from lit_metanas.io.class_folders import class_folders
from lit_metanas.tasks.source import Subset
from lit_metanas.tasks.text.labelled_text import Labelled, by_label, read_utf8
from lit_metanas.tasks.text.text_source import Sentences, TextSource, split_sentences
from lit_metanas.tasks.text.words import TextPreprocessing

LARGEST_TEXT_FILE = 1 << 20
"""Bytes of a text file."""


class TextFolder(TextSource):
    """Text files in UTF-8, a sub-folder for each class; its classes are split as given, or at random by a seed.

    Args:
        root: the folder; each sub-folder is a class, and each ``.txt`` file directly in it an example.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        preprocessing: what makes inputs of texts; None takes ``Words()``. One without a vocabulary gets that of the
            meta-train classes.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder has fewer than two classes, one has no text file, a file is empty, too long or not UTF-8,
            a named class does not exist or is named twice, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> for name in ("letter", "poem", "recipe", "song"):
        ...     Path("texts", name).mkdir(parents=True)
        ...     for number in range(5):
        ...         size = Path("texts", name, f"{number}.txt").write_text(f"This {name} is the text {number}.")
        >>> source = lm.TextFolder("texts", train=["letter", "poem"], test=["recipe", "song"])
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
        self._sentences = split_sentences(
            read_text_folder(self.root),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="TextFolder",
            place=str(self.root),
        )

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    def sentences(self, subset: Subset) -> Sentences:
        """The texts of each class of a subset."""
        return self._sentences[subset]


def read_text_folder(root: Path) -> dict[str, list[str]]:
    """The texts of each class.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it has fewer than two classes, or a file is malformed.
    """
    classes = class_folders(root, {".txt"}, "text files")
    rows = (
        Labelled(f"{name}/{file.name}", read_utf8(file, LARGEST_TEXT_FILE), name)
        for name, files in classes.items()
        for file in files
    )
    return by_label(rows, str(root))
