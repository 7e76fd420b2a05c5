"""Early ends of a search: too many skips, or an architecture that no longer changes."""

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
        >>> import lit_metanas as lm
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
        share = self._share(pl_module)
        if not pl_module.recorded or share is None:
            return
        if share <= self.most:
            self._before = pl_module.logits.values.clone()
        elif self._took_back(pl_module):
            trainer.should_stop = True

    @torch.no_grad()
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the last architecture, if the search ends between two validations."""
        assert isinstance(pl_module, DARTSTraining)
        share = self._share(pl_module)
        if share is not None and share > self.most:
            self._took_back(pl_module)

    def _took_back(self, module: DARTSTraining) -> bool:
        """Restore the last logits with few skips, if there were any: a random cell may begin with more."""
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
        entropy: upper limit, in nats, for the mean entropy of the open choices; None is no limit.
        start: share of the training before which nothing counts; give at least the architecture's warm-up, in
            which its logits rest.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.callbacks.StableArchitecture(patience=3)
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
        """Count equal architectures, and stop all processes together."""
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
        """The count, so that a resumed training continues it."""
        labels = None
        if self.architecture is not None:
            labels = self.architecture.to_json()
        return {"architecture": labels, "confirmed": self.confirmed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the checkpoint's count."""
        labels = state_dict["architecture"]
        self.architecture = None if labels is None else Architecture(labels)
        self.confirmed = state_dict["confirmed"]

    def _is_decided(self, module: Searching) -> bool:
        """Whether the mean entropy of choices with two labels or more is below the bound."""
        if self.entropy is None:
            return True
        own = [entropy(value.cpu()) for value in module.probabilities().values() if len(value) > 1]
        return not own or sum(own) / len(own) < self.entropy
