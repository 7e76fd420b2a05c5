"""Objectives of scores for each step: a part of the steps as the answer, or symbols in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.text import number_of
from lit_metanas.objectives.objective import BLANK, NEVER, Examples, Judged, Objective, Scored, SequenceObjective

STARTS, ENDS = 1, 2
"""The outputs that say of a step whether an answer begins there, and whether it ends there; output 0 is for nothing."""

NOWHERE = -1  # both targets of an example whose answer lies outside of its steps


LONGEST_ANSWER = 1 << 20  # of an answer, by what a file says


@dataclass(frozen=True)
class Span(Objective):
    """Find the steps that are the answer: its first and its last one, as Wang and Jiang (2017) do for SQuAD.

    Targets are ``(n, 2)``: the first and the last step of the answer, counted from 0; or -1 and -1 where the answer
    lies outside of the steps, which adds nothing to the loss, and counts as a miss.

    Attributes:
        longest: steps of an answer at most, among predictions.

    Raises:
        ValueError: ``longest`` is below 1.

    Example:
        >>> objective = lm.Span()
        >>> scores = torch.zeros(1, 5, 3)
        >>> scores[0, 1, 1], scores[0, 3, 2] = 4.0, 4.0
        >>> objective.predictions(scores)
        [(1, 3)]
        >>> objective.judge([(1, 3)], torch.tensor([[2, 3]])).value  # two steps of three, and of two
        0.8
    """

    kind: ClassVar[str] = "span"
    metric: ClassVar[str] = "span F1"
    outputs: ClassVar[int] = 3  # nothing, start and end
    scored: ClassVar[Scored] = "step"
    noun: ClassVar[str] = "answers"
    hub_tasks: ClassVar[Mapping[str, str]] = {"": "question-answering"}
    augmentable: ClassVar[bool] = False  # a hidden word may be the answer

    longest: int = 30

    def __post_init__(self) -> None:
        if self.longest < 1:
            raise ValueError(f"Span: longest = {self.longest} must be at least 1.")

    def to_plain(self) -> dict[str, Any]:
        """The longest answer."""
        return {"longest": self.longest}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """With the stored longest answer."""
        longest = plain.get("longest")
        if names:
            raise ValueError(f"it is a {cls.kind} with {number_of(names, 'class')}")
        if type(longest) is not int or not 1 <= longest <= LONGEST_ANSWER:
            raise ValueError(f"its longest answer is not from 1 to {LONGEST_ANSWER}")
        return cls(longest)

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean of the cross-entropies of start and end over the steps, shape ``(n, steps, 3)``.

        Raises:
            ValueError: there is label smoothing, or an answer ends behind the scores.
        """
        self._refuse_smoothing(label_smoothing)
        if targets.numel() and int(targets.max()) >= scores.shape[1]:
            raise ValueError(
                f"An answer ends at step {int(targets.max())}, and there are scores of {scores.shape[1]} steps: take "
                "SequenceSpace with stride=1 and pools=['none']."
            )
        found = targets[:, 0] != NOWHERE
        if not bool(found.any()):
            # No constant: it would have no gradient, and the step that follows needs one.
            return scores.sum() * 0.0
        scores, targets = scores[found], targets[found]
        begins = F.cross_entropy(scores[:, :, STARTS], targets[:, 0])
        return (begins + F.cross_entropy(scores[:, :, ENDS], targets[:, 1])) / 2

    def predictions(self, scores: Tensor) -> list[tuple[int, int]]:
        """The first and last step of each example whose scores have the largest sum, among those that may be."""
        begins, ends = scores[:, :, STARTS], scores[:, :, ENDS]
        steps = scores.shape[1]
        # Steps times the longest answer, where all pairs of a start and an end would be the steps squared.
        best = torch.full((len(scores), steps), -torch.inf, dtype=scores.dtype, device=scores.device)
        last = torch.zeros((len(scores), steps), dtype=torch.int64, device=scores.device)
        for more in range(min(self.longest, steps)):  # so many steps behind the first
            sums = begins[:, : steps - more] + ends[:, more:]
            better = sums > best[:, : steps - more]
            best[:, : steps - more] = torch.where(better, sums, best[:, : steps - more])
            last[:, : steps - more] = torch.where(better, more, last[:, : steps - more])
        first = best.argmax(1)
        return self.answers(torch.stack([first, first + last.gather(1, first[:, None])[:, 0]], dim=1))

    def show(self, predictions: Sequence[tuple[int, int]], inputs: Tensor, examples: Examples) -> list[str]:
        """The words of the steps, or their numbers where nothing makes words of them; see ``QuestionWords.answers``."""
        if examples.preprocessing is None:
            return [f"{start} to {end}" for start, end in predictions]
        parts = [row[max(start, 0) : end + 1] for row, (start, end) in zip(inputs, predictions, strict=True)]
        return [examples.preprocessing.show(part[None])[0] if len(part) else "" for part in parts]

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find what is no first and last step."""
        if targets.dim() != 2 or targets.shape[1] != 2:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, 2), start and end.")
        start, end = targets[:, 0], targets[:, 1]
        if bool(((start > end) | (start < NOWHERE) | ((start == NOWHERE) & (end != NOWHERE))).any()):
            raise ValueError(
                f"{name} has an answer that ends before it starts, or starts before step 0: give its first and last "
                "step, or -1 and -1 where it is not there."
            )

    def judge(self, predictions: Sequence[tuple[int, int]], targets: Tensor) -> Judged:
        """F1 of the predicted and the true steps of each example, the harmonic mean of precision and recall."""
        said = torch.tensor(list(predictions), dtype=torch.int64).reshape(-1, 2)
        meant = targets.cpu()
        both = torch.minimum(said[:, 1], meant[:, 1]) - torch.maximum(said[:, 0], meant[:, 0]) + 1
        lengths = (said[:, 1] - said[:, 0] + 1) + (meant[:, 1] - meant[:, 0] + 1)
        overlap = 2 * both.clamp(min=0).double() / lengths
        overlap[meant[:, 0] == NOWHERE] = 0
        return Judged(overlap, torch.ones(len(meant), dtype=torch.float64))


@dataclass(frozen=True)
class Transcription(SequenceObjective):
    """Tell which symbols an input consists of, in order, but not when each comes.

    Trained by connectionist temporal classification (Graves et al. 2006); judged by word accuracy, 1 - word error rate,
    where words are the symbols. Targets are ``(n, longest)``, symbols from 1 to ``symbols``, 0 behind the end of each.
    In a test part ``symbols + 1`` is whatever else was meant: it is never predicted, and so it is always an error.
    A step behind the end of an input is a certain blank, which neither changes the loss nor what is decoded.

    Attributes:
        symbols: number of different symbols.

    Raises:
        ValueError: there is no symbol.

    Example:
        >>> objective = lm.Transcription(symbols=2)
        >>> scores = 9 * torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2, 0]]), 3).float()
        >>> objective.predictions(scores)
        [[1, 1, 2]]
        >>> objective.judge([[1, 1, 2]], torch.tensor([[1, 2, 2, 0]])).value
        0.6666666666666666
    """

    kind: ClassVar[str] = "transcription"
    metric: ClassVar[str] = "word accuracy"
    scored: ClassVar[Scored] = "step"
    noun: ClassVar[str] = "transcripts"
    hub_tasks: ClassVar[Mapping[str, str]] = {"sounds": "automatic-speech-recognition"}

    symbols: int

    def __post_init__(self) -> None:
        if self.symbols < 1:
            raise ValueError(f"Transcription: symbols = {self.symbols} must be at least 1.")

    @property
    def outputs(self) -> int:
        """The blank, and one for each symbol."""
        return self.symbols + 1

    def to_plain(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], names: int, read: Callable[[object], Preprocessing]) -> Self:
        """Of so many symbols."""
        if not names:
            raise ValueError(f"it is a {cls.kind} without symbols")
        return cls(names)

    def names(self, given: Sequence[str]) -> tuple[str, ...]:
        """Of the symbols, from 1 on."""
        return tuple(given) or tuple(str(symbol + 1) for symbol in range(self.symbols))

    def loss(self, scores: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Mean over the examples of the negative log-likelihood, divided by the number of symbols (at least 1).

        An example with more symbols than steps can tell adds nothing.
        """
        self._refuse_smoothing(label_smoothing)
        lengths = (targets != BLANK).sum(1)
        # Certain blanks behind the end are no steps, so that a transcript that is too long for its own steps is seen.
        own = ~(scores[:, :, 1:] <= NEVER / 2).all(2)  # true of what is not a number, which is to be seen, too
        steps = (own * torch.arange(1, scores.shape[1] + 1, device=scores.device)).amax(1).clamp(min=1)
        return F.ctc_loss(
            scores.log_softmax(2).transpose(0, 1), targets, steps, lengths, blank=BLANK, zero_infinity=True
        )

    def predictions(self, scores: Tensor) -> list[list[int]]:
        """The symbols of the largest score of each step: of repetitions one, and no blanks."""
        return [[symbol for symbol, _ in groupby(row) if symbol != BLANK] for row in scores.argmax(2).tolist()]

    def show(self, predictions: Sequence[Sequence[int]], inputs: Tensor, examples: Examples) -> list[str]:
        """The names of the symbols, or their numbers where they have none; U+FFFD for what is no symbol."""
        names = ["", *self.names(examples.classes), "\N{REPLACEMENT CHARACTER}"]
        return [" ".join(names[symbol] for symbol in row) for row in predictions]

    def check_targets(self, name: str, targets: Tensor) -> None:
        """Find what is no row of symbols with zeros behind its end."""
        said = self._check_rows(name, targets, most=self.symbols, noun="symbols", row="transcript")
        if not bool(said.any()):
            raise ValueError(f"{name} has no symbol at all: give it transcripts.")

    def check_tested(self, name: str, targets: Tensor) -> None:
        """The same for a test part, in which ``symbols + 1`` may stand, too."""
        Transcription(self.symbols + 1).check_targets(name, targets)

    def judge(self, predictions: Sequence[Sequence[int]], targets: Tensor) -> Judged:
        """Symbols less errors (substituted, missing or added ones), of all symbols; may be below 0."""
        from torchmetrics.functional.text import edit_distance  # takes seconds

        said, meant = ([_as_text(row) for row in rows] for rows in (predictions, self.answers(targets)))
        errors = torch.as_tensor(edit_distance(said, meant, reduction="none")).double()
        whole = torch.tensor([*map(len, meant)], dtype=torch.float64)
        return Judged(whole - errors.reshape(-1), whole)


def _as_text(symbols: Sequence[int]) -> str:
    """A letter for each symbol, since distances are measured between texts; above those that do not stand alone."""
    return "".join(chr(0x20000 + symbol) for symbol in symbols)
