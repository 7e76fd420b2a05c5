"""Sentences of many classes, from which episodes and tasks are drawn, of any source, of a folder or of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs import Preprocessing, Shape, TextPreprocessing
from lit_metanas.io.class_folders import class_folders, file_groups
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.texts.table_files import Labelled, checked_row, read_utf8, text_key
from lit_metanas.kinds.texts.text_tables import labelled_rows, read_divided
from lit_metanas.kinds.texts.vocabularies import Words
from lit_metanas.tasks.source import SUBSETS, Subset, TaskSource
from lit_metanas.tasks.splits import class_subsets
from lit_metanas.tasks.task import warn_of_data

LARGEST_TEXT_FILE = 1 << 20  # bytes

Sentences = Mapping[str, Sequence[str]]  # of each class, by its name
Subsets = dict[Subset, dict[str, list[str]]]  # the same for each subset


class TextSource(TaskSource):
    """Sentences by class. The tokens of a class are kept in memory from its first use on.

    Args:
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Example:
        >>> class Greetings(lm.kinds.TextSource):
        ...     def sentences(self, subset):
        ...         return {"hello": ["good day", "good morning"], "farewell": ["good night", "see you"]}
        >>> source = Greetings(lm.kinds.Words(least=1, steps=3))
        >>> source.inputs("train", 0, [0, 1])
        tensor([[2, 3, 0],
                [2, 4, 0]])
    """

    _sentences: Mapping[Subset, Sentences]
    _name = ""

    def __init__(self, preprocessing: TextPreprocessing | None = None) -> None:
        self._given = preprocessing
        self._fitted: TextPreprocessing | None = None
        self._tokens: dict[tuple[Subset, int], Tensor] = {}

    @property
    def name(self) -> str:
        """The first part of the ids of this source's tasks."""
        return self._name or super().name

    def sentences(self, subset: Subset) -> Sentences:
        """The sentences of each class of a subset."""
        return self._sentences[subset]

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the vocabulary of a meta-training, unless a preprocessing was given.

        Raises:
            ValueError: it is for other examples than texts.
        """
        if self._given is None:
            self._fitted = TextPreprocessing.checked(preprocessing, self.name)
            self._tokens.clear()

    @property
    def preprocessing(self) -> TextPreprocessing:
        """What makes inputs of sentences, with its vocabulary."""
        if self._fitted is None:
            given = self._given or Words()
            self._fitted = given.fitted(chain.from_iterable(self.sentences("train").values()))
        return self._fitted

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self.preprocessing.shape

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes."""
        return tuple(self.sentences(subset))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many sentences a class has; none is held out."""
        if held_out:
            return 0
        return len(self.sentences(subset)[self.classes(subset)[class_index]])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return the inputs of sentences of one class."""
        place = subset, class_index
        if place not in self._tokens:
            texts = self.sentences(subset)[self.classes(subset)[class_index]]
            self._tokens[place] = self.preprocessing.tokens(texts).to(torch.int32)
        return self.preprocessing.look_up(self._tokens[place][list(instances)].long())


class TextTable(TextSource):
    r"""A table of texts and labels, or a folder of text files, in UTF-8; its classes are split as given, or by a seed.

    The first line of CSV and TSV names the columns; in TSV quotes are letters like others. A text that repeats another
    of its class, but for capitals and white space, is left out, with a warning.

    Args:
        path: a file of CSV, TSV, JSON lines or one list in JSON, perhaps with ``.gz``; or a folder, in which each
            sub-folder is a class, and each ``.txt`` file directly in it an example.
        text: the column of texts; None finds it by a usual name, such as ``text``, or takes the other one of two.
        label: the column of labels; None finds it by a usual name, such as ``label``, or takes the other one of two. Of
            two columns with unusual names, labels are in the one with fewer different values.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.
        preprocessing: makes inputs of texts; None takes ``Words()``. One without a vocabulary learns that of ``train``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a table or a file is malformed, a named class does not exist, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"how do I {verb} it {n} times,{verb}" for verb in ("fold", "cut", "glue", "sew") for n in range(9)]
        >>> size = Path("help.csv").write_text("sentence,intent\n" + "\n".join(rows))
        >>> source = lm.kinds.TextTable("help.csv", train=["cut", "fold"], test=["glue", "sew"])
        >>> source.classes("test"), lm.draw_task(source, way=2, train=4, val=2, test=3).shape
        (('glue', 'sew'), TokenShape(vocabulary=18, steps=32))
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
        self._name = self.path.resolve().name if self.path.is_dir() else self.path.stem
        place = writable(path)
        rows = [checked_row(row, place) for row in labelled_texts(self.path, text, label)[0]]
        texts: dict[str, dict[str, str]] = {}
        for row in rows:
            texts.setdefault(row.label, {}).setdefault(text_key(row.text), row.text)
        if (repeated := len(rows) - sum(map(len, texts.values()))) > 0:
            warn_of_data(f"'{place}' repeats {number_of(repeated, 'text')} of the same class: each is taken once.")
        names = class_subsets(
            sorted(texts),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="TextTable",
            place=place,
        )
        self._sentences = {subset: {name: [*texts[name].values()] for name in names[subset]} for subset in SUBSETS}


def labelled_texts(
    path: Path,
    text: str | None = None,
    label: str | None = None,
    group: str | None = None,
    test_by: str | None = None,
) -> tuple[list[Labelled], Mapping[str, int]]:
    """The texts of a table or a folder of text files, and parts that a table gives them; see ``TextTask``."""
    if test_by is not None or not path.is_dir():
        rows, parts = read_divided(path, test_by, label)
        return labelled_rows(rows, writable(str(path)), text, label, group), parts
    classes = class_folders(path, {".txt"}, "text files", deep=group is not None)
    groups = file_groups(path, classes, group)
    found = [
        Labelled(file.relative_to(path).as_posix(), read_utf8(file, LARGEST_TEXT_FILE), name, groups.get(file, ""))
        for name, files in classes.items()
        for file in files
    ]
    return found, {}
