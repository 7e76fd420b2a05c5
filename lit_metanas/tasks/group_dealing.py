"""Groups of examples, each dealt out to one part of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lit_metanas.io.text import number_of, printable
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.task import warn_of_data

MOST_SWAPPED = 200  # groups of which pairs are tried in each other's parts; of more, each is small enough to move alone
MOST_DEALT = 20  # orders in which groups are dealt out until no part lacks a class that it could have
NEARER, DECIMALS = 1e-6, 9  # gain of a change, in squared shares, and its digits, so that all processors choose alike
MISSING_PRICE = 10  # of a class that a part lacks; shares that are all wrong cost less than 2


def deal_groups(
    groups: Mapping[str, Sequence[str]],
    *,
    train: float | None,
    val: float,
    test: float,
    seed: int,
    culprit: Callable[[str], str],
    name: str = "group",
    validated: bool = False,
) -> dict[str, Subset | None]:
    """The part of each group, so that the parts have their shares of each class as well as whole groups allow."""
    # Groups that hold most of a class come first, and each goes where most of its classes is still wanted, as in
    # `StratifiedGroupKFold` of scikit-learn, here with parts of unequal shares. Then groups change their part, alone or
    # in pairs, as long as that brings the shares nearer. A class that a part lacks is worse than any shares; one that
    # the test part lacks is worse than a val part without any, and one that the train part lacks is worse than both.
    # Only the seed and what groups there are decide, not their order. Groups that the shares leave out have no part.
    names = sorted({group for own in groups.values() for group in own})
    generator = np.random.default_rng(seed)
    order = [names[place] for place in generator.permutation(len(names))]
    most = 1 - val - test
    shares = {"train": min(most if train is None else train, most), "val": val, "test": test}
    wanted = [subset for subset in SUBSETS if shares[subset]]
    if len(order) < len(wanted):
        raise ValueError(
            f"'{name}' tells of {number_of(len(order), 'group')}, too few for a {named_parts(wanted)}: add examples of "
            "others, or leave it out."
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
    dealing = _best_dealing(counts, np.array(goals), len(wanted), generator)
    for part, subset in enumerate(wanted):
        lacking = [label for label, number in zip(groups, dealing.filled[part], strict=False) if not number]
        if lacking:
            _report_lacking(subset, lacking, len(groups), culprit=culprit, name=name, validated=validated)
    subsets: list[Subset | None] = [*wanted, None]
    return {group: subsets[part] for group, part in zip(order, dealing.parts.tolist(), strict=True)}


def _report_lacking(
    subset: Subset, lacking: Sequence[str], classes: int, *, culprit: Callable[[str], str], name: str, validated: bool
) -> None:
    """Refuse or warn of classes that a part lacks."""
    first = printable(culprit(lacking[0]))
    if subset == "train":
        raise ValueError(f"{first} has too few groups to be learned and tested: add some.")
    if len(lacking) < classes:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        warn_of_data(
            f"{first} has too few groups for the {subset} part, which is without it{more}: add examples of other "
            "groups."
        )
        return
    if subset == "val" and validated:
        raise ValueError(
            "Without any of the groups a class could not be learned, so none is left to choose by: give examples "
            f"of more groups, or leave '{name}' out."
        )
    warn_of_data(f"There are too few groups for a {subset} part, which is empty: add examples of other groups.")


def named_parts(parts: Sequence[str]) -> str:
    """Such as ``train and test part``."""
    *others, last = parts
    if not others:
        return f"{last} part"
    return f"{', '.join(others)} and {last} part"


def _best_dealing(
    counts: NDArray[np.int64], shares: NDArray[np.float64], wanted: int, generator: np.random.Generator
) -> _Dealing:
    """The best of several orders of the groups, or the first in which the val part alone lacks classes, and few."""
    unavoidable = int(np.clip(wanted - (counts > 0).sum(axis=0), 0, None).sum())
    best = _Dealing(counts, shares, wanted)
    best.deal(np.arange(len(counts)))
    for _ in range(MOST_DEALT):
        if best.missing <= MISSING_PRICE * unavoidable or len(counts) > MOST_SWAPPED:
            break
        other = _Dealing(counts, shares, wanted)
        other.deal(generator.permutation(len(counts)), largest_first=False)
        best = min(best, other, key=lambda one: one.cost)
    return best


class _Dealing:
    """Groups in parts."""

    # `counts` are the examples of each group, of each class and, last, of all, shape `(groups, classes + 1)`. Of the
    # parts with these `shares` the first `wanted` are to have all classes, and the train part, which comes first,
    # before others. `parts` are those of the groups; `filled` are their examples, shape `(parts, classes + 1)`.

    def __init__(self, counts: NDArray[np.int64], shares: NDArray[np.float64], wanted: int) -> None:
        self.counts = counts
        self.shares = shares
        self.totals = counts.sum(axis=0)
        rows = counts.shape[1]
        # A class that is not tested costs more than a val part without any, one that is not learned more than both.
        prices = [1 + rows * (2 + rows), 1, 1 + rows][:wanted] + [0] * (len(shares) - wanted)
        self.prices = MISSING_PRICE * np.array(prices, dtype=np.int64)
        self.parts = np.full(len(counts), -1)
        self.filled = np.zeros((len(shares), rows), dtype=np.int64)

    def deal(self, order: NDArray[np.int64], largest_first: bool = True) -> None:
        """Put each group where most of its classes is still wanted, and move some while that is better."""
        # Those that hold most of a class come first, or else the order decides.
        held = self.counts / self.totals
        if largest_first:
            order = order[np.argsort(-held[order].max(axis=1), kind="stable")]
        for group in order:
            lacking = self.shares[:, None] - self.filled / self.totals
            self.parts[group] = part = int(np.argmax((lacking @ held[group]).round(DECIMALS)))
            self.filled[part] += self.counts[group]
        self._improve()

    @property
    def cost(self) -> float:
        """How far the parts are from what is wanted."""
        return self.missing + float(self._wrong(self.filled, np.arange(len(self.shares))).sum())

    @property
    def missing(self) -> int:
        """The price of all classes that parts lack."""
        return int(self._missing(self.filled, np.arange(len(self.shares))).sum())

    def _improve(self) -> None:
        """Move groups, and let pairs change places, while that is better."""
        groups, parts = len(self.counts), len(self.shares)
        # A group without examples in each part: to change places with it is to move there.
        others = np.vstack([self.counts[: groups if groups <= MOST_SWAPPED else 0], np.zeros_like(self.filled)])
        better = True
        while better:
            better = False
            for group in range(groups):
                own = self.parts[group]
                theirs = np.concatenate([self.parts[: len(others) - parts], np.arange(parts)])
                change = others - self.counts[group]
                mine, yours = self.filled[own] + change, self.filled[theirs] - change
                before = self._wrong(self.filled[own], own) + self._wrong(self.filled[theirs], theirs)
                gain = (before - self._wrong(mine, own) - self._wrong(yours, theirs)).round(DECIMALS)
                # Apart, since whole numbers are exact however large they are.
                priced = self._missing(self.filled[own], own) + self._missing(self.filled[theirs], theirs)
                gain += priced - self._missing(mine, own) - self._missing(yours, theirs)
                gain[theirs == own] = 0.0
                best = int(gain.argmax())
                if gain[best] > NEARER:
                    better = True
                    self.filled[own], self.filled[theirs[best]] = mine[best], yours[best]
                    self.parts[group] = theirs[best]
                    if best < len(others) - parts:
                        self.parts[best] = own

    def _wrong(self, filled: NDArray[np.int64], part: NDArray[np.int64] | int) -> NDArray[np.float64]:
        """How far parts with so many examples, shape ``(…, classes + 1)``, are from their shares."""
        far = filled / self.totals - np.expand_dims(self.shares[part], -1)
        return np.asarray((far**2).mean(axis=-1))

    def _missing(self, filled: NDArray[np.int64], part: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """The price of what parts with so many examples lack."""
        return np.asarray(self.prices[part] * (filled == 0).sum(axis=-1))
