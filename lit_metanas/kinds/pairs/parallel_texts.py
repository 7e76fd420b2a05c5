"""Pairs of a text and what it becomes: how they are read and divided, and the task that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.preprocessing import TextPreprocessing
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.texts.table_files import (
    LARGEST_TABLE,
    MOST_SENTENCES,
    TableRow,
    checked_text,
    read_rows,
    read_utf8,
    text_key,
)
from lit_metanas.kinds.texts.text_tables import columns_of, free_columns, guess_two, listed
from lit_metanas.kinds.texts.vocabularies import Characters
from lit_metanas.objectives.translation import TextMetric, Translation
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import check_shares, part_sizes, tell_repeats
from lit_metanas.tasks.task import SingleTask, Split, Task, warn_of_data

# Names by which columns are found, whatever their case.
SOURCE_TEXT_COLUMNS = (
    "source", "src", "input", "from", "word", "grapheme", "graphemes", "original", "sentence", "text",
)  # fmt: skip
TARGET_TEXT_COLUMNS = (
    "target", "tgt", "output", "to", "translation", "pronunciation", "phoneme", "phonemes", "phones", "reference",
)  # fmt: skip


class TextPair(NamedTuple):
    """A text, such as a sentence or a word, and what it becomes: such as its translation."""

    source: str
    target: str


Parts = dict[Subset, list[TextPair]]


def distinct_pairs(rows: Iterable[tuple[str, TextPair]], place: str) -> list[TextPair]:
    """Pairs without white space around their texts, each once, in their order."""
    pairs = [
        TextPair(checked_text(source, "source", where, place), checked_text(target, "target", where, place))
        for where, (source, target) in rows
    ]
    if not pairs:
        raise ValueError(f"'{place}' holds no pairs: give some, each a source and a target.")
    found = list(dict.fromkeys(pairs))
    if len(found) < len(pairs):
        warn_of_data(f"'{place}' repeats {number_of(len(pairs) - len(found), 'pair')}: each is taken once.")
    return found


def deal_sources(pairs: Sequence[TextPair], place: str, *, train: float, val: float, test: float, seed: int) -> Parts:
    """Divide pairs by shares of their sources: those of the same source stay together."""
    sources: dict[str, list[TextPair]] = {}
    for pair in pairs:
        sources.setdefault(text_key(pair.source), []).append(pair)
    sizes = part_sizes(f"'{place}'", len(sources), train=train, val=val, test=test)
    members = list(sources.values())
    order = iter(np.random.default_rng(seed).permutation(len(members)))
    return {
        subset: [pair for at in islice(order, size) for pair in members[at]]
        for subset, size in zip(SUBSETS, sizes, strict=True)
    }


def translation_task(
    id: str,
    parts: Parts,
    source: TextPreprocessing,
    target: TextPreprocessing,
    *,
    metric: TextMetric,
    place: str,
) -> Task:
    """The task of translating the sources of pairs into their targets."""
    objective = Translation(target, metric)
    limits = f"{source.steps} tokens of a source or {target.steps} of a target"
    splits, left_out = list[Split](), 0
    for subset in SUBSETS:
        pairs = parts[subset]
        sources_fit = source.whole([pair.source for pair in pairs])
        targets_fit = target.whole([pair.target for pair in pairs])
        kept = [pair for pair, *fits in zip(pairs, sources_fit, targets_fit, strict=True) if all(fits)]
        left_out += len(pairs) - len(kept)
        if not kept and (pairs or subset != "val"):
            raise ValueError(f"'{place}' has no {subset} pairs of at most {limits}: add some, or raise steps.")
        targets = target.encode([pair.target for pair in kept])
        longest = max([1, *step_mask(targets).sum(1).int().tolist()])
        splits.append(Split(source.encode([pair.source for pair in kept]), targets[:, :longest]))
    if left_out:
        warn_of_data(
            f"{number_of(left_out, 'pair')} of '{place}' with more than {limits} left out: to keep them, "
            "shorten them, or give the task's class a preprocessing with more steps, such as Characters(steps=200)."
        )
    train, val, test = splits
    return Task(
        id=id,
        way=objective.outputs,
        train=train,
        val=val,
        test=test,
        vocabulary=vocabulary_of(source.shape),
        preprocessing=source,
        objective=objective,
        grouped=True,  # pairs with the same source are in one part
    )


def read_pairs(
    path: Path,
    translations: str | None = None,
    source: str | None = None,
    target: str | None = None,
) -> Iterable[tuple[str, TextPair]]:
    """The pairs of a table or of two files, and where each stands."""
    if translations is not None:
        if source is not None or target is not None:
            raise ValueError(f"'{writable(str(path))}': two files have no columns: leave out 'source' and 'target'.")
        return _read_lines(path, Path(translations))
    rows = list(read_rows(path))
    source, target = find_pair_columns(rows, writable(str(path)), source, target)
    return [(where, TextPair(row.get(source, ""), row.get(target, ""))) for where, row in rows]


def _read_lines(path: Path, translations: Path) -> Iterator[tuple[str, TextPair]]:
    """The lines of two files with each other; where both have an empty one it is left out."""
    # `splitlines` would end lines at form feeds, too, in one file and not in the other.
    sources, targets = (read_utf8(file, LARGEST_TABLE).removesuffix("\n").split("\n") for file in (path, translations))
    if len(sources) != len(targets):
        raise ValueError(
            f"'{writable(str(path))}' has {number_of(len(sources), 'line')} and '{writable(str(translations))}' "
            f"{number_of(len(targets), 'line')}: give each text its translation on the same line."
        )
    if len(sources) > MOST_SENTENCES:
        raise ValueError(f"'{writable(str(path))}' has more than {MOST_SENTENCES} pairs: take fewer.")
    for number, pair in enumerate(zip(sources, targets, strict=True), 1):
        if any(text.strip() for text in pair):
            yield f"line {number}", TextPair(*pair)


def find_pair_columns(
    rows: Sequence[TableRow], place: str, source: str | None, target: str | None, **others: str | None
) -> tuple[str, str]:
    """The columns of sources and of targets."""
    free = free_columns(rows, place, source=source, target=target, **others)
    source, target = guess_two(free, (source, target), (SOURCE_TEXT_COLUMNS, TARGET_TEXT_COLUMNS))
    if source is None or target is None:
        raise ValueError(
            f"'{place}' has the columns {listed(columns_of(rows))}: let its first line call that of the texts 'source' "
            "and that of their translations 'target', or name them by these arguments of the task's class."
        )
    return source, target


class ParallelTask(SingleTask):
    r"""One's own pairs of texts as a collection of a single task, such as sentences and their translations.

    The task is ``ParallelTask("pairs.tsv")[0]``. Pairs with the same source (but for case and spaces) stay together, so
    that no source of the test part is learned from. A pair that repeats another is taken once, and one that is longer
    than the steps of a preprocessing is left out, both with a warning.

    Args:
        path: a table, CSV, TSV or JSON lines, whose first line names the columns; or the file of sources, a line each.
        translations: the file of targets, a line each, where ``path`` is no table.
        source: the column of sources; None finds it by a usual name, such as ``word``, or takes the other one of two.
        target: the column of targets; None finds it by a usual name, or takes the other one of two.
        preprocessing: makes inputs of sources; None takes ``Characters()``, which suits words and short sentences, and
            ``BytePairs()`` suits long ones. One without a vocabulary gets that of the sources to learn from.
        target_preprocessing: makes targets; as ``preprocessing``.
        metric: what the task is judged by; see ``Translation``.
        train: share of the sources to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report the metric on.
        seed: seed of the random split, at least 0.
        test_path: a table of the pairs to report on; None takes some of ``path``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is malformed, there are too few sources, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> rows = [f"{number}\t{number + 1}" for number in range(30)]
        >>> size = Path("next.tsv").write_text("source\ttarget\n" + "\n".join(rows))
        >>> task = lm.ParallelTask("next.tsv")[0]
        >>> len(task.train), len(task.val), len(task.test)
        (18, 6, 6)
        >>> task.preprocessing.show(task.test.inputs[:2]), task.objective.target.show(task.test.labels[:2])
        (['22', '9'], ['23', '10'])
    """

    def __init__(
        self,
        path: str,
        translations: str | None = None,
        source: str | None = None,
        target: str | None = None,
        preprocessing: TextPreprocessing | None = None,
        target_preprocessing: TextPreprocessing | None = None,
        metric: TextMetric = "chrF",
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_path: str | None = None,
    ) -> None:
        check_shares("ParallelTask", train=train, val=val, test=test, seed=seed)
        self.path = Path(path)
        self.metric: TextMetric = metric
        self._given = preprocessing or Characters(), target_preprocessing or Characters()
        place = writable(path)
        pairs = distinct_pairs(read_pairs(self.path, translations, source, target), place)
        if test_path is not None:
            train, test = 1.0, 0.0
        self._parts = deal_sources(pairs, place, train=train, val=val, test=test, seed=seed)
        if test_path is not None:
            there = writable(test_path)
            self._parts["test"] = distinct_pairs(read_pairs(Path(test_path), None, source, target), there)
            known = {text_key(pair.source) for pair in pairs}
            tell_repeats(f"'{there}'", sum(text_key(pair.source) in known for pair in self._parts["test"]), "source")

    def make(self) -> Task:
        """Split the pairs and make inputs and targets of them."""
        source, target = self._given
        learned = self._parts["train"]
        return translation_task(
            self.path.resolve().stem,
            self._parts,
            source.fitted(pair.source for pair in learned),
            target.fitted(pair.target for pair in learned),
            metric=self.metric,
            place=writable(str(self.path)),
        )
