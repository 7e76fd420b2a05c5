"""Pairs of a text and what it becomes: how they are read and divided, and the task that they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lit_metanas.inputs.batches import step_mask
from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.inputs.tokens import TextPreprocessing
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.texts.labelled_text import MOST_SENTENCES, checked_text, read_utf8, text_key
from lit_metanas.kinds.texts.table_files import LARGEST_TABLE, TableRow, read_rows
from lit_metanas.kinds.texts.text_tables import columns_of, free_columns, guess_two, listed
from lit_metanas.objectives.translation import TextMetric, Translation
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import part_sizes
from lit_metanas.tasks.task import Split, Task, warn_of_data


class TextPair(NamedTuple):
    """A text, such as a sentence or a word, and what it becomes: such as its translation."""

    source: str
    target: str


Parts = dict[Subset, list[TextPair]]
"""The pairs of the train, val and test part of a task."""


def distinct_pairs(rows: Iterable[tuple[str, TextPair]], place: str) -> list[TextPair]:
    """Pairs without white space around their texts, each once, in their order."""
    found: dict[TextPair, None] = {}
    number = 0
    for where, pair in rows:
        number += 1
        if number > MOST_SENTENCES:
            raise ValueError(f"'{place}' has more than {MOST_SENTENCES} pairs: take fewer.")
        source = checked_text(pair.source, "source", where, place)
        found[TextPair(source, checked_text(pair.target, "target", where, place))] = None
    if not number:
        raise ValueError(f"'{place}' holds no pairs: give some, each a source and a target.")
    if number > len(found):
        warn_of_data(f"'{place}' repeats {number_of(number - len(found), 'pair')}: each is taken once.")
    return list(found)


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
    splits, left_out = [], 0
    for subset in SUBSETS:
        fits = zip(*(made.whole(texts) for made, texts in _sides(parts[subset], source, target)), strict=True)
        kept = [pair for pair, whole in zip(parts[subset], fits, strict=True) if all(whole)]
        left_out += len(parts[subset]) - len(kept)
        if not kept and (parts[subset] or subset != "val"):
            raise ValueError(f"'{place}' has no {subset} pairs of at most {limits}: add some, or raise steps.")
        inputs, targets = (made.encode(texts) for made, texts in _sides(kept, source, target))
        longest = max([1, *step_mask(targets).sum(1).int().tolist()])
        splits.append(Split(inputs, targets[:, :longest]))
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
    )


def _sides(
    pairs: Sequence[TextPair], source: TextPreprocessing, target: TextPreprocessing
) -> tuple[tuple[TextPreprocessing, list[str]], ...]:
    """Both preprocessings, each with its texts."""
    return (source, [pair.source for pair in pairs]), (target, [pair.target for pair in pairs])


SOURCE_TEXT_COLUMNS = (
    "source", "src", "input", "from", "word", "grapheme", "graphemes", "original", "sentence", "text",
)  # fmt: skip
TARGET_TEXT_COLUMNS = (
    "target", "tgt", "output", "to", "translation", "pronunciation", "phoneme", "phonemes", "phones", "reference",
)  # fmt: skip
"""Names by which columns are found, whatever their case."""


def read_pairs(
    path: Path,
    translations: str | None = None,
    source: str | None = None,
    target: str | None = None,
) -> Iterator[tuple[str, TextPair]]:
    """The pairs of a table or of two files, and where each stands."""
    if translations is not None:
        if source is not None or target is not None:
            raise ValueError(f"'{writable(str(path))}': two files have no columns: leave out 'source' and 'target'.")
        yield from _read_lines(path, Path(translations))
        return
    rows = list(read_rows(path))
    source, target = find_pair_columns(rows, writable(str(path)), source, target)
    for where, row in rows:
        yield where, TextPair(row.get(source, ""), row.get(target, ""))


def _read_lines(path: Path, translations: Path) -> Iterator[tuple[str, TextPair]]:
    """The lines of two files with each other; where both have an empty one it is left out."""
    sources, targets = (read_utf8(file, LARGEST_TABLE).removesuffix("\n").split("\n") for file in (path, translations))
    if len(sources) != len(targets):
        raise ValueError(
            f"'{writable(str(path))}' has {number_of(len(sources), 'line')} and '{writable(str(translations))}' "
            f"{number_of(len(targets), 'line')}: give each text its translation on the same line."
        )
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
