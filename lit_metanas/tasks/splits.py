"""How examples are divided into train, val and test parts, and classes into meta-train, meta-val and meta-test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import nearest, number_of
from lit_metanas.tasks.inputs import join_inputs
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.task import Split, check_brightness, warn_of_data


def in_unit_range(images: Tensor) -> Tensor:
    """Floating point in [0, 1]: uint8 is divided by 255, floating point stays.

    Raises:
        ValueError: floating point runs from 0 to 255.
    """
    if images.dtype == torch.uint8:
        return images.float().div_(255)
    check_brightness("A source", images)
    return images


def join_classes(classes: Sequence[Tensor]) -> Split:
    """One split of the examples of all classes, ordered by class; images become floating point in [0, 1].

    Args:
        classes: the examples of each class, in the order of the labels.
    """
    inputs = join_inputs(classes)
    numbers = [label for label, part in enumerate(classes) for _ in range(part.shape[0])]
    labels = torch.tensor(numbers, dtype=torch.int64, device=inputs.device)
    return Split(inputs=in_unit_range(inputs) if inputs.dim() == 4 else inputs, labels=labels)


def warn_of_repeats(tested_in: str, learned: Sequence[Tensor], tested: Tensor) -> None:
    """Tell of test examples that are learned from, too, to the last bit.

    Args:
        tested_in: what holds the test examples, as the message begins.
        learned: examples of several parts, each of shape ``(n, ...)``.
        tested: those of the test part.
    """

    def digests(inputs: Tensor) -> list[bytes]:
        return [blake2b(row.numpy().tobytes(), digest_size=16).digest() for row in inputs.cpu().contiguous()]

    known = {digest for part in learned for digest in digests(part)}
    repeated = sum(digest in known for digest in digests(tested))
    tell_repeats(tested_in, repeated)


def tell_repeats(tested_in: str, repeated: int, noun: str = "example") -> None:
    """Tell how many of the test examples are learned from, too, if any.

    Args:
        tested_in: what holds the test examples, as the message begins.
        repeated: how many.
        noun: what one of them is.
    """
    if repeated:
        warn_of_data(
            f"{tested_in} repeats {number_of(repeated, noun)} that {'is' if repeated == 1 else 'are'} learned "
            "from: the test accuracy will be too good. Leave them out of one of the two."
        )


def check_shares(owner: str, *, train: float, val: float, test: float, seed: int) -> None:
    """Look at the shares of each class's examples that the parts of a task get.

    Args:
        owner: whose arguments they are, for messages.
        train: share of the train part.
        val: share of the val part; it may be 0.
        test: share of the test part.
        seed: of the split.

    Raises:
        ValueError: one is out of its range, or they sum to more than 1.
    """
    if min(train, test) <= 0 or val < 0 or train + val + test > 1 + 1e-6:
        raise ValueError(
            f"{owner}: train = {train}, val = {val}, test = {test} must be shares above 0 (val: at least 0) "
            f"with a sum of at most 1."
        )
    if seed < 0:
        raise ValueError(f"{owner}: seed = {seed} must be at least 0.")


def check_held_out_shares(*, val: float, test: float, drawn: bool, seed: int) -> None:
    """Look at the shares of each class's examples that are kept from training; all that is left is for it.

    Args:
        val: share of the val part; it may be 0.
        test: share of the test part.
        drawn: whether the test part is drawn, so that its share must not be 0.
        seed: of the split.

    Raises:
        ValueError: one is out of its range, or nothing is left.
    """
    if not 0 <= val < 1 or not 0 <= test < 1 or val + test >= 1 or (drawn and test == 0):
        raise ValueError(
            f"val = {val}, test = {test} must be shares of each class (test: above 0) with a sum below 1; the rest is "
            "for training."
        )
    if seed < 0:
        raise ValueError(f"seed = {seed} must be at least 0.")


def part_sizes(culprit: str, examples: int, *, train: float | None, val: float, test: float) -> tuple[int, int, int]:
    """How many of a class's examples go to train, val and test: at least one where the share is not 0.

    Args:
        culprit: the class, as a message begins with it.
        examples: how many it has.
        train: share of the train part; None is all that is left.
        val: share of the val part.
        test: share of the test part.

    Raises:
        ValueError: there are too few.
    """
    validation = max(1, round(val * examples)) if val else 0
    tested = max(1, round(test * examples)) if test else 0
    rest = examples - validation - tested
    trained = rest if train is None else min(max(1, round(train * examples)), rest)
    if trained < 1:
        parts = ["train", *(name for name, share in (("val", val), ("test", test)) if share)]
        wanted = f"{', '.join(parts[:-1])} and {parts[-1]} part" if parts[1:] else "train part"
        raise ValueError(f"{culprit} has {number_of(examples, 'example')}, too few for a {wanted}: add some.")
    return trained, validation, tested


def split_classes(classes: Sequence[Tensor], sizes: Sequence[tuple[int, int, int]], seed: int) -> list[Split]:
    """Deal the examples of each class out to train, val and test, in an order drawn from the seed and the label.

    Args:
        classes: the examples of each class, in the order of the labels.
        sizes: how many of each class go into each part.
        seed: of the order.
    """
    parts: tuple[list[Tensor], ...] = ([], [], [])
    for label, (inputs, counts) in enumerate(zip(classes, sizes, strict=True)):
        order = torch.from_numpy(np.random.default_rng((seed, label)).permutation(len(inputs))).to(inputs.device)
        start = 0
        for part, count in zip(parts, counts, strict=True):
            part.append(inputs[order[start : start + count]])
            start += count
    return [join_classes(part) for part in parts]


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
    """The classes of each subset: as listed, or drawn by the seed where there is no list at all.

    Args:
        names: of all classes.
        lists: the classes of each subset; if any is given, no class is drawn.
        fractions: shares of the classes in the three subsets.
        seed: of the draw, at least 0.
        owner: the source's class, for messages about its arguments.
        place: where the classes are, for messages about their names.
        noun: what a class is there.

    Raises:
        ValueError: a listed class does not exist or is listed twice, the fractions are negative or do not sum to 1, or
            the seed is negative.
    """
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
