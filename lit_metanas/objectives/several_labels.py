"""Several labels: a set of classes for each example, which may be empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.batches import at_least_float32
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.objectives.classification import (
    FEWEST_CALIBRATING,
    ClassProbabilities,
    best_temperature,
    calibration_error,
    is_number,
)
from lit_metanas.objectives.metric_table import MEAN_PRECISION, label_metrics, metric_name
from lit_metanas.objectives.objective import Examples, Judged, LeftOut

LABEL_SEPARATOR = ";"  # stands between the labels of an example wherever they are a text

NO_LABEL = "\N{EN DASH}"  # stands for an empty set of labels

LABELS = "labels"  # the column of predicted labels in tables

USUAL_THRESHOLD = 0.5  # the probability from which on a label is predicted, before any example is seen

FEWEST_OF_A_THRESHOLD = 5
"""Examples of a class that has a threshold of its own; those of fewer share the one that is best for all classes."""


@dataclass(frozen=True)
class SeveralLabels(ClassProbabilities):
    """Tell for each class whether an example has it: binary cross-entropy of each class, judged by mAP.

    Targets are ``(n, way)``, float32, 1 for each class that an example has and else 0; all may be 0. Predictions are
    the probabilities of all classes, and a label is predicted from the threshold of its class on.

    The usual metric is the mean average precision: the area under the curve of precision against recall, as
    ``sklearn.metrics.average_precision_score`` has it, averaged over the classes of which there is an example.

    Attributes:
        way: number of classes.
        thresholds: of the probability of each class; None is a half for all.
        temperature: what scores are divided by before they become probabilities.
        weights: of each class, how much examples without it and those with it count in the loss; None is 1 each. These
            are for a training alone, and stored nowhere.
        metric: by which networks are chosen and tested, by its name here, in torchmetrics or in scikit-learn, such as
            ``f1_micro``, ``MultilabelAUROC`` or ``exact matches``; those of labels use the thresholds.

    Raises:
        ValueError: there is no such metric, there are not as many thresholds or weights as classes, or a number is out
            of its range.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> objective = lm.objectives.SeveralLabels(2)
        >>> float(objective.loss(torch.zeros(3, 2), torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])))
        0.6931471824645996
        >>> targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
        >>> round(objective.judge([(0.9, 0.1), (0.2, 0.3), (0.1, 0.6)], targets).value, 3)  # 1 and a half
        0.75
    """

    kind: ClassVar[str] = "several labels"
    noun: ClassVar[str] = "sets of labels"
    target_type: ClassVar[torch.dtype] = torch.float32

    way: int
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    weights: tuple[tuple[float, float], ...] | None = None
    metric: str = MEAN_PRECISION

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", metric_name(self.metric, label_metrics(self.way), "several labels"))
        if len(self.cuts) != self.way or (self.weights is not None and len(self.weights) != self.way):
            raise ValueError(f"SeveralLabels: give a threshold, and two weights, for each of the {self.way} classes.")
        if not all(is_number(threshold, above=0) and threshold <= 1 for threshold in self.cuts):
            raise ValueError("SeveralLabels: a threshold is no number above 0 and up to 1.")
        if not is_number(self.temperature, above=0):
            raise ValueError(f"SeveralLabels: temperature = {self.temperature} must be above 0.")

    @property
    def cuts(self) -> tuple[float, ...]:
        """The threshold of each class."""
        return self.thresholds or (USUAL_THRESHOLD,) * self.way

    def to_plain(self) -> dict[str, Any]:
        """The thresholds, the temperature, and a metric that is not the usual one."""
        plain = {"thresholds": list(self.cuts), "temperature": self.temperature}
        return plain if self.metric == MEAN_PRECISION else {**plain, "metric": self.metric}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """With the stored thresholds and temperature."""
        thresholds = plain.get("thresholds")
        if not names or not isinstance(thresholds, list) or len(thresholds) != names:
            raise ValueError(f"it has {cls.kind} of {names} classes, without a threshold for each")
        own = {name: plain[name] for name in ("temperature", "metric") if name in plain}
        return cls(names, tuple(thresholds), **own)

    def losses(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The binary cross-entropy of scores and targets, both ``(n, way)``, by the weights: the mean over the classes.

        Raises:
            ValueError: there is label smoothing.
        """
        self._refuse_smoothing(label_smoothing)
        found = F.binary_cross_entropy_with_logits(scores, targets.to(scores), reduction="none")
        if self.weights is not None:
            without, within = scores.new_tensor(self.weights).unbind(1)
            found = found * torch.where(targets > 0, within, without)
        return found.mean(1)

    def values(self, scores: Tensor) -> Tensor:
        """Probabilities, by the temperature, each of its own; they sum to nothing in particular."""
        return (at_least_float32(scores) / self.temperature).sigmoid()

    def calibrated(self, scores: Tensor, targets: Tensor) -> Self:
        """With the best temperature, see ``best_temperature``, and for each class the threshold of the highest F1.

        Classes of fewer than ``FEWEST_OF_A_THRESHOLD`` examples share the threshold of the highest micro F1.
        """
        if len(targets) < FEWEST_CALIBRATING:
            return self
        scores, wanted = scores.double().cpu(), targets.double().cpu()
        plain = replace(self, weights=None)  # of the log-loss, the sum of those of all classes
        found = replace(self, temperature=best_temperature(scores, lambda own: plain.losses(own, wanted) * self.way))
        probabilities, shared = found.values(scores), USUAL_THRESHOLD
        if bool(wanted.any()):
            shared = best_threshold(probabilities.flatten(), wanted.flatten())
        own = [
            best_threshold(*pair) if pair[1].sum() >= FEWEST_OF_A_THRESHOLD else shared
            for pair in zip(probabilities.T, wanted.T, strict=True)
        ]
        return replace(found, thresholds=tuple(own))

    def predictions(self, scores: Tensor) -> list[tuple[float, ...]]:
        """The probabilities of each example."""
        return self.answers(self.values(scores.cpu().double()))

    def labels_of(self, prediction: Sequence[float], names: Sequence[str]) -> dict[str, float]:
        """The labels from their thresholds on, with their probabilities, the most probable first."""
        rows = zip(self.names(names), prediction, self.cuts, strict=True)
        return dict(sorted(((name, p) for name, p, least in rows if p >= least), key=lambda pair: -pair[1]))

    def show(self, predictions: Sequence[tuple[float, ...]], inputs: Tensor, examples: Examples) -> list[str]:
        """The labels from their thresholds on, in the order of the classes."""
        return [self._shown(row, examples.classes) for row in predictions]

    def _shown(self, prediction: Sequence[float], names: Sequence[str]) -> str:
        found = self.labels_of(prediction, names)
        return label_text(name for name in self.names(names) if name in found)

    def columns(self, prediction: Sequence[float], names: Sequence[str]) -> dict[str, str | float]:
        """The labels of a prediction as a text, and the probability of each class, by their columns."""
        shares = zip(self.names(names), prediction, strict=True)
        return {LABELS: self._shown(prediction, names), **{f"p({name})": round(value, 6) for name, value in shares}}

    def chosen(self, predictions: Sequence[tuple[float, ...]]) -> Tensor:
        """Which labels are predicted, shape ``(n, way)``, bool."""
        rows = torch.tensor(list(predictions), dtype=torch.float64).reshape(-1, self.way)
        return rows >= rows.new_tensor(self.cuts)

    def own_probabilities(self, probabilities: Tensor) -> Tensor:
        """The network's own probabilities, of calibrated ones, float64."""
        return (self.temperature * probabilities.double().logit()).sigmoid()

    def measures_of(self, probabilities: Tensor, targets: Tensor) -> dict[str, float]:
        """F1, exact matches, log-loss and calibration error, and the mAP of a network that ranks nothing.

        Macro F1 and that mAP are means over the classes with an example, and the calibration error is that of the pairs
        of an example and a class.
        """
        wanted, said = targets.bool(), probabilities.double() >= torch.tensor(self.cuts, dtype=torch.float64)
        known, hits = wanted.any(0), (wanted & said).sum(0).double()
        either = wanted.sum(0) + said.sum(0)
        return {
            "micro F1": float(2 * hits.sum() / either.sum().clamp(min=1)),
            "macro F1": float((2 * hits / either)[known].mean()),
            "exact matches": float((wanted == said).all(1).double().mean()),
            "log-loss": float(self.log_losses(probabilities, targets).mean()),
            "calibration error": calibration_error(probabilities.flatten(), wanted.flatten()),
            "mAP of guessing": float(wanted.double().mean(0)[known].mean()),
        }

    def log_losses(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """The negative logarithm of what was given to the truth, the mean over the classes, shape ``(n,)``."""
        own = torch.where(targets > 0, probabilities.double(), 1 - probabilities.double())
        return -own.clamp(min=torch.finfo(torch.float32).tiny).log().mean(1)

    def agrees(self, prediction: tuple[float, ...], answer: tuple[float, ...]) -> bool:
        """Whether the predicted labels are those that are meant."""
        return bool((self.chosen([prediction]) == self.chosen([answer])).all())

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find targets that are neither 0 nor 1, or not one for each class, and examples without any label at all."""
        if targets.dim() != 2 or targets.shape[1] != self.way:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, {self.way}).")
        if not bool(((targets == 0) | (targets == 1)).all()):
            raise ValueError(f"{name} has targets that are neither 0 nor 1: give 1 for each class of an example.")
        if len(targets) and not bool(targets.any()):
            raise ValueError(f"{name} has no label at all: give it examples of some class.")

    def judge(self, predictions: Sequence[tuple[float, ...]], targets: Tensor) -> Judged:
        """The metric of labels, or of probabilities."""
        wanted = targets.cpu().int()
        said = torch.tensor(list(predictions), dtype=torch.float64).reshape(wanted.shape)
        metric = label_metrics(self.way)[self.metric]
        measure, shown = metric.measure, said if metric.shares else self.chosen(predictions).int()
        assert measure is not None
        return LeftOut(lambda places: measure(shown[places], wanted[places]), len(wanted))


def label_text(labels: Any) -> str:
    """Labels as a text."""
    return f"{LABEL_SEPARATOR} ".join(labels) or NO_LABEL


def labels_of_text(text: str) -> frozenset[str]:
    """The inverse of ``label_text``."""
    return frozenset({part.strip() for part in text.split(LABEL_SEPARATOR)} - {"", NO_LABEL})


def best_threshold(probabilities: Tensor, targets: Tensor) -> float:
    """The threshold of a class's highest F1, in the middle of two probabilities; of equal ones that next to a half."""
    values, order = probabilities.double().sort(descending=True)
    hits = targets.double()[order].cumsum(0)
    number = torch.arange(1, len(values) + 1, dtype=torch.float64)
    scores = 2 * hits / (number + hits[-1])  # of predicting the label for the first 1, 2, … examples
    middles = (values + torch.cat([values[1:], values.new_zeros(1)])) / 2
    apart = torch.cat([values[1:] < values[:-1], torch.ones(1, dtype=torch.bool)])  # no threshold divides equal ones
    scores = torch.where(apart, scores, -1.0)
    # Equal scores differ by rounding.
    best = middles[scores >= scores.max() - 1e-12]
    return min(1.0, max(1e-6, float(best[(best - USUAL_THRESHOLD).abs().argmin()])))
