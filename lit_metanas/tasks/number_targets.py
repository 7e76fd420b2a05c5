"""Targets that are numbers: whether labels are such, how they are read, and how examples are divided by them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lit_metanas.io.text import hint, number_of, printable
from lit_metanas.tasks.labels import Labels, are_label_sets, is_gap, plain_label
from lit_metanas.tasks.task import warn_of_data

Targets: TypeAlias = Literal["classification", "several labels", "regression"]  # what labels are learned as

FEWEST_NUMBERS = 10
"""Different numbers that are taken for targets of a regression; fewer may be classes, such as versions."""

FEWEST_REPEATS, RARE_LABELS = 3, 0.1
"""Whole numbers are targets if more than this share of them are the label of fewer examples."""

MOST_ROUNDED = 0.01
"""Rounding to single precision that is worth a warning, as a share of the numbers' standard deviation."""

STRATA, LEAST_OF_A_STRATUM = 10, 10  # quantiles by which examples are divided at most, and the fewest examples of one

_MEASURE = re.compile(
    r"(?P<before>[$€£]\s*)?[-+]?(?:[0-9]{1,3}(?:[.,' ][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?"
    r"\s*(?P<unit>(?:[^\W\d_]|[%°²³$€£])[^\d\s]{0,8}[23]?)?"
)
"""One number, as people write it. No two parts take the same letter, or long texts would take minutes."""


def are_measures(texts: Iterable[str]) -> bool:
    """Whether all texts are numbers, written with separators or one unit."""
    found = [_MEASURE.fullmatch(text.strip()) for text in texts]
    units = {(one["before"], one["unit"]) for one in found if one is not None}
    return None not in found and len(units - {(None, None)}) <= 1


def are_numbers(labels: Sequence[Hashable]) -> bool:
    """Whether labels are numbers to be predicted, and no classes."""
    # There are at least `FEWEST_NUMBERS` different ones, and some have a fraction, or many hardly repeat.
    if not all(isinstance(label, Hashable) for label in labels):
        return False
    counts = Counter(label for label in labels if not is_gap(label))
    if len(counts) < FEWEST_NUMBERS:
        return False
    values = [value for value in map(finite_number, counts) if value is not None]
    rare = sum(number < FEWEST_REPEATS for number in counts.values())
    fits = rare > RARE_LABELS * len(counts) or not all(map(float.is_integer, values))
    return fits and len(values) == len(counts)


def learned_as(labels: Sequence[Hashable], wanted: Targets | None) -> Targets:
    """What labels are learned as: as wanted, or as they look."""
    if wanted is not None:
        return wanted
    if are_label_sets(labels):
        return "several labels"
    if are_numbers(labels):
        return "regression"
    texts = {label.strip() for label in labels if isinstance(label, str) and not is_gap(label)}
    wrong = next((text for text in sorted(texts) if finite_number(text) is None), None)
    if wrong is None or len(texts) < FEWEST_NUMBERS or not are_measures(texts):
        return "classification"
    if are_numbers([re.sub(r"[^0-9.]", "", str(label).replace(",", ".")) for label in labels]):
        raise ValueError(f"The label {_no_number(wrong)}; if these are classes, give objective='classification'.")
    return "classification"


def number_targets(
    labels: Labels, number: int, *, name: str = "y", noun: str = "rows", where: Sequence[str] = ()
) -> Tensor:
    """The targets of so many examples, shape ``(n, targets)``, float32."""
    array = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if array.ndim not in (1, 2) or not math.prod(array.shape[1:]):
        raise ValueError(f"{name} has shape {array.shape}: give one number, or several, for each of the {noun}.")
    if len(array) != number:
        raise ValueError(f"There are {number} {noun}, but {name} has {number_of(len(array), 'target')}: give as many.")
    if not number:
        raise ValueError(f"{name} has no targets: give some {noun}, each with a number.")
    array = array.reshape(number, -1)
    if array.dtype.kind not in "biuf" or not bool(np.isfinite(array).all()):
        array = np.array(
            [[_checked(value, row, name, where) for value in array[row].tolist()] for row in range(number)]
        )
    return _in_float32(array.astype(np.float64), name)


def strata_of(targets: Tensor) -> list[Tensor]:
    """The places of examples by quantiles of their targets, of several by those of the mean of their ranks."""
    ranks = targets.double().argsort(dim=0, stable=True).argsort(dim=0).double().mean(1)
    strata = max(1, min(STRATA, len(targets) // LEAST_OF_A_STRATUM))
    return [*ranks.argsort(stable=True).tensor_split(strata)]


def named_targets(name: str | None) -> Targets | None:
    """The kind of targets that an objective's name stands for; None for a class path, such as ``grades.Ordinal``."""
    known = get_args(Targets)
    if name is not None and name not in known and "." not in name:
        others = f"give {', '.join(known)}, or the path of a class, such as grades.Ordinal."
        raise ValueError(f"There is no objective '{printable(name, 40)}': {hint(name, known, others)}")
    return next((one for one in known if one == name), None)


def _in_float32(numbers: NDArray[np.float64], name: str) -> Tensor:
    """Numbers of float64, shape ``(n, targets)``, as float32, with a warning if rounding changes them much."""
    if (np.abs(numbers) > np.finfo(np.float32).max).any():
        raise ValueError(f"{name} has a number beyond 3.4e38: give all in a larger unit.")
    rounded = torch.from_numpy(numbers.astype(np.float32))
    errors, spread = (rounded.double() - torch.from_numpy(numbers)).abs(), numbers.std(0)
    for error, deviation in zip(errors.amax(0).tolist(), spread, strict=True):
        if error > MOST_ROUNDED * deviation > 0:
            warn_of_data(
                f"{name} has numbers that differ by {deviation:.2g} and are rounded by up to {error:.2g}, as they "
                "are kept in single precision: subtract a constant from them."
            )
    return rounded


def _checked(value: Any, place: int, name: str, where: Sequence[str]) -> float:
    at = f"at {where[place]} of" if where else f"{place} in"
    if is_gap(value):
        raise ValueError(f"The target {at} {name} is missing: fill it in, or leave this example out.")
    if (found := finite_number(plain_label(value))) is None:
        raise ValueError(f"The target {at} {name} is no number: {_no_number(str(value))}.")
    return found


def _no_number(text: str) -> str:
    shown = printable(text.strip(), 40)
    if _MEASURE.fullmatch(text.strip()):
        return f"'{shown}' has a unit or separators: give the numbers alone, as 1234.5, all in one unit"
    return f"'{shown}' is not finite, or a text: fix it, or leave this example out"


def finite_number(value: object) -> float | None:
    """A finite number, or a text that is one; None for anything else."""
    # Python reads 1_000 and the digits of all scripts, too, which other programs take for texts.
    if isinstance(value, bool) or (isinstance(value, str) and ("_" in value or not value.strip().isascii())):
        return None
    with suppress(ValueError, TypeError, OverflowError):
        if math.isfinite(found := float(value)):  # type: ignore[arg-type]
            return found
    return None
