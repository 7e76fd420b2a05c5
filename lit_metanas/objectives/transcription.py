"""Transcription: the symbols of an input in their order, by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.objectives.objective import BLANK, NEVER, Examples, Judged, Objective, Scored


@dataclass(frozen=True)
class Transcription(Objective):
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
        log_probabilities = scores.log_softmax(2).transpose(0, 1)
        return F.ctc_loss(log_probabilities, targets, steps, lengths, blank=BLANK, zero_infinity=True)

    def predictions(self, scores: Tensor) -> list[list[int]]:
        """The symbols of the largest score of each step."""
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
        if targets.dim() != 2:
            raise ValueError(f"{name} has targets of shape {tuple(targets.shape)}: give (n, longest).")
        if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) <= self.symbols:
            raise ValueError(
                f"{name} has symbols from {int(targets.min())} to {int(targets.max())}: give numbers from 1 to "
                f"{self.symbols}, and 0 behind the end."
            )
        said = targets != BLANK
        if bool((said[:, 1:] & ~said[:, :-1]).any()) or not bool(said.any()):
            raise ValueError(f"{name} has a 0 within a transcript, or no symbol at all: give 0 behind the end alone.")

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


def _collapse(path: Sequence[int]) -> list[int]:
    """The symbols of a path: repetitions are one, blanks none."""
    return [now for before, now in zip([BLANK, *path], path, strict=False) if now not in (before, BLANK)]


def _as_text(symbols: Sequence[int]) -> str:
    """A letter for each symbol, since distances are measured between texts; above those that do not stand alone."""
    return "".join(chr(0x20000 + symbol) for symbol in symbols)
