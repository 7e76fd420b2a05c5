"""The chosen architecture as a file, and as an artifact of W&B."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, WandbLogger

from lit_metanas.callbacks.protocols import searching, validates_fit
from lit_metanas.records.result_files import write_architectures
from lit_metanas.records.rows import ArchitectureRow


class ArchitectureFile(Callback):
    """Writes ``architectures.json`` at each improvement of a validation metric; a killed run leaves a whole file.

    At the end of training a Weights & Biases logger keeps the file as an artifact of its run.

    Args:
        path: the file; ``architectures.json`` in the trainer's root folder if not given.
        monitor: the metric.
        mode: whether the metric should be large (``max``) or small (``min``).
        method: the method's name in the file.
        task_id: the name of the tasks that the architecture is for.

    Example:
        >>> callback = lm.callbacks.ArchitectureFile(method="meta-searched")
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(
        self,
        path: str | None = None,
        monitor: str = "val/accuracy",
        mode: Literal["max", "min"] = "max",
        method: str = "meta-searched",
        task_id: str = "all tasks",
    ) -> None:
        if mode not in ("max", "min"):
            raise ValueError(f"mode is '{mode}': give 'max' or 'min'.")
        self.path = path
        self.monitor = monitor
        self.mode = mode
        self.method = method
        self.task_id = task_id
        self.best: float | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file if the metric improved; an unlogged metric raises ValueError."""
        if not validates_fit(trainer):
            return
        if self.monitor not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics)) or "none"
            raise ValueError(f"ArchitectureFile monitors '{self.monitor}', which is not logged: use one of {known}.")
        value = float(trainer.callback_metrics[self.monitor])
        worse = operator.le if self.mode == "max" else operator.ge
        if math.isnan(value) or (self.best is not None and worse(value, self.best)):
            return
        self.best = value
        if trainer.is_global_zero:
            module = searching(pl_module, self)
            row = ArchitectureRow(
                task_id=self.task_id,
                method=self.method,
                space=module.space.name,
                architecture=module.architecture(),
                value=value,
                metric=self.monitor,
                seed=module.seed,
                shape=module.shape,
                cost=module.cost(),
            )
            write_architectures(self._file(trainer), [row])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the file to W&B as an artifact."""
        if trainer.is_global_zero and self.best is not None:
            keep_architectures(trainer.loggers, self._file(trainer))

    def state_dict(self) -> dict[str, Any]:
        """The best value, so that a resumed training does not replace a better architecture."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the checkpoint's best value."""
        self.best = state_dict["best"]

    def _file(self, trainer: Trainer) -> Path:
        return Path(self.path or Path(trainer.default_root_dir) / "architectures.json")


def keep_architectures(loggers: Iterable[Logger], path: Path) -> None:
    """Add an ``architectures.json``, if there is one, to the runs of those loggers that are W&B's."""
    # An offline run keeps its artifact in its own folder until `wandb sync` uploads both.
    takers = [logger for logger in loggers if isinstance(logger, WandbLogger)]
    if not takers or not path.is_file():
        return
    import wandb

    for logger in takers:
        run = logger.experiment
        artifact = wandb.Artifact(f"architectures-{run.id}", type="architecture")
        artifact.add_file(str(path), name="architectures.json")
        run.log_artifact(artifact)
