"""Metrics that networks can be chosen by, with their names in torchmetrics and in scikit-learn."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.io.text import printable

ACCURACY, BALANCED, MEAN_PRECISION, DETERMINATION = "accuracy", "balanced accuracy", "mAP", "R2"

SKILL = " skill"  # the end of the names of errors as scores

MetricFunction = Callable[[Tensor, Tensor], float]  # the value for what is said and for what is right


@dataclass(frozen=True)
class ChoiceMetric:
    """A metric that networks can be chosen by: the higher, the better, at most 1.

    An error is turned into a skill: 1 less its share of the error of a constant prediction, the best one for the same
    examples (Murphy 1988). That of the log-loss and of the MAE is scikit-learn's D², that of the MSE is R².

    Murphy. Skill Scores Based on the Mean Square Error. Monthly Weather Review 1988.
    """

    name: str
    aliases: frozenset[str]  # its names in torchmetrics and scikit-learn, in small letters and digits alone
    measure: MetricFunction | None = None  # None is computed by the objective itself
    shares: bool = False  # whether it compares probabilities, and not what is predicted
    macro: bool = False  # whether all classes count alike


def metric_name(given: object, known: Mapping[str, ChoiceMetric], goal: str) -> str:
    """The name of a metric by any of its names, as a user writes them; ValueError if none of the known ones has it.

    Example:
        >>> metric_name("neg_root_mean_squared_error", number_metrics(), "numbers")
        'RMSE skill'
    """
    plain, (*names, last) = _plain(given), known
    for name, one in known.items():
        if plain == _plain(name) or plain in one.aliases:
            return name
    raise ValueError(f"There is no metric '{printable(str(given), 40)}' for {goal}: give {', '.join(names)} or {last}.")


def _plain(name: object) -> str:
    if not isinstance(name, str):  # a scorer or a metric has arguments of its own
        raise ValueError(f"metric = {printable(repr(name), 60)} is no name: give one as a text, such as 'f1_macro'.")
    return re.sub("[^a-z0-9]", "", name.lower())


def _of(kind: str, function: str, **arguments: Any) -> MetricFunction:
    def measured(said: Tensor, meant: Tensor) -> float:
        import torchmetrics.functional as found  # takes seconds

        measure = getattr(getattr(found, kind), function)
        # Without warnings of classes without an example, and of constant predictions.
        with warnings.catch_warnings(action="ignore"):
            return float(measure(said.contiguous(), meant.contiguous(), **arguments))

    return measured


def _one_against_rest(function: str, said: Tensor, meant: Tensor, *, of_all: bool = False) -> float:
    """The mean over the classes that some examples have, and others have not; of two classes the second one's value.

    ``meant`` are class indices, shape ``(n,)``, or 1 for each class of an example, ``(n, way)`` as probabilities are.
    With ``of_all`` a class that all examples have counts, too. Without any class the mean is NaN.
    """
    if meant.dim() == 1:
        meant = F.one_hot(meant, said.shape[1])
        if said.shape[1] == 2:
            said, meant = said[:, 1:], meant[:, 1:]
    # torchmetrics has 0 for a class without examples, which would lower the mean.
    measure, most = _of("classification", function), len(meant) + of_all
    found = [measure(*pair) for pair in zip(said.T, meant.int().T, strict=True) if 0 < int(pair[1].sum()) < most]
    return sum(found) / len(found) if found else math.nan


def _log_loss_skill(said: Tensor, meant: Tensor) -> float:
    own = said.gather(1, meant[:, None]).clamp(min=torch.finfo(torch.float32).tiny)
    shares = meant.bincount().double() / len(meant)
    return _skill(float(-own.log().mean()), float(-torch.xlogy(shares, shares).sum()))


_FAMILIES = {
    "F1": ("f1_score", "f1score"),
    "precision": ("precision", "precisionscore"),
    "recall": ("recall", "recallscore"),
    "Jaccard index": ("jaccard_index", "jaccard"),
}
"""Metrics of what is predicted with several means over classes: the function of torchmetrics, and another name."""


def _family(task: str, means: Collection[str], usual: str, **size: int) -> list[ChoiceMetric]:
    """The metrics of each family with each mean; the usual mean needs no name."""
    made = []
    for (stem, (function, other)), mean in product(_FAMILIES.items(), means):
        plain = _plain(stem)
        names = {f"{mean}{plain}", f"{plain}{mean}", f"{other}{mean}"}
        if mean == "macro":
            names.add(f"{task}{_plain(function)}")
        if mean == usual:
            names |= {plain, other}
        measure = _of("classification", f"{task}_{function}", average=mean, **size)
        made.append(ChoiceMetric(f"{mean} {stem}", frozenset(names), measure, macro=mean == "macro"))
    return made


@lru_cache(maxsize=64)
def class_metrics(way: int) -> dict[str, ChoiceMetric]:
    """Those of one class for each example; of two classes the second one is what is looked for."""
    two, size = way == 2, {"num_classes": max(2, way)}  # torchmetrics knows no less than two
    micro = {f"{stem}micro" for stem in ("f1", "precision", "recall")} | {"recallweighted", "binaryaccuracy"}
    mean = {"recallmacro", "macrorecall", "multiclassaccuracy", "multiclassrecall"}
    if not two:
        mean.add("recall")
    found = [ChoiceMetric(ACCURACY, frozenset(micro)), ChoiceMetric(BALANCED, frozenset(mean), macro=True)]
    if two:
        for stem, (function, other) in _FAMILIES.items():
            own = frozenset({other, f"binary{_plain(function)}"})
            found.append(ChoiceMetric(stem, own, _of("classification", f"binary_{function}"), macro=True))
    family = _family("multiclass", ("macro", "weighted"), "" if two else "macro", **size)
    found += [one for one in family if not one.name.endswith("recall")]  # these are the first two
    for name, names, function in (
        ("Matthews correlation", {"matthewscorrcoef", "mcc"}, "matthews_corrcoef"),
        ("Cohen's kappa", {"cohenkappa", "kappa"}, "cohen_kappa"),
    ):
        names |= {f"{begin}{_plain(function)}" for begin in ("binary", "multiclass")}
        measure = _of("classification", f"multiclass_{function}", **size)
        found.append(ChoiceMetric(name, frozenset(names), measure, macro=True))
    task = ("multiclass", "binary")[two]
    for name, names, function in (
        ("AUROC", {"rocauc", "rocaucovr"}, "auroc"),
        ("average precision", {"prauc"}, "average_precision"),
    ):
        names.add(f"{task}{_plain(function)}")
        measure = partial(_one_against_rest, f"binary_{function}")
        found.append(ChoiceMetric(name, frozenset(names), measure, shares=True, macro=True))
    names = {"logloss", "neglogloss", "d2loglossscore"}
    found.append(ChoiceMetric(f"log-loss{SKILL}", frozenset(names), _log_loss_skill, shares=True))
    return {one.name: one for one in found}


@lru_cache(maxsize=64)
def label_metrics(way: int) -> dict[str, ChoiceMetric]:
    """Those of several labels for each example."""
    exact = _of("classification", "multilabel_exact_match", num_labels=way)
    area = partial(_one_against_rest, "binary_auroc")
    mean = partial(_one_against_rest, "binary_average_precision", of_all=True)
    found = [
        ChoiceMetric(MEAN_PRECISION, frozenset({"averageprecision", "multilabelaverageprecision"}), mean, shares=True),
        *_family("multilabel", ("micro", "macro", "weighted"), "macro", num_labels=way),
        ChoiceMetric("exact matches", frozenset({"accuracy", "exactmatch", "multilabelexactmatch"}), exact),
        ChoiceMetric("AUROC", frozenset({"rocauc", "multilabelauroc"}), area, shares=True),
    ]
    return {one.name: one for one in found[: None if way > 1 else 1]}  # torchmetrics knows no single label


@lru_cache(maxsize=1)
def number_metrics() -> dict[str, ChoiceMetric]:
    """Those of numbers, of one target at a time."""
    squares = {"r2score", "mse", "meansquarederror", "negmeansquarederror"}
    root = {"rmse", "rootmeansquarederror", "negrootmeansquarederror"}
    absolute = {"mae", "meanabsoluteerror", "negmeanabsoluteerror", "d2absoluteerrorscore"}
    found = [
        ChoiceMetric(DETERMINATION, frozenset(squares)),
        ChoiceMetric(f"RMSE{SKILL}", frozenset(root), _rmse_skill),
        ChoiceMetric(f"MAE{SKILL}", frozenset(absolute), _mae_skill),
    ]
    for name, function in (
        ("explained variance", "explained_variance"),
        ("Pearson correlation", "pearson_corrcoef"),
        ("Spearman correlation", "spearman_corrcoef"),
    ):
        names = frozenset({_plain(function), function.split("_")[0]})
        found.append(ChoiceMetric(name, names, partial(_correlation, _of("regression", function))))
    return {one.name: one for one in found}


def _skill(error: float, constant: float) -> float:
    """That of an error, and the error of a constant prediction."""
    return 1 - error / constant if constant > 0 else math.nan


def _rmse_skill(said: Tensor, meant: Tensor) -> float:
    return _skill(_of("regression", "mean_squared_error", squared=False)(said, meant), float(meant.std(correction=0)))


def _mae_skill(said: Tensor, meant: Tensor) -> float:
    constant = (meant - meant.quantile(0.5)).abs().mean()  # the error of the median
    return _skill(_of("regression", "mean_absolute_error")(said, meant), float(constant))


def _correlation(measure: MetricFunction, said: Tensor, meant: Tensor) -> float:
    """0 where predictions or targets are all the same."""
    if bool((said == said[0]).all() | (meant == meant[0]).all()):
        return 0.0
    return measure(said, meant)
