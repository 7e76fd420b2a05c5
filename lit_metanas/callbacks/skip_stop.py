"""Ends a weight-sharing search before its cells collapse to skips."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_metanas.callbacks.diagnosis import skip_share
from lit_metanas.modules.weight_sharing import WeightSharing


class SkipStop(Callback):
    """Stops a search whose derived architecture has too many skips, and goes back to its logits before that.

    Early stopping by the number of skips in the normal cell (Liang et al. 2019, DARTS+). There two skips of eight edges
    end a search, which begins with none. Here a share does, but only after the cell has had no more than it: where
    there are few other operations, a random cell may begin with more. The search is looked at where it validates, and
    keeps the weights that it has in the end.

    Args:
        most: the largest share of skips among the edges that could be one.
        cell: with what the names of the choices begin that are counted; empty counts all.

    Raises:
        ValueError: the share is not below 1.
    """

    def __init__(self, *, most: float = 0.5, cell: str = "normal.") -> None:
        if not 0 <= most < 1:
            raise ValueError(f"SkipStop: most is {most}, a share that never stops a search; give 0 to below 1.")
        self.most = most
        self.cell = cell
        self._before: list[Tensor] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the search before.

        Raises:
            ValueError: there are no logits, or no skips among what they weigh.
        """
        if not isinstance(pl_module, WeightSharing):
            raise ValueError("SkipStop stops searches that train logits: give it to a WeightSharingSearcher.")
        if self._share(pl_module) is None:
            raise ValueError(
                f"SkipStop: no choice of {pl_module.space.name} whose name begins with '{self.cell}' could be a skip; "
                "change 'cell', or leave SkipStop out."
            )
        self._before = []

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at what was just validated."""
        assert isinstance(pl_module, WeightSharing)
        share = self._share(pl_module)
        if pl_module.done % pl_module.validate_every or share is None:
            return
        logits = list(pl_module.alphas)
        if share <= self.most:
            self._before = [row.detach().clone() for row in logits]
            return
        if self._before:  # a random cell may begin with more
            for row, before in zip(logits, self._before, strict=True):
                row.copy_(before)
            trainer.should_stop = True

    def _share(self, module: WeightSharing) -> float | None:
        counted = tuple(choice for choice in module.space.choices if choice.name.startswith(self.cell))
        return skip_share(counted, module.architecture())
