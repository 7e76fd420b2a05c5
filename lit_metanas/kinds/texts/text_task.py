"""One's own texts as one target task: of a file, or in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lit_metanas.inputs.preprocessing import Preprocessing, TextPreprocessing, split_words
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.labelled_examples import labelled_examples
from lit_metanas.kinds.texts.table_files import checked_row, checked_texts, text_key
from lit_metanas.kinds.texts.text_tables import labelled_texts
from lit_metanas.kinds.texts.vocabularies import Characters, NGrams, Words
from lit_metanas.tasks.labels import (
    ClassNames,
    Groups,
    Labels,
    group_names,
    label_list,
    label_sets,
    learned_as_sets,
    separator_of,
)
from lit_metanas.tasks.number_targets import Targets, learned_as, number_targets
from lit_metanas.tasks.splits import check_shares, tell_repeats, tell_shared_groups
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
        self._open = preprocessing is None
        self._given = preprocessing
        place = writable(path)
        found, parts = labelled_texts(self.path, text, label, group, test_by)
        several = learned_as_sets([row.label for row in found], targets)
        rows = [checked_row(row, place, unlabelled=several) for row in found]
        # The sort is stable: the split of a class depends on the order of its own texts alone.
        rows.sort(key=lambda row: row.label)
        self._labelled = [row.text for row in rows], [row.label for row in rows]
        self._options: dict[str, Any] = {
            "place": f"'{place}'",
            "where": [row.where for row in rows],
            "shares": (train, val, test),
            "seed": seed,
            "targets": targets,
            "group": None if group is None else [row.group for row in rows],
            "min_per_class": min_per_class,
            "parts": [parts[row.where] for row in rows if parts],
        }
        if test_path is not None:
            there = writable(test_path)
            read, _ = labelled_texts(Path(test_path), text, label, group)
            tested = [checked_row(row, there, unlabelled=several) for row in read]
            self._options |= {
                "shares": (None, val, 0.0),
                "tested": (f"'{there}'", [row.text for row in tested], [row.label for row in tested]),
            }
            tell_shared_groups(f"'{there}'", self._options["group"], [row.group for row in tested])

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the vocabulary of a meta-training, unless a preprocessing was given.

        Raises:
            ValueError: it is for other examples than texts.
        """
        if self._open:
            self._given = TextPreprocessing.checked(preprocessing, writable(str(self.path)))
            self.__dict__.pop("_task", None)

    def make(self) -> Task:
        """Split the texts and make inputs of them."""
        return _task_of_texts(self.path.resolve().stem, *self._labelled, preprocessing=self._given, **self._options)


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
    whole, tested = checked_texts(texts, "texts"), None
    if texts_test is not None and labels_test is not None:
        tested, test = ("texts_test", checked_texts(texts_test, "texts_test"), labels_test), 0.0
    check_shares("task_from_texts", val=val, test=test, drawn=tested is None, seed=seed)
    return _task_of_texts(
        id,
        whole,
        labels,
        place="texts",
        shares=(None, val, test),
        seed=seed,
        preprocessing=preprocessing,
        targets=targets,
        classes=classes,
        group=group_names(group, len(whole), "texts"),
        min_per_class=min_per_class,
        tested=tested,
    )


def _task_of_texts(
    id: str,
    texts: Sequence[str],
    labels: Labels,
    *,
    place: str,
    shares: tuple[float | None, float, float],
    seed: int,
    preprocessing: TextPreprocessing | None,
    targets: Targets | None,
    group: Sequence[str] | None,
    min_per_class: int | None,
    where: Sequence[str] = (),
    classes: ClassNames | None = None,
    parts: Sequence[int] = (),
    tested: tuple[str, Sequence[str], Labels] | None = None,
) -> Task:
    """A task of texts, of which one that repeats another of its class is taken once."""
    # Messages call the texts `place`, and each by `where` it stands. The part of each may be given. A given test part
    # is what messages call it, its texts and its labels.
    several, separator = learned_as_sets(labels, targets), separator_of(labels)
    given: list[Hashable]
    if several:
        targets = "several labels"
        given = [*label_sets(labels, len(texts), separator=separator, name="labels", noun="texts")]
    else:
        given = label_list(labels, len(texts), name="labels", noun="texts")
    # Of those that repeat, the first one stays.
    first: dict[tuple[Hashable, str], int] = {}
    for at, (label, text) in enumerate(zip(given, texts, strict=True)):
        first.setdefault((label, text_key(text)), at)
    places = list(first.values())
    if repeated := len(texts) - len(places):
        warn_of_data(f"{place} repeats {number_of(repeated, 'text')} of the same class: each is taken once.")
    kept: Labels = [given[at] for at in places]
    targets = targets or learned_as([given[at] for at in places], None)
    if targets == "regression":
        kept = number_targets(kept, len(places), name=place, noun="texts", where=[where[at] for at in places if where])
    labelled = labelled_examples(
        len(places),
        kept,
        noun="texts",
        targets=targets,
        classes=classes,
        group=group and [group[at] for at in places],
        min_per_class=min_per_class,
        place=place,
    )
    divided = labelled.divided(shares, seed, [parts[at] for at in places if parts])
    raw = [[texts[places[at]] for at in own.tolist()] for own, _ in divided]
    learned = [own for _, own in divided]
    if tested is not None:
        tested_in, held_out, wanted = tested
        if several:
            wanted = label_sets(wanted, len(held_out), separator=separator, name=tested_in, noun="texts")
        left, learned[2] = labelled.tested(wanted, len(held_out), name=tested_in, learned=place)
        raw[2] = [held_out[at] for at in left]
        known = {key for _, key in first}
        tell_repeats(tested_in, sum(text_key(text) in known for text in raw[2]), "text")
    counted = raw[0]
    if isinstance(preprocessing, NGrams):  # those of validation texts alone count once these are learned from
        counted = [*counted, *raw[1]]
    made = preprocessing.fitted(counted) if preprocessing else usual_tokens(counted)
    splits = [Split(made.encode(part), own) for part, own in zip(raw, learned, strict=True)]
    task = labelled.task(id, splits, None, preprocessing=made)
    return replace(task, raw=tuple(raw), test_names=tuple(raw[2]))


def usual_tokens(texts: Sequence[str]) -> TextPreprocessing:
    """The words of texts to learn from; their characters, where most texts share no word with others, such as names."""
    # Punctuation marks are no words here.
    counts = Counter(word for text in texts for word in set(split_words(text)) if any(map(str.isalnum, word)))
    shared = sum(any(counts[word] > 1 for word in split_words(text)) for text in texts)
    if 2 * shared >= len(texts):
        return Words().fitted(texts)
    return Characters().fitted(texts)
