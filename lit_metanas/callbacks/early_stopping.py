"""Ends a search early: too many skips, or an architecture that no longer changes."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from lit_metanas.callbacks.protocols import Searching, searching, validates_fit
from lit_metanas.callbacks.search_measures import entropy, skip_share
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.training.weight_sharing.darts_training import DARTSTraining


class SkipStop(Callback):
    """Stops a search whose derived architecture has too many skips, and goes back to its logits before that.

    Early stopping by the number of skips in the normal cell (Liang et al. 2019, DARTS+). There two skips of eight edges
    end a search, which begins with none. Here a share does, but only after the cell has had no more than it: where
    there are few other operations, a random cell may begin with more. The search is looked at where it validates
    and at its end, and keeps the weights that it has in the end.

    Args:
        most: the largest share of skips among the edges that could be one.
        cell: with what the names of the choices begin that are counted; empty counts all.

    Raises:
        ValueError: the share is not below 1.

    Example:
        >>> import lit_metanas as lm
        >>> searcher = lm.DARTSSearcher(epochs=5, callbacks=[lm.SkipStop(most=0.25)])
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
        """Forget the search before.

        Raises:
            ValueError: there are no logits, or no skips among what they weigh.
        """
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
        """Look at what was just validated."""
        assert isinstance(pl_module, DARTSTraining)
        share = self._share(pl_module)
        if not pl_module.recorded or share is None:
            return
        if share <= self.most:
            self._before = pl_module.logits.values.clone()
        elif self._took_back(pl_module):
            trainer.should_stop = True

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what is going to be validated, where the search ends between two validations."""
        assert isinstance(pl_module, DARTSTraining)
        share = self._share(pl_module)
        if share is not None and share > self.most:
            self._took_back(pl_module)

    def _took_back(self, module: DARTSTraining) -> bool:
        """Bring back the last logits with few skips, if there were any: a random cell may begin with more."""
        if self._before is None:
            return False
        module.logits.values.copy_(self._before)
        return True

    def _share(self, module: DARTSTraining) -> float | None:
        counted = tuple(choice for choice in module.space.choices if choice.name.startswith(self.cell))
        return skip_share(counted, module.architecture())


class StableArchitecture(Callback):
    """Stops training when the derived architecture has been the same for a number of validations.

    Args:
        patience: validations in a row that confirm the architecture before training stops.
        entropy: the mean entropy of the open choices, in nats, must also be below this; None asks for no bound.
        start: share of the training before which nothing counts; give at least the architecture's warm-up, in
            which its logits rest.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.StableArchitecture(patience=3)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, patience: int = 5, entropy: float | None = None, start: float = 0.5) -> None:
        if patience < 1:
            raise ValueError(f"patience is {patience}: give at least 1.")
        if not 0 <= start < 1:
            raise ValueError(f"start is {start}: give a share of the training in [0, 1).")
        self.patience = patience
        self.entropy = entropy
        self.start = start
        self.architecture: Architecture | None = None
        self.confirmed = 0

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count, and stop all ranks together."""
        if not validates_fit(trainer):
            return
        module = searching(pl_module, self)
        if module.progress < self.start:
            return
        now = module.architecture()
        self.confirmed = self.confirmed + 1 if now == self.architecture else 0
        self.architecture = now
        stop = self.confirmed >= self.patience and self._is_decided(module)
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
            trainer.print(f"The architecture was the same in {self.confirmed + 1} validations: {now}. Training stops.")

    def state_dict(self) -> dict[str, Any]:
        """The count, so that a resumed training goes on with it."""
        labels = None if self.architecture is None else self.architecture.to_json()
        return {"architecture": labels, "confirmed": self.confirmed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the checkpoint's count."""
        labels = state_dict["architecture"]
        self.architecture = None if labels is None else Architecture(labels)
        self.confirmed = state_dict["confirmed"]

    def _is_decided(self, module: Searching) -> bool:
        """Whether the mean entropy of choices with two labels or more is below the bound."""
        if self.entropy is None:
            return True
        own = [entropy(value.cpu()) for value in module.probabilities().values() if len(value) > 1]
        return not own or sum(own) / len(own) < self.entropy
