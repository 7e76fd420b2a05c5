"""How examples are divided into train, val and test parts, and classes into meta-train, meta-val and meta-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence, Sized
from itertools import islice, product
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.inputs.shapes import ImageShape, TokenShape
from lit_metanas.io.text import first_few, hint, number_of, printable, short_value
from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.task import Split, Task, join_parts, warn_of_data

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Sized)

FEWEST_OF_A_CLASS = 3  # examples of a class that is divided: to learn from, to choose by and to test
FEWEST_OF_A_LABEL = 3  # examples that a label has on average; what has fewer is a number to be predicted, or a text

MOST_TRIED = 500_000  # numbers of all ways to deal out a few groups, which are all tried
MOST_ORDERS, MOST_GREEDY_STEPS = 60, 20_000  # orders in which more groups are dealt out, and groups in all of them
DECIMALS = 9  # of squared shares, so that all processors choose alike


def all_but_test(task: Task) -> Split:
    """The train and val parts as one; the train part if there is no val part."""
    return task.train if task.val is None else join_parts(task.train, task.val)


def warn_of_repeats(tested_in: str, learned: Sequence[Tensor], tested: Tensor) -> None:
    """Warn of test examples that equal some to learn from, to the last bit."""
    known = {digest for part in learned for digest in digests(part)}
    tell_repeats(tested_in, sum(digest in known for digest in digests(tested)))


def digests(inputs: Tensor) -> list[int]:
    """What is the same for equal examples, and hardly ever for others: Python's own hashes, which take least time."""
    return [hash(row.tobytes()) for row in inputs.cpu().numpy()]


def warn_of_copies(task: Task, *, drawn: bool) -> None:
    """Warn of equal examples in several parts, of which a given test part may repeat some, and in several classes."""
    if isinstance(task.shape, TokenShape):  # each text is taken once, and different ones may have equal tokens
        return
    place = f"'{printable(task.id, 40)}'"
    if isinstance(task.shape, ImageShape):  # larger ones may differ
        place += f" at {task.shape.height}x{task.shape.width} pixels"
    named = {"learn from": task.train, "choose by": task.val, "test": task.test}
    parts = {what: part for what, part in named.items() if part is not None}
    own_digests = {what: digests(part.inputs) for what, part in parts.items()}
    seen, copied = set[int](), []
    for what, own in own_digests.items():  # the last training is on those to choose by, too
        copies = sum(digest in seen for digest in own)
        if copies and (drawn or what != "test"):
            copied.append(f"{copies:,} of the {len(own):,} to {what}")
        seen.update(own)
    if copied:
        warn_of_data(
            f"{place} has equal examples in several parts: {' and '.join(copied)} are also learned from, so the scores "
            "may be too good; remove copies, unless they are rightly equal."
        )
    if not isinstance(task.goal, Classification):
        return
    everything = [digest for own in own_digests.values() for digest in own]
    labels = torch.cat([part.labels for part in parts.values()]).tolist()
    classes = Counter(digest for digest, _ in {*zip(everything, labels, strict=True)})
    if several := sum(classes[digest] > 1 for digest in everything):
        warn_of_data(
            f"{place} has equal examples of different classes, {several:,} of {len(everything):,}, which no network "
            "can tell apart: correct their labels, remove them, or add what tells them apart."
        )


def tell_repeats(tested_in: str, repeated: int, noun: str = "example") -> None:
    """Warn if some of the test examples are learned from, too."""
    if repeated:
        warn_of_data(
            f"{tested_in} repeats {number_of(repeated, noun)} that {('is', 'are')[repeated > 1]} learned from: the "
            "test accuracy will be too good. Leave them out of one of the two."
        )


def check_shares(
    owner: str, *, val: float, test: float, seed: int, train: float | None = None, drawn: bool = True
) -> None:
    """Refuse shares that leave nothing to learn from or to test, or a negative seed. ``train`` None is the rest."""
    if train is None:
        train = 1 - val - test
    # Sums of decimals are not exact.
    fits = train > 1e-6 and val >= 0 and test >= 0 and train + val + test <= 1 + 1e-6
    if not fits or (drawn and not test):
        raise ValueError(
            f"{owner}: train = {train:g}, val = {val}, test = {test} must be shares above 0 (val: at least 0) with a "
            "sum of at most 1."
        )
    if seed < 0:
        raise ValueError(f"{owner}: seed = {seed} must be at least 0.")


def part_sizes(culprit: str, examples: int, *, train: float | None, val: float, test: float) -> tuple[int, int, int]:
    """How many examples of a class each part gets: at least one, unless its share is 0. ``train`` None is the rest."""
    validation, tested = (max(int(share > 0), round(share * examples)) for share in (val, test))
    rest = examples - validation - tested
    trained = rest
    if train is not None and train + val + test <= 1 - 1e-6:
        trained = min(max(1, round(train * examples)), rest)
    if trained < 1:
        parts = named_parts(["train", *(name for name, share in (("val", val), ("test", test)) if share)])
        raise ValueError(f"{printable(culprit)} has {number_of(examples, 'example')}, too few for a {parts}: add some.")
    return trained, validation, tested


def large_classes(classes: Mapping[K, V], least: int | None, place: str) -> dict[K, V]:
    """The classes that have enough examples; a warning names those that are left out."""
    if least is None:
        return dict(classes)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        raise ValueError(f"min_per_class = {short_value(least)} must be a whole number of at least 1.")
    lost = {name: own for name, own in classes.items() if len(own) < least}
    named = first_few([f"'{printable(str(name), 40)}' ({len(own)})" for name, own in lost.items()])
    large, enough = len(classes) - len(lost), number_of(least, "example")
    if large < 2 and lost:
        raise ValueError(
            f"{place} has {number_of(large, 'class')} of {enough} or more, too few to learn from: add some of {named}."
        )
    if least <= FEWEST_OF_A_CLASS and 2 * sum(map(len, lost.values())) > sum(map(len, classes.values())):
        raise ValueError(
            f"Most examples of {place} are of classes with fewer than {enough}, such as {named}: are these classes? "
            "Add some of each, or leave them out yourself."
        )
    if lost:
        warn_of_data(f"{place} has {number_of(len(lost), 'class')} of fewer than {enough}, left out: {named}.")
    return {name: own for name, own in classes.items() if name not in lost}


def split_examples(
    classes: Mapping[str, Sequence[int]],
    *,
    train: float | None,
    val: float,
    test: float,
    seed: int,
    culprit: Callable[[str], str],
    groups: Sequence[str] | None = None,
) -> list[list[int]]:
    """The places of the train, val and test part, class by class; those of one group go into one part."""
    if groups is not None:
        own = {of: [groups[at] for at in places] for of, places in classes.items()}
        dealt = deal_groups(own, train=train, val=val, test=test, seed=seed, culprit=culprit)
        return [[at for places in classes.values() for at in places if dealt[groups[at]] == part] for part in SUBSETS]
    parts = [list[int]() for _ in SUBSETS]
    for label, (of, places) in enumerate(classes.items()):
        sizes = part_sizes(culprit(of), len(places), train=train, val=val, test=test)
        # In an order that is drawn from the seed and the class.
        order = iter(np.random.default_rng((seed, label)).permutation(len(places)).tolist())
        for part, size in zip(parts, sizes, strict=True):
            part += [places[at] for at in islice(order, size)]
    return parts


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
        more = f" and {len(lacking) - 1} more" * bool(lacking[1:])
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


def deal_labels(
    targets: Tensor,
    *,
    train: float | None,
    val: float,
    test: float,
    seed: int,
    culprit: Callable[[int], str],
) -> list[Tensor]:
    """The places of the train, val and test part, so that each class has its share in all of them."""
    # This is iterative stratification: the class with the fewest examples left deals them out first, each to the part
    # that lacks most of the class, of several to the one that lacks most examples (Sechidis et al. 2011, Algorithm 1).
    # Differs in that a part lacks at least one of each class, and in that further ties go to the first part.
    # Sechidis, Tsoumakas, Vlahavas. On the Stratification of Multi-Label Data. ECML PKDD 2011.

    def lacking(name: str, examples: int) -> list[int]:
        sizes = part_sizes(name, examples, train=train, val=val, test=test)
        return [*sizes, examples - sum(sizes)]  # a fourth part is left out

    number, classes = targets.shape
    members = [own.nonzero()[:, 0].tolist() for own in targets.T]
    wanted = [lacking(culprit(label), len(own)) for label, own in enumerate(members)]
    whole = lacking("X", number)
    labels = [list[int]() for _ in range(number)]
    for label, own in enumerate(members):
        for place in own:
            labels[place].append(label)
    order = np.random.default_rng(seed).permutation(number).tolist()
    ranks = {place: rank for rank, place in enumerate(order)}
    left, dealt = [len(own) for own in members], [-1] * number

    def deal(place: int, lacks: Sequence[int]) -> None:
        part = max(range(4), key=lambda part: (lacks[part], whole[part]))
        dealt[place] = part
        whole[part] -= 1
        for label in labels[place]:
            wanted[label][part] -= 1
            left[label] -= 1

    while any(left):
        rarest = min((label for label in range(classes) if left[label]), key=left.__getitem__)
        for place in sorted(members[rarest], key=ranks.__getitem__):
            if dealt[place] < 0:
                deal(place, wanted[rarest])
    for place in order:  # those without labels
        if dealt[place] < 0:
            deal(place, whole)
    return [torch.tensor([place for place in order if dealt[place] == part], dtype=torch.int64) for part in range(3)]


def tell_shared_groups(
    tested_in: str, learned: Mapping[Any, str] | Sequence[str] | None, tested: Mapping[Any, str] | Sequence[str]
) -> None:
    """Warn of groups that are learned from and stand in the given test part, too."""
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
                fix = hint(name, names, f"there are {', '.join(names[:5])}, …")
                raise ValueError(f"{place} has no {noun} {name!r} (named in {subset}): {fix}")
            if name in seen:
                raise ValueError(f"Class {name!r} of {place} is named in {seen[name]} and in {subset}: name it once.")
            seen[name] = subset
    return {subset: tuple(listed or ()) for subset, listed in lists.items()}
