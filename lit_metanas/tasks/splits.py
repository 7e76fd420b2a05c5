"""How examples are divided into train, val and test parts, and classes into meta-train, meta-val and meta-test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Sized
from math import isfinite
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.batches import join_inputs
from lit_metanas.inputs.input_checks import in_unit_range
from lit_metanas.inputs.shapes import ImageShape, RowShape, TokenShape
from lit_metanas.io.text import first_few, nearest, number_of, printable, short_value
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.task import Split, Task, warn_of_data

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Sized)

MOST_SWAPPED = 200
"""Groups of which pairs are tried in each other's parts; of more, each is small enough to be moved alone."""

MOST_DEALT = 20
"""Orders in which groups are dealt out until no part lacks a class that it could have."""

NEARER, DECIMALS = 1e-6, 9
"""What a change of groups gains at least, in squared shares; and their digits, so that all processors choose alike."""

MISSING_PRICE = 10
"""What a class costs that a part lacks; shares that are all wrong cost less than 2."""

FEWEST_TARGETS = 10
"""Different numbers that are taken for targets of a regression; fewer may be names of classes, such as versions."""

FEWEST_OF_A_CLASS = 3
"""Examples of a class that is divided: one to learn from, one to choose by and one to test."""

FEWEST_OF_A_LABEL = 3
"""Examples that a label has on average; what has fewer is no label, but a number to be predicted or a text."""


def join_classes(classes: Sequence[Tensor]) -> Split:
    """One split of the examples of all classes, ordered by class; images become floating point in [0, 1]."""
    inputs = join_inputs(classes)
    numbers = [label for label, part in enumerate(classes) for _ in range(part.shape[0])]
    labels = torch.tensor(numbers, dtype=torch.int64, device=inputs.device)
    return Split(inputs=in_unit_range(inputs) if inputs.dim() == 4 else inputs, labels=labels)


def warn_of_repeats(tested_in: str, learned: Sequence[Tensor], tested: Tensor) -> None:
    """Tell of test examples that are learned from, too, to the last bit."""
    known = {digest for part in learned for digest in _digests(part)}
    repeated = sum(digest in known for digest in _digests(tested))
    tell_repeats(tested_in, repeated)


def _digests(inputs: Tensor) -> list[int]:
    """What is the same for equal examples, and hardly ever for others: Python's own hashes, which take least time."""
    return [hash(row.tobytes()) for row in inputs.cpu().numpy()]


def warn_of_copies(task: Task, *, drawn: bool) -> None:
    """Tell of examples that are learned from in one part and judged by in another, and of equal ones of two classes."""
    if isinstance(task.shape, TokenShape):
        return
    rows = isinstance(task.shape, RowShape)
    everything = _digests(task.train.inputs)
    labels = [task.train.labels]
    seen, copied = set(everything), []
    for what, part in (("choose by", task.val), ("test", task.test)):
        if part is None:
            continue
        own = _digests(part.inputs)
        copies = sum(digest in seen for digest in own)
        if copies and (drawn or what != "test"):
            copied.append(f"{copies:,} of the {len(own):,} to {what}")
        seen.update(own)  # the last training is on those to choose by, too
        everything += own
        labels.append(part.labels)
    place, both = f"'{printable(task.id, 40)}'", " and ".join(copied)
    if isinstance(task.shape, ImageShape):  # larger ones may differ
        place += f" at {task.shape.height}x{task.shape.width} pixels"
    if copied:
        unless = ", unless rows are rightly equal" if rows else ""
        warn_of_data(
            f"{place} has equal examples in several parts: {both} are also learned from, so the scores may be too "
            f"good; remove copies{unless}."
        )
    if not isinstance(task.goal, Classification):
        return
    classes: dict[int, set[int]] = {}
    for digest, label in zip(everything, torch.cat(labels).tolist(), strict=True):
        classes.setdefault(digest, set()).add(label)
    if several := sum(len(classes[digest]) > 1 for digest in everything):
        rightly = ", unless these columns cannot tell the classes apart" if rows else ""
        warn_of_data(
            f"{place} has equal examples of different classes, {several:,} of {len(everything):,}, which no network "
            f"can tell apart: correct their labels, or remove them{rightly}."
        )


def tell_repeats(tested_in: str, repeated: int, noun: str = "example") -> None:
    """Tell how many of the test examples are learned from, too, if any."""
    if repeated:
        warn_of_data(
            f"{tested_in} repeats {number_of(repeated, noun)} that {'is' if repeated == 1 else 'are'} learned "
            "from: the test accuracy will be too good. Leave them out of one of the two."
        )


def check_shares(owner: str, *, train: float, val: float, test: float, seed: int) -> None:
    """Look at the shares of each class's examples that the parts of a task get."""
    if min(train, test) <= 0 or val < 0 or train + val + test > 1 + 1e-6:
        raise ValueError(
            f"{owner}: train = {train}, val = {val}, test = {test} must be shares above 0 (val: at least 0) "
            f"with a sum of at most 1."
        )
    if seed < 0:
        raise ValueError(f"{owner}: seed = {seed} must be at least 0.")


def check_held_out_shares(*, val: float, test: float, drawn: bool, seed: int) -> None:
    """Look at the shares of each class's examples that are kept from training; all that is left is for it."""
    if not 0 <= val < 1 or not 0 <= test < 1 or val + test >= 1 or (drawn and test == 0):
        raise ValueError(
            f"val = {val}, test = {test} must be shares of each class (test: above 0) with a sum below 1; the rest is "
            "for training."
        )
    if seed < 0:
        raise ValueError(f"seed = {seed} must be at least 0.")


def part_sizes(culprit: str, examples: int, *, train: float | None, val: float, test: float) -> tuple[int, int, int]:
    """How many of a class's examples go to train, val and test: at least one where the share is not 0."""
    validation = max(1, round(val * examples)) if val else 0
    tested = max(1, round(test * examples)) if test else 0
    rest = examples - validation - tested
    trained = rest if train is None or train + val + test > 1 - 1e-6 else min(max(1, round(train * examples)), rest)
    if trained < 1:
        parts = ["train", *(name for name, share in (("val", val), ("test", test)) if share)]
        wanted = f"{', '.join(parts[:-1])} and {parts[-1]} part" if parts[1:] else "train part"
        raise ValueError(
            f"{printable(culprit)} has {number_of(examples, 'example')}, too few for a {wanted}: add some."
        )
    return trained, validation, tested


def large_classes(classes: Mapping[K, V], least: int | None, place: str) -> dict[K, V]:
    """The classes that have enough examples; a warning names those that are left out."""
    if least is None:
        return dict(classes)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise ValueError(f"min_per_class = {short_value(least)} must be a whole number of at least 1.")
    numbers = {str(name): len(own) for name, own in classes.items()}
    lost = {name: number for name, number in numbers.items() if number < least}
    named = first_few([f"'{printable(name, 40)}' ({number})" for name, number in lost.items()])
    large, enough = len(numbers) - len(lost), number_of(least, "example")
    rare = least <= FEWEST_OF_A_CLASS and 2 * sum(lost.values()) > sum(numbers.values())
    if lost and (large < 2 or rare):
        _check_no_targets(numbers)
        has = number_of(large, "class")
        if large < 2:
            raise ValueError(f"{place} has {has} of {enough} or more, too few to learn from: add some of {named}.")
        raise ValueError(
            f"Most examples of {place} are of classes with fewer than {enough}, such as {named}: are these classes? "
            "Add some of each, or leave them out yourself."
        )
    if lost:
        warn_of_data(f"{place} has {number_of(len(lost), 'class')} of fewer than {enough}, left out: {named}.")
    return {name: own for name, own in classes.items() if len(own) >= least}


def kept_labels(
    labels: Sequence[Hashable], names: Mapping[Hashable, str], kept: Collection[str]
) -> tuple[list[int], list[Hashable]]:
    """The places of examples of a test part that are of no class that was left out, and the labels of the others."""
    places = [place for place, label in enumerate(labels) if label not in names or names[label] in kept]
    return places, [label for label, name in names.items() if name in kept]


def split_classes(classes: Sequence[Tensor], sizes: Sequence[tuple[int, int, int]], seed: int) -> list[Split]:
    """Deal the examples of each class out to train, val and test, in an order drawn from the seed and the label."""
    parts: list[list[Tensor]] = [[], [], []]
    for label, (inputs, counts) in enumerate(zip(classes, sizes, strict=True)):
        order = torch.from_numpy(np.random.default_rng((seed, label)).permutation(len(inputs))).to(inputs.device)
        start = 0
        for part, count in zip(parts, counts, strict=True):
            part.append(inputs[order[start : start + count]])
            start += count
    return [join_classes(parts.pop(0)) for _ in SUBSETS]  # each is let go of once its copy is made


def split_examples(
    classes: Mapping[str, Tensor],
    *,
    train: float | None,
    val: float,
    test: float,
    seed: int,
    culprit: Callable[[str], str],
    groups: Mapping[str, Sequence[str]] | None = None,
    name: str = "group",
    validated: bool = False,
) -> list[Split]:
    """The train, val and test part of the examples of classes."""
    try:
        if groups is None:
            sizes = [part_sizes(culprit(of), len(own), train=train, val=val, test=test) for of, own in classes.items()]
            return split_classes(list(classes.values()), sizes, seed)
        dealt = deal_groups(
            groups, train=train, val=val, test=test, seed=seed, culprit=culprit, name=name, validated=validated
        )
    except ValueError:
        _check_no_targets({of: len(own) for of, own in classes.items()})
        raise
    return [
        join_classes([own[[dealt[group] == part for group in groups[name]]] for name, own in classes.items()])
        for part in SUBSETS
    ]


def _check_no_targets(numbers: Mapping[str, int]) -> None:
    """Look whether the names of classes are numbers with fractions that hardly repeat, as targets of a regression do."""
    if len(numbers) < FEWEST_TARGETS or FEWEST_OF_A_LABEL * len(numbers) <= sum(numbers.values()):
        return
    try:
        values = [float(name) for name in numbers]
    except ValueError:  # names
        return
    if all(map(isfinite, values)) and not all(value.is_integer() for value in values):
        some = ", ".join(printable(name, 20) for name in [*numbers][:3])
        raise ValueError(
            f"The labels are numbers that hardly repeat ({some} …): classes are told apart, and no numbers predicted; "
            "give labels that are classes."
        ) from None


def by_class(
    groups: Mapping[Any, str] | Sequence[str] | None, places: Mapping[str, Sequence[Any]]
) -> dict[str, list[str]] | None:
    """The groups of the examples of each class, from those of all; None where these are not known."""
    return None if groups is None else {name: [groups[place] for place in own] for name, own in places.items()}


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
    """The part of each group, so that the parts have their shares of each class as well as whole groups allow.

    Groups that hold most of a class come first, and each goes where most of its classes is still wanted, as in
    ``StratifiedGroupKFold`` of scikit-learn, here with parts of unequal shares. Then groups change their part, alone or
    in pairs, as long as that brings the shares nearer. A class that a part lacks is worse than any shares; one that the
    test part lacks is worse than a val part without any, and one that the train part lacks is worse than both. Only the
    seed and what groups there are decide, not their order.

    Args:
        groups: the group of each example of each class.
        train: share of each class for the train part; None is all that is left.
        val: share of the val part; 0 leaves it empty.
        test: share of the test part; 0 leaves it empty.
        seed: of the order of groups that are alike.
        culprit: a class's name to how a message begins that is about it.
        name: of the argument that tells groups, as messages begin.
        validated: whether groups that leave the val part empty are refused, and not only told of.

    Returns:
        The part of each group; None where the shares leave it out.

    Raises:
        ValueError: there are fewer groups than parts, or a class that is to be learned and tested is of one group.
    """
    names = sorted({group for own in groups.values() for group in own})
    generator = np.random.default_rng(seed)
    order = [names[place] for place in generator.permutation(len(names))]
    most = 1 - val - test
    shares = {"train": most if train is None else min(train, most), "val": val, "test": test}
    wanted = [subset for subset in SUBSETS if shares[subset]]
    if len(order) < len(wanted):
        parts = f"{', '.join(wanted[:-1])} and {wanted[-1]} part"
        found = number_of(len(order), "group")
        raise ValueError(f"'{name}' tells of {found}, too few for a {parts}: add examples of others, or leave it out.")
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
    rest = 1 - sum(shares.values())
    goals = [shares[subset] for subset in wanted] + ([rest] if rest > 1e-6 else [])
    dealing = _best_dealing(counts, np.array(goals), len(wanted), generator)
    for part, subset in enumerate(wanted):
        lacking = [label for label, number in zip(groups, dealing.filled[part], strict=False) if not number]
        if lacking and subset == "train":
            raise ValueError(f"{printable(culprit(lacking[0]))} has too few groups to be learned and tested: add some.")
        if len(lacking) == len(groups) and subset == "val" and validated:
            raise ValueError(
                "Without any of the groups a class could not be learned, so none is left to choose by: give examples "
                f"of more groups, or leave '{name}' out."
            )
        if len(lacking) == len(groups):
            warn_of_data(f"There are too few groups for a {subset} part, which is empty: add examples of other groups.")
        elif lacking:
            warn_of_data(
                f"{printable(culprit(lacking[0]))} has too few groups for the {subset} part, which is without it"
                f"{f' and {len(lacking) - 1} more' if lacking[1:] else ''}: add examples of other groups."
            )
    subsets: list[Subset | None] = [*wanted, None]
    return {group: subsets[part] for group, part in zip(order, dealing.parts.tolist(), strict=True)}


def _best_dealing(
    counts: NDArray[np.int64], shares: NDArray[np.float64], wanted: int, generator: np.random.Generator
) -> _Dealing:
    """The best of several orders of the groups, or the first in which the val part alone lacks classes, and few."""
    unavoidable = int(np.clip(wanted - (counts > 0).sum(axis=0), 0, None).sum())
    best = _Dealing(counts, shares, wanted)
    best.deal(np.arange(len(counts)))
    for _ in range(MOST_DEALT if len(counts) <= MOST_SWAPPED else 0):
        if best.missing <= MISSING_PRICE * unavoidable:
            break
        other = _Dealing(counts, shares, wanted)
        other.deal(generator.permutation(len(counts)), largest_first=False)
        best = min(best, other, key=lambda one: one.cost)
    return best


class _Dealing:
    """Groups in parts.

    Args:
        counts: the examples of each group, of each class and, last, of all, shape ``(groups, classes + 1)``.
        shares: of each part.
        wanted: the first parts, as many, are to have all classes; the train part, which comes first, before others.

    Attributes:
        parts: the part of each group.
        filled: the examples of each part, shape ``(parts, classes + 1)``.
    """

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


def tell_shared_groups(
    tested_in: str, learned: Mapping[Any, str] | Sequence[str] | None, tested: Mapping[Any, str] | Sequence[str]
) -> None:
    """Tell of groups that are learned from and tested, where the test part is given."""
    if learned is not None:
        first, second = ({*(one.values() if isinstance(one, Mapping) else one)} for one in (learned, tested))
        tell_repeats(tested_in, len(first & second), "group")


def class_subsets(
    names: Sequence[str],
    lists: Mapping[Subset, Sequence[str] | None],
    *,
    fractions: tuple[float, float, float],
    seed: int,
    owner: str,
    place: str,
    noun: str = "class",
) -> dict[Subset, tuple[str, ...]]:
    """The classes of each subset: as listed, or drawn by the seed where there is no list at all."""
    if seed < 0:
        raise ValueError(f"{owner}: seed = {seed} must be at least 0.")
    if all(one is None for one in lists.values()):
        if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
            raise ValueError(f"{owner}: fractions = {tuple(fractions)} must be at least 0 and sum to 1.")
        order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
        first, second = round(fractions[0] * len(names)), round((fractions[0] + fractions[1]) * len(names))
        parts = (order[:first], order[first:second], order[second:])
        return {subset: tuple(sorted(part)) for subset, part in zip(SUBSETS, parts, strict=True)}
    seen: dict[str, Subset] = {}
    for subset, listed in lists.items():
        for name in listed or ():
            if name not in names:
                near = nearest(name, names)
                hint = f"did you mean {near!r}?" if near else f"there are {', '.join(names[:5])}, …"
                raise ValueError(f"{place} has no {noun} {name!r} (named in {subset}): {hint}")
            if name in seen:
                raise ValueError(f"Class {name!r} of {place} is named in {seen[name]} and in {subset}: name it once.")
            seen[name] = subset
    return {subset: tuple(listed or ()) for subset, listed in lists.items()}
