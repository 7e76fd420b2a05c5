"""Objectives: what a network is trained for, how it is judged, and what its scores say."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from lit_metanas.inputs.preprocessing import Preprocessing


class Examples(Protocol):
    """What a task knows of its examples: see ``Task``."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of classes or symbols."""

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes inputs of raw examples."""


Scored = Literal["input", "step", "target"]
"""What networks give scores for: an input, ``(n, outputs)``; each step of it; or each step of what they write, both
``(n, steps, outputs)``."""


LEFT_OUT = 50
"""The most blocks of examples that are left out, one at a time, for the interval of a metric that is no mean."""


@dataclass(eq=False, repr=False)
class Judged:
    """How good predictions are: the metric is ``sum(right) / sum(whole)``.

    Attributes:
        right: of each example, or of each block of them, shape ``(n,)``, float64.
        whole: what there is to get right of each, shape ``(n,)``, float64.
    """

    right: Tensor
    whole: Tensor

    @property
    def value(self) -> float:
        """The metric."""
        return float(self.right.sum() / self.whole.sum())

    @property
    def half(self) -> float:
        """Half width of its 95 % confidence interval, by the linearised variance of a ratio (Cochran 1977, 6.3)."""
        number = len(self.right)
        if number < 2:
            return math.nan
        squares = (self.right - self.value * self.whole) ** 2
        variance = float(squares.sum()) * number / (number - 1) / float(self.whole.sum()) ** 2
        # The normal distribution's quantile of 97.5 %.
        return 1.959964 * math.sqrt(variance)

    def ahead_of(self, other: Judged) -> Judged:
        """How far these predictions are ahead of others of the same examples, pair by pair."""
        return Judged(self.right - other.right, self.whole)


class LeftOut(Judged):
    """A metric that is no mean over examples, such as an F1, with the interval of the jackknife (Efron 1982).

    The metric is measured once; the interval takes ``LEFT_OUT`` times as long, and waits until it is asked for.

    Args:
        measure: the metric of the examples at some places.
        number: of examples.
    """

    def __init__(self, measure: Callable[[Tensor], float], number: int) -> None:
        self._measure, self._places = measure, torch.arange(number)

    @cached_property
    def value(self) -> float:
        """The metric."""
        return self._measure(self._places)

    @cached_property
    def right(self) -> Tensor:  # type: ignore[override]
        """The share of each block in the metric."""
        blocks = min(len(self._places), LEFT_OUT)
        if blocks < 2:
            return torch.tensor([self.value], dtype=torch.float64)
        others = (self._places[self._places % blocks != block] for block in range(blocks))
        # Undefined without the only positive.
        without = torch.tensor([self._measure(places) for places in others], dtype=torch.float64).nan_to_num(self.value)
        # The pseudo-values of the jackknife, moved so that they sum to the metric itself.
        return (self.value + (blocks - 1) * (without.mean() - without)) / blocks

    @property
    def whole(self) -> Tensor:  # type: ignore[override]
        """All blocks alike."""
        return torch.full_like(self.right, 1 / len(self.right))


class Objective(ABC):
    """What a network is trained for, and judged by.

    Attributes:
        kind: what it is called in files; no two have the same name.
        scored: what a network gives scores for.
        noun: what predictions are, in the plural.
        smooths: whether ``loss`` takes label smoothing.
        augmentable: whether targets stay right when an input is changed at random.
        target_type: of the tensors of targets.
        named: what the names of a task's classes are of, in the plural.
        hub_tasks: the Hugging Face Hub's name of the task for each kind of inputs; that of "" is for all others.
        caveat: what a model card says of the limits of predictions.

    Example:
        >>> objective: lm.Objective = lm.Classification(3)
        >>> scores, targets = torch.eye(3), torch.tensor([0, 1, 1])
        >>> objective.predictions(scores), round(objective.judge(objective.predictions(scores), targets).value, 2)
        ([0, 1, 2], 0.67)
    """

    kind: ClassVar[str]
    scored: ClassVar[Scored] = "input"
    noun: ClassVar[str] = "predictions"
    smooths: ClassVar[bool] = False
    augmentable: ClassVar[bool] = True
    target_type: ClassVar[torch.dtype] = torch.int64
    named: ClassVar[str] = "classes"
    hub_tasks: ClassVar[Mapping[str, str]] = {}
    caveat: ClassVar[str] = (
        "Its probabilities are not calibrated, and it has no answer for what belongs to none of its classes."
    )

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Refuse a class without a loss."""
        if cls.loss is Objective.loss and cls.losses is Objective.losses:  # else each would call the other
            raise TypeError(f"{cls.__name__} has neither 'loss' nor 'losses': define one of them.")
        return super().__new__(cls)

    @property
    @abstractmethod
    def metric(self) -> str:
        """What ``judge`` measures; the higher, the better, at most 1."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Scores that a network gives, for an input or for each step."""

    @property
    def steps(self) -> int | None:
        """How many steps are written at most; None where nothing is."""
        return None

    @classmethod
    def for_classes(cls, way: int) -> Self:
        """The objective for examples with one of ``way`` labels each, in the order of their names.

        Raises:
            ValueError: it is for other targets, as by default.
        """
        raise ValueError(f"{cls.__name__} is not for examples with labels: leave 'objective' out.")

    @property
    def written_by(self) -> Preprocessing | None:
        """What makes texts of the tokens that a network writes; None where it writes none."""
        return None

    def hub_task(self, noun: str) -> str:
        """What a network does, by the Hugging Face Hub's names of tasks.

        Args:
            noun: what inputs are, such as images, sounds or texts.
        """
        return self.hub_tasks.get(noun, self.hub_tasks.get("", "other"))

    def to_plain(self) -> dict[str, Any]:
        """What it depends on besides the number of classes or symbols, as JSON holds it.

        Raises:
            ValueError: it cannot be stored; by default it cannot.
        """
        raise ValueError(
            f"An exported network has no description of {type(self).__name__}: export its weights alone, or write "
            "'to_plain' and 'from_plain'."
        )

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """The inverse of ``to_plain``.

        Args:
            plain: what was stored, perhaps by a stranger.
            names: number of classes or symbols.
            read: makes a preprocessing of its plain form.

        Raises:
            ValueError: something is missing, or out of its range.
        """
        raise ValueError(f"{cls.__name__} cannot be read from a file")

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """The names of classes or symbols, numbers where none are given; empty where predictions are no such."""
        return tuple(given)

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of a batch. An objective has this or ``losses``, and by default each is made of the other.

        Args:
            scores: what a network gives.
            targets: of ``target_type``, and of the first dimension ``n``.
            label_smoothing: share of the target distribution that all classes have alike.

        Raises:
            ValueError: it does not take label smoothing.
        """
        return self.losses(scores, targets, label_smoothing).mean()

    def losses(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The loss of each example, shape ``(n,)``, for examples with weights.

        Args:
            scores: what a network gives.
            targets: int64, of the first dimension ``n``.
            label_smoothing: see ``loss``.

        Raises:
            ValueError: it does not take label smoothing.
        """
        pairs = zip(scores.split(1), targets.split(1), strict=True)
        return torch.stack([self.loss(*pair, label_smoothing) for pair in pairs])

    def _refuse_smoothing(self, label_smoothing: float) -> None:
        if label_smoothing:
            raise ValueError(
                f"{type(self).__name__} takes no label smoothing: set label_smoothing = {label_smoothing} to 0."
            )

    def examples_worth(self, targets: Tensor) -> int:
        """How many examples of equal weight give as exact a score as examples of these targets; by default as many."""
        return len(targets)

    def values(self, scores: Tensor) -> Tensor:
        """The numbers that scores stand for, of their shape: by default probabilities."""
        return scores.softmax(dim=-1)

    def calibrated(self, scores: Tensor, targets: Tensor) -> Objective:
        """The objective with what examples say of a network that has not learned from them; by default as it is.

        Args:
            scores: the network's, of the examples.
            targets: of the same examples.
        """
        return self

    def program_of(self, network: nn.Module) -> tuple[nn.Module, Self]:
        """What an export makes a program of, and the objective whose scores that gives; by default both as they are."""
        return network, self

    @abstractmethod
    def predictions(self, scores: Tensor) -> list[Any]:
        """What the scores of each example say."""

    def evidence(self, scores: Tensor) -> list[Any]:
        """What the metric compares with the target of each example: probabilities, or by default the prediction."""
        return self.predictions(scores)

    @abstractmethod
    def judge(self, predictions: Sequence[Any], targets: Tensor) -> Judged:
        """Compare predictions, or what ``evidence`` gives, with targets."""

    def judged_by(self, metric: str) -> Self:
        """The same objective with another metric.

        Args:
            metric: its name here, in torchmetrics, or that of a scorer of scikit-learn.

        Raises:
            ValueError: it has no such metric; the sentence has those that it has.
        """
        own: Any = self
        if is_dataclass(own) and any(field.name == "metric" for field in fields(own)):
            own = replace(own, metric=metric)  # type: ignore[type-var]
        elif metric != self.metric:
            raise ValueError(f"{type(self).__name__} is judged by {self.metric} alone: leave 'metric' out.")
        return own

    def agrees(self, prediction: Any, answer: Any) -> bool:
        """Whether a prediction counts as right where examples are shown: by default, whether it is the answer."""
        return bool(prediction == answer)

    def measures(self, found: Any, targets: Tensor, names: Sequence[str]) -> dict[str, float]:
        """What else is reported of test predictions, by its name; by default nothing.

        Args:
            found: probabilities of classes, shape ``(n, way)``; of other objectives the predictions.
            targets: of the same examples.
            names: of classes, symbols or targets.
        """
        return {}

    def answers(self, targets: Tensor) -> list[Any]:
        """The predictions that would be right: by default the targets, those of several numbers as tuples."""
        if targets.dim() == 1:
            return targets.tolist()
        return list(map(tuple, targets.tolist()))

    @abstractmethod
    def show(self, predictions: Sequence[Any], inputs: Tensor, examples: Examples) -> list[str]:
        """Each prediction in words.

        Args:
            predictions: what the scores say.
            inputs: of which they say it, shape ``(n, *shape)``.
            examples: what the task knows of its examples.
        """

    @abstractmethod
    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find targets that are none.

        Args:
            name: of the examples, as the message begins.
            targets: of ``target_type``, and of the first dimension ``n``.

        Raises:
            ValueError: there is one.
        """

    def check_tested(self, name: str, targets: Tensor) -> None:
        """The same for a test part, in which some may stand that cannot be learned from; by default none.

        Raises:
            ValueError: there is one that is none.
        """
        self.check_targets(name, targets)


BLANK = 0
"""The output for nothing, of networks with outputs for each step: behind an example's end it has the score 0, and all
others have ``NEVER``."""


NEVER = -1e9  # the score of what cannot be; infinite ones have no gradients


class SequenceObjective(Objective):
    """Objectives whose targets are rows of numbers from 1 on, ``(n, longest)``, with zeros behind the end of each."""

    def answers(self, targets: Tensor) -> list[list[int]]:
        """The numbers of each row, without the zeros."""
        return [[number for number in row if number != BLANK] for row in targets.tolist()]

    def _check_rows(self, name: str, targets: Tensor, *, most: int, noun: str, row: str) -> Tensor:
        """Refuse what is no row of numbers up to ``most``; returns where there are some, of the targets' shape."""
        if targets.dim() != 2:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, longest).")
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) <= most:
            raise ValueError(
                f"{name} has {noun} from {int(targets.min())} to {int(targets.max())}: give numbers from 1 to {most}, "
                "and 0 behind the end."
            )
        said = targets != BLANK
        if bool((said[:, 1:] & ~said[:, :-1]).any()):
            raise ValueError(f"{name} has a 0 within a {row}: give 0 behind the end alone.")
        return said
