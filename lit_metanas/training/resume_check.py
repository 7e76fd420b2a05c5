"""What a checkpoint says of a training, checked before the training goes on from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.optim import Optimizer

from lit_metanas.io.checkpoints import FIX

LARGEST_SETTING = 1e20
"""Of an optimizer; what it divides by a small number has to fit into single precision."""


class ResumeCheck(Callback):
    """Keeps a checkpoint's state of the Trainer to what a training can go on from.

    ``ModelCheckpoint`` removes the files that a checkpoint calls its earlier ones: such paths are kept if they lie in
    the callback's own folder, behind all links, and dropped otherwise. Progress and states of optimizers that do not
    fit the training are refused.
    """

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}
        self._steps = 0

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check a checkpoint before it is restored.

        Raises:
            ValueError: a part of it is damaged.
        """
        path = str(trainer.ckpt_path)
        states = checkpoint.get("callbacks") or {}
        callbacks: list[Callback] = cast(Any, trainer).callbacks
        for callback in callbacks:
            if (key := callback.state_key) not in states:
                continue
            if isinstance(callback, ModelCheckpoint):
                states[key] = _own(states[key], str(callback.dirpath or ""), path)
            elif not _alike(states[key], callback.state_dict()):
                of = type(callback).__name__
                raise ValueError(f"The checkpoint '{path}' is damaged, its state of {of} is of another kind: {FIX}.")
        if not trainer.training:
            return
        kept = (checkpoint.get("loops") or {}).get("fit_loop")
        if not isinstance(kept, Mapping) or not _same_progress(kept, trainer.fit_loop.state_dict()):
            raise ValueError(f"The checkpoint '{path}' is damaged, its 'loops' are not those of a training: {FIX}.")
        self._found = {name: checkpoint.get(name, []) for name in ("optimizer_states", "lr_schedulers")}
        self._steps = checkpoint.get("global_step", 0)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the states of optimizers and schedulers with these, before they are restored.

        Raises:
            ValueError: there are more or fewer, which Lightning would leave as new; or one is not as its optimizer's.
        """
        optimizers, schedulers = trainer.optimizers, [config.scheduler for config in trainer.lr_scheduler_configs]
        needed: dict[str, list[Any]] = {"optimizer_states": optimizers, "lr_schedulers": schedulers}
        for name, states in self._found.items():
            if len(states) != len(needed[name]):
                raise ValueError(
                    f"The checkpoint '{trainer.ckpt_path}' has {len(states)} '{name}' and the training "
                    f"{len(needed[name])}: give one of the same configuration."
                )
            for state, own in zip(states, needed[name], strict=True):
                fits = _fits_optimizer(state, own) if isinstance(own, Optimizer) else _fits_scheduler(state, own)
                # Where there are several optimizers, some may not have begun.
                if not fits or (len(states) == 1 and self._steps > 0 and _lacks_all(state, own)):
                    raise ValueError(
                        f"The checkpoint '{trainer.ckpt_path}' is damaged or of another configuration, its '{name}' do "
                        f"not fit {type(own).__name__}: {FIX}."
                    )
        self._found = {}


def _fits_optimizer(state: object, optimizer: Optimizer) -> bool:
    """Whether an optimizer can go on from a state; settings that the state lacks are added as the optimizer has them.

    Raises:
        Exception: of any kind, for a state of another form.
    """
    if not isinstance(state, Mapping) or not isinstance(state.get("state"), Mapping):
        return False
    groups = state.get("param_groups")
    if not isinstance(groups, list) or len(groups) != len(optimizer.param_groups):
        return False
    place = 0
    for group, own in zip(groups, optimizer.param_groups, strict=True):
        rest = {name: value for name, value in own.items() if name != "params"}
        if not isinstance(group, dict) or "lr" not in group:
            return False
        if not all(_same_setting(group[name], value) for name, value in rest.items() if name in group):
            return False
        numbers = group.get("params")
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            return False
        if numbers != list(range(place, place + len(own["params"]))):
            return False
        kept = _state_of(optimizer, own)
        group |= {name: value for name, value in rest.items() if name not in group}
        if not _same_setting(group.get("initial_lr", 0.0), 0.0) or (kept and not _state_of(optimizer, group)):
            return False  # the optimizer refuses these settings
        for number, parameter in enumerate(own["params"], start=place):
            if not _fits_parameter(state["state"].get(number), parameter, kept):
                return False
        place += len(own["params"])
    return state["state"].keys() <= set(range(place))


def _same_setting(theirs: object, own: object) -> bool:
    """Whether an optimizer's setting may be changed so: a number to a finite one, anything else not at all."""
    if isinstance(own, list | tuple):
        return (
            isinstance(theirs, list | tuple)
            and len(theirs) == len(own)
            and all(_same_setting(*pair) for pair in zip(theirs, own, strict=True))
        )
    if own is None or isinstance(own, bool | str):
        return type(theirs) is type(own) and theirs == own
    return isinstance(theirs, float | int | Tensor) and _is_score(theirs) and abs(float(theirs)) <= LARGEST_SETTING


def _lacks_all(state: Mapping[str, Any], own: object) -> bool:
    """Whether the state of an optimizer that keeps something of its parameters is that of a new one."""
    return isinstance(own, Optimizer) and not state["state"] and bool(_state_of(own, own.param_groups[0]))


_TRIAL = (2, 3)


def _state_of(optimizer: Optimizer, group: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an optimizer keeps of a parameter of shape ``_TRIAL`` after its first step; None where that is not known."""
    parameter = nn.Parameter(torch.zeros(_TRIAL))
    parameter.grad = torch.ones(_TRIAL)
    known = inspect.signature(type(optimizer)).parameters
    try:
        trial = type(optimizer)(
            [parameter], **{name: value for name, value in group.items() if name in known and name != "params"}
        )
        trial.step()
        return dict(trial.state[parameter])
    except Exception:  # an optimizer of anyone's, which may need more than this
        return None


def _fits_parameter(state: object, parameter: Tensor, kept: Mapping[str, Any] | None) -> bool:
    """Whether what a state holds of a parameter has its shape, and is not without numbers; it may hold nothing."""
    if state is None or kept is None:
        return True
    if not isinstance(state, Mapping) or not kept.keys() <= state.keys():
        return False
    for name, value in state.items():
        own = kept.get(name)
        if not _alike(value, own):
            return False
        if name == "step" and float(value) < 0:
            return False
        if isinstance(value, Tensor):
            if isinstance(own, Tensor) and own.shape == _TRIAL and value.shape != parameter.shape:
                return False
            if value.is_floating_point() and bool(value.isnan().any()):
                return False
    return True


def _fits_scheduler(state: object, scheduler: Any) -> bool:
    """Whether a scheduler can go on from a state; what it does not know is left out: it would take that for its own."""
    own = scheduler.state_dict()
    if not isinstance(state, dict) or not isinstance(own, Mapping) or not own.keys() <= state.keys():
        return False
    for name in state.keys() - own.keys():
        del state[name]
    return _alike(state, own)


def _alike(theirs: object, own: object) -> bool:
    """Whether a value is of the same kind as another; of mappings those that both have. None stands for any kind."""
    if own is None:
        return True
    if isinstance(own, Mapping):
        return isinstance(theirs, Mapping) and all(
            _alike(theirs[name], inner) for name, inner in own.items() if name in theirs
        )
    if isinstance(own, list | tuple):
        return isinstance(theirs, list | tuple)
    if isinstance(own, str):
        return isinstance(theirs, str)
    if isinstance(own, Tensor) and own.numel() != 1:
        return isinstance(theirs, Tensor)
    if isinstance(own, bool | int | float | Tensor):
        return theirs is not None and _is_score(theirs)
    return True


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
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex() and value.device.type == "cpu"
    return value is None or isinstance(value, float | int)


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
            _same_progress(kept.get(name), inner)
            for name, inner in own.items()
            if name in kept or not name.endswith(("state_dict", "_batches_that_stepped"))
        )
    if isinstance(own, bool):
        return isinstance(kept, bool)
    return not isinstance(own, int) or (type(kept) is int and 0 <= kept < 2**62)
