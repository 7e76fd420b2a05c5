"""What a checkpoint says of a training, checked before the training goes on from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lit_metanas.io.checkpoints import FIX


class ResumeCheck(Callback):
    """Keeps a checkpoint's state of the Trainer to what a training can go on from.

    ``ModelCheckpoint`` removes the files that a checkpoint calls its earlier ones: such paths are kept if they lie in
    the callback's own folder, behind all links, and dropped otherwise. Progress and states of optimizers that do not
    fit the training are refused.
    """

    def __init__(self) -> None:
        self._found: dict[str, int] = {}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check a checkpoint before it is restored.

        Raises:
            ValueError: a part of it is damaged.
        """
        path = str(trainer.ckpt_path)
        states = checkpoint.get("callbacks") or {}
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.state_key in states:
                states[callback.state_key] = _own(states[callback.state_key], str(callback.dirpath or ""), path)
        if not trainer.training:
            return
        kept = (checkpoint.get("loops") or {}).get("fit_loop")
        if not isinstance(kept, Mapping) or not _same_progress(kept, trainer.fit_loop.state_dict()):
            raise ValueError(f"The checkpoint '{path}' is damaged, its 'loops' are not those of a training: {FIX}.")
        self._found = {name: len(checkpoint.get(name, ())) for name in ("optimizer_states", "lr_schedulers")}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the number of states with that of optimizers and schedulers.

        Raises:
            ValueError: they differ; Lightning would leave the others as new.
        """
        needed = {"optimizer_states": len(trainer.optimizers), "lr_schedulers": len(trainer.lr_scheduler_configs)}
        for name, number in self._found.items():
            if number != needed[name]:
                raise ValueError(
                    f"The checkpoint '{trainer.ckpt_path}' has {number} '{name}' and the training {needed[name]}: "
                    "give one of the same configuration."
                )
        self._found = {}


def _own(state: object, folder: str, path: str) -> dict[str, Any]:
    """A ``ModelCheckpoint``'s state without paths outside of its folder.

    Raises:
        ValueError: it is no such state.
    """
    refusal = ValueError(f"The checkpoint '{path}' is damaged, its state of ModelCheckpoint is of another kind: {FIX}.")
    if not isinstance(state, dict):
        raise refusal
    paths = {name: state.get(name, "") for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = state.get("best_k_models", {})
    scores = [state.get("best_model_score"), state.get("current_score"), state.get("kth_value")]
    if not isinstance(best, dict) or not all(isinstance(one, str) for one in (*paths.values(), *best)):
        raise refusal
    if not all(_is_score(score) for score in (*scores, *best.values())):
        raise refusal
    own = {**state, **{name: one if _inside(one, folder) else "" for name, one in paths.items()}}
    if not all(_inside(one, folder) for one in best) or (best and paths["kth_best_model_path"] not in best):
        own |= {"best_k_models": {}, "kth_best_model_path": "", "kth_value": None}
    return {"best_model_score": None, **own}


def _is_score(value: object) -> bool:
    return value is None or isinstance(value, float) or (isinstance(value, Tensor) and value.numel() == 1)


def _inside(path: str, folder: str) -> bool:
    """Whether a path is that of a file in the folder or below it; an empty path is none."""
    if not path or not folder:
        return not path
    if "://" in folder:
        return path.startswith(f"{folder.rstrip('/')}/") and ".." not in path
    return "://" not in path and Path(path).parent.resolve().is_relative_to(Path(folder).resolve())


def _same_progress(kept: object, own: object) -> bool:
    """Whether a loop's counters are numbers under the same names; what it keeps of the data may be anything."""
    if isinstance(own, Mapping):
        return isinstance(kept, Mapping) and all(
            _same_progress(kept.get(name), inner) for name, inner in own.items() if not name.endswith("state_dict")
        )
    if isinstance(own, bool):
        return isinstance(kept, bool)
    return not isinstance(own, int) or (type(kept) is int and 0 <= kept < 2**62)
