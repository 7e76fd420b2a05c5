"""Regression: a number for each example, or several."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.text import number_of
from lit_metanas.objectives.classification import is_number
from lit_metanas.objectives.metric_table import DETERMINATION, metric_name, number_metrics
from lit_metanas.objectives.objective import Examples, Judged, LeftOut, Objective


class _Scale(nn.Module):
    def __init__(self, means: Tensor, deviations: Tensor) -> None:
        super().__init__()
        self.means = nn.Buffer(means)
        self.deviations = nn.Buffer(deviations)

    def forward(self, scores: Tensor) -> Tensor:
        """Standardised numbers in the user's units, both of shape ``(n, outputs)``."""
        return scores * self.deviations + self.means


COVERAGE = 0.9  # the share of new examples whose target lies within the prediction interval


@dataclass(frozen=True)
class Regression(Objective):
    """Predict numbers: squared errors of standardised targets, judged by R².

    Targets are ``(n, outputs)``, float32, in the user's units, and so are predictions. A network's scores are
    standardised by the mean and the deviation of the targets to learn from.

    The usual metric is the coefficient of determination, 1 less the share of the targets' variance around their own
    mean that the predictions leave, as ``sklearn.metrics.r2_score`` has it. Of several targets metrics are the mean.

    Attributes:
        means: of the targets to learn from, one for each number that is predicted.
        deviations: of these, above 0.
        reaches: half the width of each prediction interval; None where these are not known.
        metric: by which networks are chosen and tested, by its name here, in torchmetrics or in scikit-learn, such as
            ``neg_mean_absolute_error`` or ``SpearmanCorrCoef``.

    Raises:
        ValueError: there is no such metric, there are not as many of each, or a number is out of its range.

    Example:
        >>> targets = torch.tensor([[100.0], [200.0], [300.0]])
        >>> objective = lm.Regression.of(targets)
        >>> objective.predictions(torch.tensor([[0.0], [1.0]]))  # the mean, and one deviation more
        [(200.0,), (281.6496580927726,)]
        >>> objective.judge([(150.0,), (200.0,), (300.0,)], targets).value
        0.875
    """

    kind: ClassVar[str] = "regression"
    noun: ClassVar[str] = "numbers"
    target_type: ClassVar[torch.dtype] = torch.float32
    named: ClassVar[str] = "targets"
    hub_tasks: ClassVar[Mapping[str, str]] = {"rows": "tabular-regression"}
    caveat: ClassVar[str] = (
        "Its prediction intervals hold nine of ten numbers for such inputs alone, and it knows of no numbers far from "
        "those that it was trained on."
    )

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    reaches: tuple[float, ...] | None = None
    metric: str = DETERMINATION

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", metric_name(self.metric, number_metrics(), "numbers"))
        numbers, reaches = len(self.means), self.reaches or ()
        if not numbers or len(self.deviations) != numbers or (self.reaches is not None and len(reaches) != numbers):
            raise ValueError(
                "Regression: give a mean and a deviation for each target, and a reach for each or for none."
            )
        if not all(type(one) in (int, float) and is_number(one) for one in (*self.means, *self.deviations, *reaches)):
            raise ValueError("Regression: a mean, deviation or reach is no finite number.")
        if min(self.deviations) <= 0 or min(reaches, default=0.0) < 0:
            raise ValueError("Regression: a deviation is not above 0, or a reach is below 0.")

    @classmethod
    def of(cls, targets: Tensor) -> Self:
        """For targets like those to learn from, shape ``(n, outputs)``.

        Raises:
            ValueError: there are fewer than two, or all are the same.
        """
        values = targets.double()
        if len(values) < 2:
            raise ValueError(
                f"There is {number_of(len(values), 'sample')} with a target to learn from: give two or more."
            )
        if constant := values[0, (values == values[0]).all(0)].tolist():
            raise ValueError(f"All targets to learn from are {constant[0]:g}: there is nothing to predict.")
        return cls(tuple(values.mean(0).tolist()), tuple(values.std(0, correction=0).tolist()))

    @property
    def outputs(self) -> int:
        """One for each target."""
        return len(self.means)

    def to_plain(self) -> dict[str, Any]:
        """The scale, the reach of prediction intervals where it is known, and a metric that is not the usual one."""
        plain: dict[str, Any] = {"means": list(self.means), "deviations": list(self.deviations)}
        if self.metric != DETERMINATION:
            plain["metric"] = self.metric
        if self.reaches:
            plain["reaches"] = list(self.reaches)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """With the stored scale and reach."""
        lists = {name: plain[name] for name in ("means", "deviations", "reaches") if name in plain}
        if not {"means", "deviations"} <= lists.keys() or not all(isinstance(one, list) for one in lists.values()):
            raise ValueError(f"it is a {cls.kind} without means and deviations")
        found = cls(**{name: tuple(one) for name, one in lists.items()}, metric=plain.get("metric", DETERMINATION))
        if names != found.outputs:
            raise ValueError(f"it is a {cls.kind} of {found.outputs} targets with {names} names")
        return found

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the targets."""
        if given or self.outputs == 1:
            return tuple(given) or ("target",)
        return tuple(f"target {place}" for place in range(1, self.outputs + 1))

    def losses(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The squared error of scores ``(n, outputs)`` and standardised targets, the mean of those of an example.

        Raises:
            ValueError: there is label smoothing.
        """
        self._refuse_smoothing(label_smoothing)
        wanted = (targets - targets.new_tensor(self.means)) / targets.new_tensor(self.deviations)
        return F.mse_loss(scores, wanted.to(scores), reduction="none").mean(1)

    def values(self, scores: Tensor) -> Tensor:
        """The numbers that scores stand for, shape ``(n, outputs)``, float64."""
        numbers = scores.double()
        return numbers * numbers.new_tensor(self.deviations) + numbers.new_tensor(self.means)

    def rescaled(self, rows: Tensor, before: Regression) -> Tensor:
        """A linear layer's weights ``(outputs, n)``, or its bias ``(outputs,)``, that gave scores of another scale.

        With them the layer stands for the same numbers in this objective's scale.
        """
        old, new = rows.new_tensor(before.deviations), rows.new_tensor(self.deviations)
        if rows.dim() == 2:
            return rows * (old / new)[:, None]
        return (rows * old + rows.new_tensor(before.means) - rows.new_tensor(self.means)) / new

    def predictions(self, scores: Tensor) -> list[tuple[float, ...]]:
        """The numbers of each example."""
        return self.answers(self.values(scores))

    def show(self, predictions: Sequence[tuple[float, ...]], inputs: Tensor, examples: Examples) -> list[str]:
        """The numbers; of several with their names."""
        names = [f"{name} " * (self.outputs > 1) for name in self.names(examples.classes)]
        return [", ".join(f"{name}{value:.6g}" for name, value in zip(names, row, strict=True)) for row in predictions]

    def columns(self, prediction: Sequence[float], names: Sequence[str]) -> dict[str, float]:
        """A prediction and both ends of its interval, by their columns; of several targets with their names."""
        ends = {"prediction": 0}
        if self.reaches:
            ends |= {"lower": -1, "upper": 1}
        shown = [f"({name})" * (self.outputs > 1) for name in self.names(names)]
        named = list(zip(shown, prediction, self.reaches or prediction, strict=True))
        return {end + name: value + sign * reach for name, value, reach in named for end, sign in ends.items()}

    def program_of(self, network: nn.Module) -> tuple[nn.Module, Self]:
        """A network of the numbers themselves, in the user's units."""
        scale = _Scale(torch.tensor(self.means), torch.tensor(self.deviations))
        zeros, ones = (0.0,) * self.outputs, (1.0,) * self.outputs
        return nn.Sequential(network, scale), replace(self, means=zeros, deviations=ones)

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find targets that are no finite numbers, or not as many for each example."""
        if targets.dim() != 2 or targets.shape[1] != self.outputs:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, {self.outputs}).")
        if not bool(torch.isfinite(targets).all()):
            raise ValueError(f"{name} has targets that are not finite: leave these examples out.")

    def judge(self, predictions: Sequence[tuple[float, ...]], targets: Tensor) -> Judged:
        """The metric; of R² squares around the mean less squared errors, both as shares of the former's mean."""
        meant = targets.cpu().double()
        said = torch.tensor(list(predictions), dtype=torch.float64).reshape(meant.shape)
        if (measure := number_metrics()[self.metric].measure) is not None:

            def mean(places: Tensor) -> float:
                return fmean(measure(*pair) for pair in zip(said[places].T, meant[places].T, strict=True))

            return LeftOut(mean, len(meant))
        squares, errors = (meant - meant.mean(0)) ** 2, (meant - said) ** 2
        scale = squares.mean(0)
        # As scikit-learn has it: targets that are all the same count as missed, unless all are predicted exactly.
        exact = (errors == 0).all(0).double()
        right = torch.where(scale > 0, (squares - errors) / scale, exact).mean(1)
        return Judged(right, torch.where(scale > 0, squares / scale, torch.ones_like(squares)).mean(1))

    def agrees(self, prediction: tuple[float, ...], answer: tuple[float, ...]) -> bool:
        """Whether the targets lie within the prediction intervals; without these, within a deviation."""
        rows = zip(prediction, answer, self.reaches or self.deviations, strict=True)
        return all(abs(said - meant) <= reach for said, meant, reach in rows)

    def measures(self, found: Any, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
        """RMSE and MAE in the user's units, and the share of targets within their intervals, each for every target."""
        from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error  # takes seconds

        measured: dict[str, float] = {}
        said = torch.as_tensor(found, dtype=torch.float64).reshape(targets.shape)
        for place, name in enumerate(self.names(names)):
            own, meant = said[:, place].contiguous(), targets[:, place].cpu().double()
            end = f" of {name}" * (self.outputs > 1)
            measured[f"RMSE{end}"] = float(mean_squared_error(own, meant, squared=False))
            measured[f"MAE{end}"] = float(mean_absolute_error(own, meant))
            if self.reaches:
                within = (own - meant).abs() <= self.reaches[place]
                measured[f"targets within their {100 * COVERAGE:.0f} % intervals{end}"] = float(within.double().mean())
        return measured

    def calibrated(self, scores: Tensor, targets: Tensor) -> Self:
        """With prediction intervals by split conformal prediction (Lei et al. 2018).

        Of ``n`` absolute errors the interval reaches as far as the ``ceil((n + 1) * COVERAGE)``-th smallest one. If
        new examples and these are exchangeable, it then holds the target of a new one with a probability of at least
        ``COVERAGE``, whatever the network and the distribution. With fewer than nine examples there is none.

        Lei, G'Sell, Rinaldo, Tibshirani, Wasserman. Distribution-Free Predictive Inference for Regression. JASA 2018.
        """
        errors = (self.values(scores).cpu() - targets.cpu().double()).abs().sort(0).values
        rank = math.ceil((len(errors) + 1) * COVERAGE)
        if rank > len(errors):
            return self
        return replace(self, reaches=tuple(errors[rank - 1].tolist()))
