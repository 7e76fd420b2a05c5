"""The share of skips in an architecture, and the early end of a search that has too many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.training.weight_sharing.darts_training import DARTSTraining

ABSENT = frozenset({"no", "none", "off", "false", "0", "without"})
"""Labels that answer a question about a skip connection with no."""

SKIPPING = ("skip", "identity")  # words in the labels of operations that return their input


def skip_share(choices: Iterable[Choice], architecture: Architecture) -> float | None:
    """Share of skips among the architecture's choices that could be one; None if none could."""
    taken = [
        skips(choice, architecture[choice.name])
        for choice in choices
        if choice.name in architecture and len({skips(choice, label) for label in choice.labels}) == 2
    ]
    return sum(taken) / len(taken) if taken else None


def skips(choice: Choice, label: str) -> bool:
    """Whether ``label`` is a skip connection or an identity."""
    question = choice.group or choice.name.rpartition(".")[2]
    if "skip" in question:
        return label.lower() not in ABSENT
    return any(word in label.lower() for word in SKIPPING)


class SkipStop(Callback):
    """Stops a search whose derived architecture has too many skips, and restores its earlier logits.

    Early stopping by the number of skips in the normal cell (Liang et al. 2019, DARTS+). In the paper a search begins
    without skips, and two skips of eight edges end it. Here a share of skips ends it, but only after the cell has once
    had no more than this share: in a space with few other operations, a random cell may begin with more. The callback
    checks the search at its validations and at its end. The weights stay as they are at the end.

    Args:
        most: the largest share of skips among the edges that could be one.
        cell: the beginning of the names of the choices that count; empty counts all.

    Raises:
        ValueError: the share is not below 1.

    Example:
        >>> searcher = lm.DARTSSearcher(epochs=5, callbacks=[lm.callbacks.SkipStop(most=0.25)])
        >>> searcher.callbacks[0].most
        0.25
    """

    def __init__(self, *, most: float = 0.5, cell: str = "normal.") -> None:
        if not 0 <= most < 1:
            raise ValueError(f"SkipStop: most is {most}, which never stops a search; give at least 0 and below 1.")
        self.most = most
        self.cell = cell
        self._before: Tensor | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last search; a search without logits or possible skips raises ValueError."""
        if not isinstance(pl_module, DARTSTraining):
            raise ValueError("SkipStop stops searches that train logits: give it to a DARTSSearcher.")
        if self._share(pl_module) is None:
            raise ValueError(
                f"SkipStop: no choice of {pl_module.space.name} whose name begins with '{self.cell}' could be a skip; "
                "change 'cell', or leave SkipStop out."
            )
        self._before = None

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Check the architecture that was just validated."""
        assert isinstance(pl_module, DARTSTraining)
        if pl_module.recorded:
            trainer.should_stop |= self._restored(pl_module)

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last architecture, if the search ends between two validations."""
        assert isinstance(pl_module, DARTSTraining)
        self._restored(pl_module)

    def _restored(self, module: DARTSTraining) -> bool:
        """Whether there are too many skips, and the last logits with few were put back; otherwise note the logits."""
        share = self._share(module)
        if share is not None and share <= self.most:
            self._before = module.logits.values.clone()
        elif share is not None and self._before is not None:  # a random cell may begin with more
            module.logits.values.copy_(self._before)
            return True
        return False

    def _share(self, module: DARTSTraining) -> float | None:
        counted = (choice for choice in module.space.choices if choice.name.startswith(self.cell))
        return skip_share(counted, module.architecture())
