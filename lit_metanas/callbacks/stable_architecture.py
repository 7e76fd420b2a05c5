"""Stops a search that has decided."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from lit_metanas.callbacks.diagnosis import entropy
from lit_metanas.callbacks.searching import Searching, searching, validates_fit
from lit_metanas.spaces.architecture import Architecture


class StableArchitecture(Callback):
    """Stops training when the derived architecture has been the same for a number of validations.

    Args:
        patience: validations in a row that confirm the architecture before training stops.
        entropy: the mean entropy of the open choices, in nats, must also be below this; None asks for no bound.
        start: share of the training before which nothing counts; give at least the architecture's warm-up, in
            which its logits rest.
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
        stop = self.confirmed >= self.patience and self._decided(module)
        if trainer.strategy.reduce_boolean_decision(stop, all=False):
            trainer.should_stop = True
            rank_zero_info(f"The architecture was the same in {self.confirmed + 1} validations: {now}. Training stops.")

    def state_dict(self) -> dict[str, Any]:
        """The count, so that a resumed training goes on with it."""
        labels = None if self.architecture is None else self.architecture.to_json()
        return {"architecture": labels, "confirmed": self.confirmed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the checkpoint's count."""
        labels = state_dict["architecture"]
        self.architecture = None if labels is None else Architecture(labels)
        self.confirmed = state_dict["confirmed"]

    def _decided(self, module: Searching) -> bool:
        """Whether the mean entropy of choices with two labels or more is below the bound."""
        if self.entropy is None:
            return True
        own = [entropy(value.cpu()) for value in module.probabilities().values() if len(value) > 1]
        return not own or sum(own) / len(own) < self.entropy
