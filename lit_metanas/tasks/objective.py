"""Objectives: what a network is trained for, how it is judged, and what its scores say."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.tasks.inputs import Preprocessing

BLANK = 0
"""The output for nothing, of networks with outputs for each step: behind an example's end it has the score 0, and all
others have ``NEVER``."""

NEVER = -1e9
"""The score of what cannot be; infinite ones have no gradients."""


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


class Judged(NamedTuple):
    """How good predictions are: the metric is ``sum(right) / sum(whole)``.

    Attributes:
        right: of each example, shape ``(n,)``, float64.
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
        residuals = self.right - self.value * self.whole
        variance = float((residuals**2).sum()) * number / (number - 1) / float(self.whole.sum()) ** 2
        return 1.959964 * math.sqrt(variance)


class Objective(ABC):
    """What a network is trained for, and judged by.

    Attributes:
        scored: what a network gives scores for.
        noun: what predictions are, in the plural.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> objective: lm.Objective = lm.Classification(3)
        >>> scores, targets = torch.eye(3), torch.tensor([0, 1, 1])
        >>> objective.predictions(scores), round(objective.judge(objective.predictions(scores), targets).value, 2)
        ([0, 1, 2], 0.67)
    """

    scored: ClassVar[Scored] = "input"
    noun: ClassVar[str] = "predictions"

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

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """The names of classes or symbols, numbers where none are given; empty where predictions are no such."""
        return tuple(given)

    @abstractmethod
    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The mean loss of a batch.

        Args:
            scores: what a network gives.
            targets: int64, of the first dimension ``n``.
            label_smoothing: share of the target distribution that all classes have alike.

        Raises:
            ValueError: the objective knows no label smoothing.
        """

    @abstractmethod
    def predictions(self, scores: Tensor) -> list[Any]:
        """What the scores of each example say."""

    @abstractmethod
    def judge(self, predictions: Sequence[Any], targets: Tensor) -> Judged:
        """Compare predictions with targets."""

    @abstractmethod
    def answers(self, targets: Tensor) -> list[Any]:
        """The predictions that would be right."""

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
            targets: int64, of the first dimension ``n``.

        Raises:
            ValueError: there is one.
        """

    def check_tested(self, name: str, targets: Tensor) -> None:
        """The same for a test part, in which some may stand that cannot be learned from; by default none.

        Raises:
            ValueError: there is one that is none.
        """
        self.check_targets(name, targets)


@dataclass(frozen=True)
class Classification(Objective):
    """Tell classes apart: cross-entropy, accuracy.

    Attributes:
        way: number of classes.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> float(lm.Classification(2).loss(torch.zeros(4, 2), torch.tensor([0, 1, 0, 1])))  # the logarithm of 2
        0.6931471824645996
    """

    metric: ClassVar[str] = "accuracy"
    noun: ClassVar[str] = "classes"

    way: int

    @property
    def outputs(self) -> int:
        """One for each class."""
        return self.way

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the classes."""
        return tuple(given) or tuple(str(label) for label in range(self.way))

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Cross-entropy of scores ``(n, way)`` and class indices ``(n,)``."""
        return F.cross_entropy(scores, targets, label_smoothing=label_smoothing)

    def predictions(self, scores: Tensor) -> list[int]:
        """The class of the largest score."""
        return scores.argmax(1).tolist()

    def answers(self, targets: Tensor) -> list[int]:
        """The classes."""
        return targets.tolist()

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

    def judge(self, predictions: Sequence[int], targets: Tensor) -> Judged:
        """One for each example that is told rightly."""
        right = torch.tensor(list(predictions), dtype=torch.int64) == targets.cpu()
        return Judged(right.double(), torch.ones(len(targets), dtype=torch.float64))


@dataclass(frozen=True)
class Transcription(Objective):
    """Tell which symbols an input consists of, in order, but not when each comes.

    Trained by connectionist temporal classification (Graves et al. 2006); judged by word accuracy, 1 - word error rate,
    where words are the symbols. Targets are ``(n, longest)``, symbols from 1 to ``symbols``, 0 behind the end of each.
    In a test part ``symbols + 1`` is whatever else was meant: it is never predicted, and so it is always an error.
    A step behind the end of an input is a certain blank, which neither changes the loss nor what is decoded.

    Attributes:
        symbols: number of different symbols.
        beam: prefixes that decoding keeps (Graves et al. 2006, section 3.2; Hannun et al. 2014); 1 takes the largest
            score of each step.

    Raises:
        ValueError: a number is below 1.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> objective = lm.Transcription(symbols=2)
        >>> scores = 9 * torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2, 0]]), 3).float()
        >>> objective.predictions(scores)
        [[1, 1, 2]]
        >>> objective.judge([[1, 1, 2]], torch.tensor([[1, 2, 2, 0]])).value
        0.6666666666666666
    """

    metric: ClassVar[str] = "word accuracy"
    scored: ClassVar[Scored] = "step"
    noun: ClassVar[str] = "transcripts"

    symbols: int
    beam: int = 1

    def __post_init__(self) -> None:
        for name in ("symbols", "beam"):
            if getattr(self, name) < 1:
                raise ValueError(f"Transcription: {name} = {getattr(self, name)} must be at least 1.")

    @property
    def outputs(self) -> int:
        """The blank, and one for each symbol."""
        return self.symbols + 1

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the symbols, from 1 on."""
        return tuple(given) or tuple(str(symbol + 1) for symbol in range(self.symbols))

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean over the examples of the negative log-likelihood, divided by the number of symbols (at least 1).

        An example with more symbols than steps can tell adds nothing.
        """
        if label_smoothing:
            raise ValueError(f"Transcription knows no label smoothing: set label_smoothing = {label_smoothing} to 0.")
        lengths = (targets != BLANK).sum(1)
        # Certain blanks behind the end are no steps, so that a transcript that is too long for its own steps is seen.
        own = ~(scores[:, :, 1:] <= NEVER / 2).all(2)  # true of what is not a number, which is to be seen, too
        steps = (own * torch.arange(1, scores.shape[1] + 1, device=scores.device)).amax(1).clamp(min=1)
        log_probabilities = scores.log_softmax(2).transpose(0, 1)
        return F.ctc_loss(log_probabilities, targets, steps, lengths, blank=BLANK, zero_infinity=True)

    def predictions(self, scores: Tensor) -> list[list[int]]:
        """The symbols of each example; see ``beam``."""
        if self.beam > 1:
            return [beam_search(row, self.beam) for row in scores.log_softmax(2).cpu()]
        return [_collapse(row) for row in scores.argmax(2).tolist()]

    def answers(self, targets: Tensor) -> list[list[int]]:
        """The symbols of each transcript."""
        return [[symbol for symbol in row if symbol != BLANK] for row in targets.tolist()]

    def show(self, predictions: Sequence[Sequence[int]], inputs: Tensor, examples: Examples) -> list[str]:
        """The names of the symbols, or their numbers where they have none; U+FFFD for what is no symbol."""
        names = ["", *self.names(examples.classes), "\N{REPLACEMENT CHARACTER}"]
        return [" ".join(names[symbol] for symbol in row) for row in predictions]

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find what is no row of symbols with zeros behind its end."""
        self._check(name, targets, self.symbols)

    def check_tested(self, name: str, targets: Tensor) -> None:
        """The same for a test part, in which ``symbols + 1`` may stand, too."""
        self._check(name, targets, self.symbols + 1)

    def _check(self, name: str, targets: Tensor, most: int) -> None:
        if targets.dim() != 2:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, longest).")
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) <= most:
            raise ValueError(
                f"{name} has symbols from {int(targets.min())} to {int(targets.max())}: give numbers from 1 to {most}, "
                "and 0 behind the end."
            )
        said = targets != BLANK
        if bool((said[:, 1:] & ~said[:, :-1]).any()) or not bool(said.any()):
            raise ValueError(f"{name} has a 0 within a transcript, or no symbol at all: give 0 behind the end alone.")

    def judge(self, predictions: Sequence[Sequence[int]], targets: Tensor) -> Judged:
        """Symbols less errors (substituted, missing or added ones), of all symbols; may be below 0."""
        from torchmetrics.functional.text import edit_distance  # takes seconds

        said = [_as_text(row) for row in predictions]
        meant = [_as_text(row) for row in self.answers(targets)]
        errors = torch.as_tensor(edit_distance(said, meant, reduction="none")).double()
        whole = torch.tensor([float(len(text)) for text in meant], dtype=torch.float64)
        return Judged(whole - errors.reshape(-1), whole)


def _collapse(path: Sequence[int]) -> list[int]:
    """The symbols of a path: repetitions are one, blanks none."""
    return [now for before, now in zip([BLANK, *path], path, strict=False) if now not in (before, BLANK)]


def _as_text(symbols: Sequence[int]) -> str:
    """A letter for each symbol, since distances are measured between texts; above those that do not stand alone."""
    return "".join(chr(0x20000 + symbol) for symbol in symbols)


_Prefixes = dict[tuple[int, ...], tuple[float, float]]


def beam_search(log_probabilities: Tensor, beam: int) -> list[int]:
    """The symbols that are the most probable, over all their paths, among the prefixes that a beam keeps.

    Args:
        log_probabilities: shape ``(steps, outputs)``; output 0 is the blank.
        beam: prefixes kept after each step.
    """
    # For each prefix the log-probabilities of its paths that end in a blank, and in its last symbol.
    kept: _Prefixes = {(): (0.0, -math.inf)}
    for row in log_probabilities.tolist():
        found: _Prefixes = {}
        for prefix, (blank, symbol) in kept.items():
            both = _log_add(blank, symbol)
            _add(found, prefix, both + row[BLANK], symbol + row[prefix[-1]] if prefix else -math.inf)
            for label in range(1, len(row)):
                # The same symbol again is another one only after a blank.
                _add(found, (*prefix, label), -math.inf, (blank if prefix[-1:] == (label,) else both) + row[label])
        kept = dict(sorted(found.items(), key=lambda item: _log_add(*item[1]), reverse=True)[:beam])
    return list(max(kept.items(), key=lambda item: _log_add(*item[1]))[0])


def _add(found: _Prefixes, prefix: tuple[int, ...], blank: float, symbol: float) -> None:
    before = found.get(prefix, (-math.inf, -math.inf))
    found[prefix] = (_log_add(before[0], blank), _log_add(before[1], symbol))


def _log_add(one: float, other: float) -> float:
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
