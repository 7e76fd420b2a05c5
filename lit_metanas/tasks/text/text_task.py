"""One's own texts as one target task."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from lit_metanas.io.text import writable
from lit_metanas.tasks.inputs import Shape, vocabulary_of
from lit_metanas.tasks.splits import check_shares, part_sizes, split_classes
from lit_metanas.tasks.task import SingleTask, Split, Task
from lit_metanas.tasks.text.labelled_text import by_label
from lit_metanas.tasks.text.text_folders import is_dataset, read_text_dataset, read_text_folder
from lit_metanas.tasks.text.text_tables import find_columns, labelled_rows, read_rows
from lit_metanas.tasks.text.words import TextPreprocessing, Words


class TextTask(SingleTask):
    r"""One's own texts as a collection of a single task. Each class is split by the fractions.

    The task is ``TextTask("help.csv")[0]``.

    Args:
        path: a table, as ``TextTable`` reads it; a folder with a sub-folder of text files for each class; or a folder
            that the package ``datasets`` has saved.
        text: the column of texts; None finds it as ``TextTable`` does.
        label: the column of labels; None finds it as ``TextTable`` does.
        preprocessing: what makes inputs of texts; None takes ``Words()``. One without a vocabulary gets that of the
            texts to learn from.
        train: share of each class's texts to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: seed of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is none of these, a text is malformed, a class has too few, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> rows = [f"how do I {verb} it {n} times,{verb}" for verb in ("fold", "cut") for n in range(5)]
        >>> size = Path("help.csv").write_text("sentence,intent\n" + "\n".join(rows))
        >>> task = lm.TextTask("help.csv")[0]
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('cut', 'fold'), TokenShape(vocabulary=11, steps=32), 6, 2, 2)
    """

    def __init__(
        self,
        path: str,
        text: str | None = None,
        label: str | None = None,
        preprocessing: TextPreprocessing | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
    ) -> None:
        check_shares("TextTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        self._sentences = _read(self.path, text, label)
        self._given = Words() if preprocessing is None else preprocessing

    @property
    def shape(self) -> Shape:
        """Of one input."""
        return self[0].shape

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        return tuple(self._sentences)

    def make(self) -> Task:
        """Split the texts and make inputs of them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        shares = {"train": self.train, "val": self.val, "test": self.test}
        texts = [text for members in self._sentences.values() for text in members]
        sizes = [
            part_sizes(f"Class '{name}' of '{writable(str(self.path))}'", len(x), **shares)
            for name, x in self._sentences.items()
        ]
        # The places of texts are dealt out, so that the vocabulary can be counted on those to learn from.
        places = torch.arange(len(texts))[:, None].split([len(members) for members in self._sentences.values()])
        parts = split_classes(places, sizes, self.seed)
        made = self._given.fitted(texts[place] for place in parts[0].inputs[:, 0].tolist())
        train, val, test = (_encoded(part, texts, made) for part in parts)
        return Task(
            id=self.path.resolve().stem,
            way=len(self._sentences),
            train=train,
            val=val if self.val else None,
            test=test,
            classes=self.classes,
            vocabulary=vocabulary_of(made.shape),
            preprocessing=made,
        )


def _encoded(part: Split, texts: Sequence[str], preprocessing: TextPreprocessing) -> Split:
    return Split(preprocessing.encode([texts[place] for place in part.inputs[:, 0].tolist()]), part.labels)


def _read(path: Path, text: str | None, label: str | None) -> dict[str, list[str]]:
    """The texts of each class of a table, a saved data set or a folder of text files."""
    if path.is_dir():
        if is_dataset(path):
            return read_text_dataset(path, text, label)
        return read_text_folder(path)
    rows, place = list(read_rows(path)), writable(str(path))
    return by_label(labelled_rows(rows, *find_columns(rows, place, text, label)), place)
