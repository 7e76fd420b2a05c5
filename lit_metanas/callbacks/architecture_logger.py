"""What a search prefers: logs of its probabilities and of signs of a collapse, and the architecture as a file."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from torch import special

from lit_metanas.callbacks.probability_history import Moment, ProbabilityHistory
from lit_metanas.callbacks.protocols import searching, validates_fit
from lit_metanas.callbacks.skips import skip_share
from lit_metanas.records.result_files import write_architectures
from lit_metanas.records.rows import ArchitectureRow


class ArchitectureLogger(Callback):
    """Logs the architecture's distribution at each validation, to any logger, and keeps its history.

    Scalars: ``arch/<choice>/<label>`` (probability), ``arch/<choice>/entropy`` (nats), ``arch/<choice>/argmax``
    (index of the most probable label), ``arch/gap`` (accuracy under the relaxation minus that of the derived
    architecture), ``arch/skip_share``. Loggers that take pictures (W&B, TensorBoard) also get ``arch/probabilities``,
    a heat map, and ``arch/architecture``, a drawing. Choices with one label are left out.

    Args:
        path: the history's file, as JSON; ``probabilities.json`` in the trainer's root folder if not given.
        picture_every: number of validations from one picture to the next; 0 draws pictures only at the end of training.

    Example:
        >>> callback = lm.callbacks.ArchitectureLogger(picture_every=0)
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, path: str | None = None, picture_every: int = 5) -> None:
        if picture_every < 0:
            raise ValueError(f"picture_every is {picture_every}: give 0 (only at the end) or a positive number.")
        self.path = path
        self.picture_every = picture_every
        self.history = ProbabilityHistory({})

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start a history, or continue that of the checkpoint."""
        choices = searching(pl_module, self).space.choices
        labels = {choice.name: list(choice.labels) for choice in choices if len(choice.labels) > 1}
        if self.history.labels != labels:
            self.history = ProbabilityHistory(labels)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the distribution, and append it to the history."""
        if not validates_fit(trainer) or not trainer.is_global_zero:
            return
        module = searching(pl_module, self)
        probabilities, metrics = module.probabilities(), trainer.callback_metrics
        step = trainer.fit_loop.total_batch_idx + 1
        scalars: dict[str, float] = {}
        for name, labels in self.history.labels.items():
            own = probabilities[name].detach().cpu()
            scalars |= {f"arch/{name}/{label}": float(p) for label, p in zip(labels, own, strict=True)}
            scalars[f"arch/{name}/entropy"] = float(special.entr(own.double()).sum())
            scalars[f"arch/{name}/argmax"] = float(own.argmax())
        if {"val/accuracy_relaxed", "val/accuracy_one_hot"} <= metrics.keys():
            scalars["arch/gap"] = float(metrics["val/accuracy_relaxed"]) - float(metrics["val/accuracy_one_hot"])
        if (share := skip_share(module.space.choices, module.architecture())) is not None:
            scalars["arch/skip_share"] = share
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step)
        rows = {name: probabilities[name].tolist() for name in self.history.labels}
        self.history.add(Moment(step, float(module.progress), rows))
        self.history.write(self.path or Path(trainer.default_root_dir) / "probabilities.json")
        if self.picture_every and len(self.history.moments) % self.picture_every == 0:
            self._log_pictures(trainer, pl_module, step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last pictures."""
        if not self.history.moments or not trainer.is_global_zero:
            return
        if not self.picture_every or len(self.history.moments) % self.picture_every:
            self._log_pictures(trainer, pl_module, trainer.fit_loop.total_batch_idx + 1)

    def state_dict(self) -> dict[str, Any]:
        """The history, so that a resumed training continues it."""
        return self.history.to_json() if self.history.labels else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the checkpoint's history."""
        if state_dict:  # which was empty where nothing had been trained
            self.history = ProbabilityHistory.from_json(state_dict, "The checkpoint's history of probabilities")

    def _log_pictures(self, trainer: Trainer, pl_module: LightningModule, step: int) -> None:
        """Draw once, and only if a logger takes pictures."""
        takers = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger | TensorBoardLogger)]
        if not takers:
            return
        from lit_metanas.callbacks.architecture_picture import draw_architecture
        from lit_metanas.callbacks.figures import draw_probabilities, pixels

        module = searching(pl_module, self)
        pictures = {"arch/architecture": pixels(draw_architecture(module.architecture(), space=type(module.space)))}
        if self.history.labels:
            pictures["arch/probabilities"] = pixels(draw_probabilities(self.history))
        for logger, (key, picture) in product(takers, pictures.items()):
            if isinstance(logger, WandbLogger):
                logger.log_image(key, [picture], step)
            else:
                logger.experiment.add_image(key, picture, step, dataformats="HWC")


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
