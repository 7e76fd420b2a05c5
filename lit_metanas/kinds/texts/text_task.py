"""One's own texts as one target task: of a file, or in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.tokens import TextPreprocessing, split_words
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.labelled_examples import LabelledExamples, labelled_examples
from lit_metanas.kinds.texts.labelled_text import (
    Labelled,
    checked_label,
    checked_text,
    checked_texts,
    distinct_texts,
    text_key,
)
from lit_metanas.kinds.texts.ngrams import NGrams
from lit_metanas.kinds.texts.text_source import labelled_texts
from lit_metanas.kinds.texts.text_tables import labelled_rows, read_divided
from lit_metanas.kinds.texts.vocabularies import Characters, Words
from lit_metanas.tasks.label_sets import label_sets, learned_as_sets, separator_of
from lit_metanas.tasks.labels import ClassNames, Groups, Labels, group_names, label_list
from lit_metanas.tasks.number_targets import Targets, learned_as, number_targets
from lit_metanas.tasks.splits import check_held_out_shares, check_shares, tell_repeats, tell_shared_groups
from lit_metanas.tasks.task import SingleTask, Split, Task, warn_of_data


class TextTask(SingleTask):
    r"""One's own texts as a collection of a single task. Each class is split by the fractions.

    The task is ``TextTask("help.csv")[0]``.

    Args:
        path: a table, as ``TextTable`` reads it; or a folder with a sub-folder of text files for each class.
        text: the column of texts; None finds it as ``TextTable`` does.
        label: the column of labels; None finds it as ``TextTable`` does.
        preprocessing: makes inputs of texts; None takes that of the checkpoint which a search starts from, else as
            ``task_from_texts`` does. One without a vocabulary gets that of the texts to learn from.
        train: share of each class's texts to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: seed of the random split, at least 0.
        group: which texts belong together, such as those of an author, and so into one part: the column of a table, or
            for text files what ``FolderTask`` takes.
        min_per_class: classes with fewer texts are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        test_by: the column of a table that says which texts are tested, as in ``TableTask``.
        test_path: the texts to report accuracy on, in the form of ``path``, in place of some of it.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a text is malformed, a class has too few texts or groups, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
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
        group: str | None = None,
        min_per_class: int | None = None,
        targets: Targets | None = None,
        test_by: str | None = None,
        test_path: str | None = None,
    ) -> None:
        check_shares("TextTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.shares: tuple[float | None, float, float] = train, val, test
        self.seed = seed
        self.group = group
        place = writable(str(self.path))
        parts: Mapping[str, int] = {}
        if test_by is None:
            found = list(labelled_texts(self.path, text, label, group))
        else:
            table, parts = read_divided(self.path, test_by, label)
            found = labelled_rows(table, place, text, label, group)
        several = learned_as_sets([row.label for row in found], targets)
        rows = distinct_texts(found, place, unlabelled=several)
        self._parts = [parts[row.where] for row in rows if parts]
        self._texts = [row.text for row in rows]
        labels: Labels = [row.label for row in rows]
        targets = "several labels" if several else learned_as([row.label for row in rows], targets)
        if targets == "regression":
            labels = number_targets(labels, len(rows), name=f"'{place}'", where=[row.where for row in rows])
        self._labelled = labelled_examples(
            len(rows),
            labels,
            noun="texts",
            targets=targets,
            group=group and [row.group for row in rows],
            min_per_class=min_per_class,
            place=f"'{place}'",
        )
        self._tested: tuple[list[str], Tensor] | None = None
        if test_path is not None:
            self.shares = None, val, 0.0
            tested = list(labelled_texts(Path(test_path), text, label, group))
            self._tested = self._testable(tested, writable(test_path), unlabelled=several)
            if group is not None:
                groups = [[row.group for row in own] for own in (rows, tested)]
                tell_shared_groups(f"'{writable(test_path)}'", *groups)
        self._open = preprocessing is None
        self._given = preprocessing

    def _testable(self, rows: Sequence[Labelled], place: str, *, unlabelled: bool) -> tuple[list[str], Tensor]:
        """The texts and targets of a given test part, but those of classes that were left out."""
        texts = [checked_text(row.text, "text", row.where, place) for row in rows]
        labels = [checked_label(row, place, unlabelled=unlabelled) for row in rows]
        called = {"name": f"'{place}'", "images": f"'{place}'", "learned": f"'{writable(str(self.path))}'"}
        places, targets = self._labelled.tested(labels, len(rows), **called)
        found, known = [texts[at] for at in places], {text_key(text) for text in self._texts}
        tell_repeats(f"'{place}'", sum(text_key(text) in known for text in found), "text")
        return found, targets

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the vocabulary of a meta-training, unless a preprocessing was given.

        Raises:
            ValueError: it is for other examples than texts.
        """
        if self._open:
            self._given = TextPreprocessing.checked(preprocessing, writable(str(self.path)))
            self.__dict__.pop("_task", None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order of their numbers."""
        return tuple(self._labelled.names)

    def make(self) -> Task:
        """Split the texts and make inputs of them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        train, val, test = self.shares
        divided = self._labelled.divided(train=train, val=val, test=test, seed=self.seed, given=self._parts)
        return _made(self.path.resolve().stem, self._texts, self._labelled, divided, self._given, self._tested)


def task_from_texts(
    texts: Sequence[str],
    labels: Labels,
    texts_test: Sequence[str] | None = None,
    labels_test: Labels | None = None,
    *,
    preprocessing: TextPreprocessing | None = None,
    val: float = 0.2,
    test: float = 0.2,
    seed: int = 0,
    classes: ClassNames | None = None,
    group: Groups | None = None,
    min_per_class: int | None = None,
    targets: Targets | None = None,
    id: str = "texts",
) -> Task:
    """Make a target task of texts. Each class is split at random by the shares, unless the test part is given.

    A text that repeats another of its class, but for capitals and white space, is taken once, so that none is both
    learned from and tested. A given test part is taken as it is, and a warning counts what it repeats.

    Args:
        texts: the texts.
        labels: one label a text: numbers, names, or whatever else is hashable.
        texts_test: the texts of the test part, in the order in which they stay.
        labels_test: their labels.
        preprocessing: makes inputs of texts; None takes ``Words()``, or ``Characters()`` where most texts share no word
            with others, such as names. One without a vocabulary gets that of the texts to learn from.
        val: share of each class to choose architectures by; 0 leaves the task without a validation part.
        test: share of each class to report accuracy on, without ``texts_test``; what is left is for training.
        seed: of the split, at least 0.
        classes: names of the classes, as in ``task_from_arrays``; None takes the labels themselves.
        group: of each of ``texts``, such as its author: those of a group go into one part.
        min_per_class: classes with fewer texts are left out, as those of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        id: the task's name in records and results.

    Raises:
        ValueError: a text or label is malformed, a class has too few, or an argument is out of its range.

    Example:
        >>> texts = [f"how do I {verb} it {n} times" for n in range(5) for verb in ("fold", "cut")]
        >>> task = lm.task_from_texts(texts, ["folding", "cutting"] * 5)
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('cutting', 'folding'), TokenShape(vocabulary=11, steps=32), 6, 2, 2)
        >>> task.preprocessing.show(task.test.inputs)[0].startswith("how do i cut it")
        True
    """
    if (texts_test is None) != (labels_test is None):
        raise ValueError("texts_test and labels_test belong together: give both or neither.")
    share = test if texts_test is None else 0.0
    check_held_out_shares(val=val, test=share, drawn=texts_test is None, seed=seed)
    whole = checked_texts(texts, "texts")
    given: list[Hashable]
    if learned_as_sets(labels, targets):
        targets = "several labels"
        given = [*label_sets(labels, len(whole), separator=separator_of(labels), name="labels", noun="texts")]
    else:
        given = label_list(labels, len(whole), name="labels", images="texts", noun="texts")
    groups = group_names(group, len(whole), "texts")
    first: dict[tuple[Hashable, str], int] = {}
    for at, (label, one) in enumerate(zip(given, whole, strict=True)):
        first.setdefault((label, text_key(one)), at)
    places = list(first.values())
    if len(places) < len(whole):
        repeated = number_of(len(whole) - len(places), "text")
        warn_of_data(f"texts repeats {repeated} of the same class: each is taken once.")
    labelled = labelled_examples(
        len(places),
        [given[at] for at in places],
        noun="texts",
        targets=targets,
        classes=classes,
        group=groups and [groups[at] for at in places],
        min_per_class=min_per_class,
        place="texts",
    )
    tested: tuple[list[str], Tensor] | None = None
    if texts_test is not None and labels_test is not None:
        held_out = checked_texts(texts_test, "texts_test")
        called = {"name": "labels_test", "images": "texts_test", "learned": "labels"}
        left, own = labelled.tested(labels_test, len(held_out), **called)
        tested = [held_out[at] for at in left], own
        learned = {text for _, text in first}
        tell_repeats("texts_test", sum(text_key(one) in learned for one in tested[0]), "text")
    divided = labelled.divided(val=val, test=share, seed=seed)
    return _made(id, [whole[at] for at in places], labelled, divided, preprocessing, tested)


def _made(
    id: str,
    texts: Sequence[str],
    labelled: LabelledExamples,
    divided: Sequence[tuple[Tensor, Tensor]],
    preprocessing: TextPreprocessing | None,
    tested: tuple[list[str], Tensor] | None = None,
) -> Task:
    """A task of texts that are divided by their places; ``tested`` is the test part if it was given."""
    parts = [([texts[at] for at in places.tolist()], labels) for places, labels in divided]
    if tested is not None:
        parts[2] = tested
    known = parts[0][0]
    if isinstance(preprocessing, NGrams):  # those of validation texts alone count once these are learned from
        known = [*known, *parts[1][0]]
    made = preprocessing.fitted(known) if preprocessing else usual_tokens(known)
    splits = [Split(made.encode(part), labels) for part, labels in parts]
    task = labelled.task(id, splits, None, preprocessing=made, test_names=parts[2][0])
    return replace(task, raw=tuple(own for own, _ in parts))


def usual_tokens(texts: Sequence[str]) -> TextPreprocessing:
    """The words of texts to learn from; their characters, where most texts share no word with others, such as names."""
    # Punctuation marks are no words here.
    counts = Counter(word for text in texts for word in set(split_words(text)) if any(map(str.isalnum, word)))
    shared = sum(any(counts[word] > 1 for word in split_words(text)) for text in texts)
    usual = Words() if 2 * shared >= len(texts) else Characters()
    return usual.fitted(texts)
