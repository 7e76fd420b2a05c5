"""Groups of examples, each dealt out to one part of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.text import number_of, printable
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.task import warn_of_data

MOST_TRIED = 500_000  # numbers of all ways to deal out a few groups, which are all tried
MOST_ORDERS, MOST_GREEDY_STEPS = 60, 20_000  # orders in which more groups are dealt out, and groups in all of them
DECIMALS = 9  # of squared shares, so that all processors choose alike


def deal_groups(
    groups: Mapping[str, Sequence[str]],
    *,
    train: float | None,
    val: float,
    test: float,
    seed: int,
    culprit: Callable[[str], str],
) -> dict[str, Subset | None]:
    """The part of each group, so that the parts have their shares of each class as well as whole groups allow."""
    # Of a few groups all ways to deal them out are tried. Of more, each goes where most of its classes is still wanted,
    # as in `StratifiedGroupKFold` of scikit-learn, here with parts of unequal shares, and the best of several orders is
    # taken. A class that a part lacks is worse than any shares; one that the test part lacks is worse than a val part
    # without any, and one that the train part lacks is worse than both. Only the seed and what groups there are decide,
    # not their order. Groups that the shares leave out have no part.
    names = sorted({group for own in groups.values() for group in own})
    generator = np.random.default_rng(seed)
    order = [names[place] for place in generator.permutation(len(names))]
    most = 1 - val - test
    shares = {"train": min(most if train is None else train, most), "val": val, "test": test}
    wanted = [subset for subset in SUBSETS if shares[subset]]
    if len(order) < len(wanted):
        raise ValueError(
            f"There are {number_of(len(order), 'group')}, too few for a {named_parts(wanted)}: add examples of others, "
            "or leave groups out."
        )
    for label, own in groups.items():
        if test and len(set(own)) == 1:
            raise ValueError(
                f"{printable(culprit(label))} is of the group '{printable(own[0], 80)}' alone, so it cannot be both "
                "learned and tested: add examples of other groups, or leave the class out."
            )
    places = {group: place for place, group in enumerate(order)}
    counts = np.zeros((len(order), len(groups) + 1), dtype=np.int64)
    for row, own in enumerate(groups.values()):
        np.add.at(counts, ([places[group] for group in own], row), 1)
    counts[:, -1] = counts[:, :-1].sum(axis=1)
    goals = [shares[subset] for subset in wanted]
    if (rest := 1 - sum(shares.values())) > 1e-6:
        goals.append(rest)
    parts = _best_parts(counts, np.array(goals), len(wanted), generator)
    for part, subset in enumerate(wanted):
        filled = counts[parts == part].sum(axis=0)
        if lacking := [label for label, number in zip(groups, filled, strict=False) if not number]:
            _report_lacking(subset, lacking, len(groups), culprit)
    subsets: list[Subset | None] = [*wanted, None]
    return {group: subsets[part] for group, part in zip(order, parts.tolist(), strict=True)}


def _report_lacking(subset: Subset, lacking: Sequence[str], classes: int, culprit: Callable[[str], str]) -> None:
    first = printable(culprit(lacking[0]))
    if subset == "train":
        raise ValueError(f"{first} has too few groups to be learned and tested: add some.")
    said = f"There are too few groups for a {subset} part, which is empty"
    if len(lacking) < classes:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        said = f"{first} has too few groups for the {subset} part, which is without it{more}"
    warn_of_data(f"{said}: add examples of other groups.")


def named_parts(parts: Sequence[str]) -> str:
    """Such as ``train and test part``."""
    return f"{' and '.join(', '.join(parts).rsplit(', ', 1))} part"


def _best_parts(
    counts: NDArray[np.int64], shares: NDArray[np.float64], wanted: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each group; ``counts`` are its examples of each class and, last, of all."""
    # The first `wanted` parts, of which the train part comes first, are to have all classes.
    number, rows = counts.shape
    if number <= 12 and len(shares) ** number * rows <= MOST_TRIED:
        ways = np.array(list(product(range(len(shares)), repeat=number)))
    else:
        held = (counts / counts.sum(axis=0)).max(axis=1)
        orders = [np.argsort(-held, kind="stable")]
        orders += [generator.permutation(number) for _ in range(min(MOST_ORDERS, MOST_GREEDY_STEPS // number))]
        ways = np.stack([_dealt(counts, shares, order) for order in orders])
    filled = np.stack([(ways == part) @ counts for part in range(len(shares))], axis=1)  # (ways, parts, rows)
    wrong = ((filled / counts.sum(axis=0) - shares[:, None]) ** 2).mean(axis=2).sum(axis=1).round(DECIMALS)
    # Of the train, val and test part: one class that the first lacks costs more than all that the others lack.
    prices = np.array([1 + rows * (2 + rows), 1, 1 + rows])[:wanted]
    missing = (filled[:, :wanted] == 0).sum(axis=2) @ prices
    best: NDArray[np.int64] = ways[np.lexsort((wrong, missing))[0]]
    return best


def _dealt(counts: NDArray[np.int64], shares: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """The part of each group, where each in turn goes where most of its classes is still wanted."""
    held = counts / counts.sum(axis=0)
    parts, lacking = np.zeros(len(counts), dtype=np.int64), np.repeat(shares[:, None], counts.shape[1], axis=1)
    for group in order:
        parts[group] = part = int(np.argmax((lacking @ held[group]).round(DECIMALS)))
        lacking[part] -= held[group]
    return parts
