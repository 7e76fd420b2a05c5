"""Classification: one class for each example."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import at_least_float32
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.text import number_of
from lit_metanas.objectives.metric_table import (
    ACCURACY,
    BALANCED,
    ChoiceMetric,
    class_metrics,
    metric_name,
)
from lit_metanas.objectives.objective import Examples, Judged, LeftOut, Objective

SPREAD = 0.3  # standard deviation of the logarithm of a temperature before any example is seen

FEWEST_CALIBRATING = 10  # examples that a temperature is learned on; fewer would say nothing

CALIBRATION_BINS = 15  # bins of equal mass of the calibration error

UNCALIBRATED = "without calibration"  # the end of the names of measures of a network's own probabilities


class ClassProbabilities(Objective):
    """Objectives whose scores become probabilities of classes, by a temperature that is learned after the training.

    Attributes:
        way: number of classes.
        temperature: what scores are divided by before they become probabilities.
    """

    hub_tasks: ClassVar[Mapping[str, str]] = {
        "images": "image-classification",
        "sounds": "audio-classification",
        "texts": "text-classification",
        "": "tabular-classification",
    }

    way: int
    temperature: float

    @property
    def outputs(self) -> int:
        """One for each class."""
        return self.way

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(given) or tuple(map(str, range(self.way)))

    def program_of(self, network: nn.Module) -> tuple[nn.Module, Self]:
        """A network whose scores are divided by the temperature already."""
        if self.temperature == 1:
            return network, self
        plain = replace(self, temperature=1.0)  # type: ignore[type-var]
        return nn.Sequential(network, _Factor(1 / self.temperature)), plain

    def measures(self, found: Any, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
        """The measures of ``measures_of``, and log-loss and calibration error without the network's calibration."""
        shares, plain = torch.as_tensor(found), self.uncalibrated()
        measured = self.measures_of(shares, targets)
        if plain != self:
            before = plain.measures_of(self.own_probabilities(shares), targets)
            measured |= {f"{name} {UNCALIBRATED}": before[name] for name in ("log-loss", "calibration error")}
            measured["temperature"] = self.temperature
        return measured

    def uncalibrated(self) -> Self:
        """The objective of a network whose own probabilities are taken."""
        return replace(self, temperature=1.0)  # type: ignore[type-var]

    @abstractmethod
    def own_probabilities(self, probabilities: Tensor) -> Tensor:
        """The network's own probabilities, of calibrated ones, float64."""

    @abstractmethod
    def measures_of(self, probabilities: Tensor, targets: Tensor) -> dict[str, float]:
        """Measures of the probabilities of examples, by their names."""

    @abstractmethod
    def log_losses(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """The negative logarithm of what was given to the truth, shape ``(n,)``."""


@dataclass(frozen=True)
class Classification(ClassProbabilities):
    """Tell classes apart: cross-entropy, and accuracy or another metric.

    The balanced accuracy is the mean recall: the share of the examples of a class that are recognised, averaged over
    the classes. It suits data with a rare class: whoever never predicts it has a high accuracy.

    Attributes:
        way: number of classes.
        metric: by which networks are chosen and tested, by its name here, in torchmetrics or in scikit-learn, such as
            ``balanced_accuracy``, ``MulticlassF1Score``, ``roc_auc`` or ``neg_log_loss``. Of two classes the second one
            is what an F1 and an average precision look for.
        temperature: what scores are divided by before they become probabilities (Guo et al. 2017); above 1 it makes an
            overconfident network less sure, and never changes what is predicted.
        shift: of each class, what is added to its divided score before it becomes a probability: less the logarithm of
            how much its examples counted in training. A network of balanced classes then says how frequent a class is
            among such examples (the inverse of the adjustment by Menon et al. 2021). The class of the highest score is
            predicted as before, so a rare one is with a small probability. None adds nothing.

    Raises:
        ValueError: there is no such metric, the temperature is not above 0, or a shift is no number for each class.

    Example:
        >>> float(lm.Classification(2).loss(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])))  # the logarithm of 2
        0.6931471824645996
        >>> answers, always_first = torch.tensor([0, 0, 0, 1]), [0, 0, 0, 0]
        >>> objectives = lm.Classification(2), lm.Classification(2, "balanced accuracy")
        >>> [objective.judge(always_first, answers).value for objective in objectives]
        [0.75, 0.5]

    1. Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017.
    2. Menon, Jayasumana, Rawat, Jain, Veit, Kumar. Long-tail Learning via Logit Adjustment. ICLR 2021.
    """

    kind: ClassVar[str] = "classification"
    noun: ClassVar[str] = "classes"
    smooths: ClassVar[bool] = True

    way: int
    metric: str = ACCURACY
    temperature: float = 1.0
    shift: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        known = class_metrics(self.way)
        object.__setattr__(self, "metric", metric_name(self.metric, known, number_of(self.way, "class")))
        if not is_number(self.temperature, above=0):
            raise ValueError(f"Classification: temperature = {self.temperature} must be above 0.")
        if self.shift is not None and [*map(is_number, self.shift)] != [True] * self.way:
            raise ValueError(f"Classification: give a finite shift for each of the {number_of(self.way, 'class')}.")

    @classmethod
    def for_classes(cls, way: int) -> Self:
        """Of so many classes."""
        return cls(way)

    def to_plain(self) -> dict[str, Any]:
        """The metric, the temperature, and the shift if there is one."""
        plain: dict[str, Any] = {"metric": self.metric, "temperature": self.temperature}
        return plain if self.shift is None else {**plain, "shift": list(self.shift)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """Of so many classes, with the stored metric and temperature."""
        if not names:
            raise ValueError(f"it is a {cls.kind} with 0 classes")
        shift = plain.get("shift")
        if shift is not None:
            shift = tuple(shift) if isinstance(shift, list) else ()
        return cls(names, plain.get("metric", ACCURACY), plain.get("temperature", 1.0), shift)

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of scores ``(n, way)`` and class indices ``(n,)``."""
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing)

    def losses(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of each example."""
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing, reduction="none")

    def values(self, scores: Tensor) -> Tensor:
        """Probabilities, by the temperature and the shift."""
        return self._shifted(at_least_float32(scores) / self.temperature).softmax(dim=-1)

    def _shifted(self, scores: Tensor) -> Tensor:
        return scores + scores.new_tensor(self.shift or 0.0)

    def unshifted(self, probabilities: Tensor) -> Tensor:
        """Scores, divided by the temperature, that have these probabilities; the largest is that of the prediction."""
        scores = probabilities.double().clamp(min=torch.finfo(torch.float32).tiny).log()
        return scores - scores.new_tensor(self.shift or 0.0)

    def calibrated(self, scores: Tensor, targets: Tensor) -> Self:
        """With the best temperature for the shift; see ``best_temperature``."""
        targets = targets.to(scores.device)
        found = best_temperature(scores.double(), lambda own: self.losses(self._shifted(own), targets))
        return replace(self, temperature=found) if found != 1 else self

    @property
    def _chosen_by(self) -> ChoiceMetric:
        return class_metrics(self.way)[self.metric]

    def examples_worth(self, targets: Tensor) -> int:
        """Fewer than there are if each class counts alike, and one is rare (Kish 1965, 11.7)."""
        whole = self._whole(targets.cpu(), balanced=self._chosen_by.macro)
        return max(1, round(float(whole.sum() ** 2 / (whole**2).sum())))

    def _whole(self, targets: Tensor, *, balanced: bool) -> Tensor:
        """How much each example counts: alike, or so much that each class has the same weight in all."""
        if not balanced:
            return torch.ones(len(targets), dtype=torch.float64)
        return 1 / targets.bincount(minlength=self.way).double()[targets]

    def predictions(self, scores: Tensor) -> list[int]:
        """The class of the largest score."""
        return scores.argmax(1).tolist()

    def evidence(self, scores: Tensor) -> list[Any]:
        """The probabilities of all classes, if the metric compares these, and else the prediction."""
        if self._chosen_by.shares:
            return self.values(scores.cpu().double()).tolist()
        return self.predictions(scores)

    def uncalibrated(self) -> Self:
        """Without temperature and shift."""
        return replace(self, temperature=1.0, shift=None)

    def own_probabilities(self, probabilities: Tensor) -> Tensor:
        """The network's own probabilities, of calibrated ones, float64."""
        return (self.temperature * self.unshifted(probabilities)).softmax(1)

    def measures_of(self, probabilities: Tensor, targets: Tensor) -> dict[str, float]:
        """Accuracy, balanced accuracy, log-loss, calibration error, and the AUROC of two classes if both are tested."""
        said = self.unshifted(probabilities).argmax(1)
        right = (said == targets).double()
        measured = {
            ACCURACY: float(right.mean()),
            BALANCED: fmean(float(right[targets == label].mean()) for label in targets.unique()),
            "log-loss": float(self.log_losses(probabilities, targets).mean()),
            "calibration error": calibration_error(probabilities.gather(1, said[:, None])[:, 0], right),
        }
        area = class_metrics(self.way)["AUROC"].measure
        if self.way == 2 and area is not None and len(targets.unique()) == 2:
            measured["AUROC"] = area(probabilities, targets)
        return measured

    def log_losses(self, probabilities: Tensor, targets: Tensor) -> Tensor:
        """The negative logarithm of the probability of each example's class, shape ``(n,)``."""
        own = probabilities.double().gather(1, targets[:, None])[:, 0]
        return -own.clamp(min=torch.finfo(torch.float32).tiny).log()

    def show(self, predictions: Sequence[int], inputs: Tensor, examples: Examples) -> list[str]:
        """The names of the classes, or their numbers where they have none."""
        names = self.names(examples.classes)
        return [names[label] for label in predictions]

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find labels that are not class indices, or not one for each example."""
        if targets.dim() != 1:
            raise ValueError(f"{name} has labels of shape {tuple(targets.shape)}: give one for each example.")
        if len(targets) and not 0 <= int(targets.min()) <= int(targets.max()) < self.way:
            raise ValueError(
                f"{name} has labels from {int(targets.min())} to {int(targets.max())}, but way = {self.way}: give "
                "labels from 0 to way - 1."
            )

    def judge(self, predictions: Sequence[Any], targets: Tensor) -> Judged:
        """The metric; of the accuracy one for each example that is recognised, of the balanced one weighted."""
        targets, metric = targets.cpu(), self._chosen_by
        if (measure := metric.measure) is None:
            whole = self._whole(targets, balanced=metric.macro)
            return Judged((torch.tensor(list(predictions), dtype=torch.int64) == targets) * whole, whole)
        said = torch.tensor(list(predictions))
        if metric.shares:
            said = said.double()
        return LeftOut(lambda places: measure(said[places], targets[places]), len(targets))


def is_number(value: object, above: float = -math.inf) -> bool:
    """Whether something, perhaps of a file, is a finite number above a bound."""
    return isinstance(value, int | float) and not isinstance(value, bool) and above < value < math.inf


def calibration_error(probabilities: Tensor, right: Tensor) -> float:
    """The expected calibration error: how far probabilities are from the share of right predictions, on average.

    Examples are sorted by the probability of their prediction and divided into bins of equal mass (Nguyen and O'Connor
    2015), not of equal width as by Guo et al. (2017), where most examples of a good network are in one bin. Both
    tensors have the shape ``(n,)``.
    """
    order = probabilities.double().argsort()
    own, hits = (each.double()[order].tensor_split(CALIBRATION_BINS) for each in (probabilities, right))
    return sum(abs(float((one - other).sum())) for one, other in zip(own, hits, strict=True)) / max(1, len(order))


def best_temperature(scores: Tensor, losses: Callable[[Tensor], Tensor]) -> float:
    """The temperature of the lowest log-loss on examples that the network has not learned from (Guo et al. 2017).

    Differs from the paper in that its logarithm has a normal prior around 0. Few examples say little, and look too
    well recognised if networks were chosen by them. It is found on a grid, to within a hundredth. One that lowers the
    log-loss by less than the standard error of that difference is left out, as it may be chance. So is one of too few
    examples. ``losses`` gives the log-loss of each example, shape ``(n,)``, by its scores.

    Guo, Pleiss, Sun, Weinberger. On Calibration of Modern Neural Networks. ICML 2017.
    """
    if len(scores) < FEWEST_CALIBRATING:
        return 1.0

    def best(logarithms: Tensor) -> float:
        found = [losses(scores / t.exp()).sum() + (t / SPREAD) ** 2 / 2 for t in logarithms]
        return float(logarithms[int(torch.stack(found).argmin())])

    rough = best(torch.linspace(-3, 3, 41, dtype=torch.float64))
    temperature = round(math.exp(best(torch.linspace(rough - 0.15, rough + 0.15, 31, dtype=torch.float64))), 4)
    # The standard error of a sum of n differences is their deviation times the root of n.
    gains = losses(scores) - losses(scores / temperature)
    if gains.sum() < gains.std() * len(gains) ** 0.5:
        return 1.0
    return temperature


class _Factor(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, scores: Tensor) -> Tensor:
        return scores * self.factor
