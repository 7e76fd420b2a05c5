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

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import FIX

LARGEST_SETTING = 1e20
"""Of an optimizer; what it divides by a small number has to fit into single precision."""


class ResumeCheck(Callback):
    """Keeps a checkpoint's state of the Trainer to what a training can go on from."""

    # `ModelCheckpoint` removes the files that a checkpoint calls its earlier ones: such paths are kept if they lie in
    # the callback's own folder, behind all links, and dropped otherwise. Progress and states of optimizers that do not
    # fit the training are refused.

    def __init__(self) -> None:
        self._found: dict[str, list[Any]] = {}
        self._begun = False

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Check what is restored before a training is set up."""
        states = checkpoint.get("callbacks") or {}
        callbacks: list[Callback] = cast(Any, trainer).callbacks
        for callback in callbacks:
            if (key := callback.state_key) in states and not _fits_callback(states[key], callback):
                kind = type(callback).__name__
                raise ValueError(
                    f"The checkpoint '{trainer.ckpt_path}' is damaged, its state of {kind} is of another kind: {FIX}."
                )
        if not trainer.training:
            return
        kept = (checkpoint.get("loops") or {}).get("fit_loop")
        if not _same_progress(kept, trainer.fit_loop.state_dict()):
            raise ValueError(
                f"The checkpoint '{trainer.ckpt_path}' is damaged, its 'loops' are not those of a training: {FIX}."
            )
        self._found = {name: checkpoint.get(name, []) for name in ("optimizer_states", "lr_schedulers")}
        self._begun = checkpoint.get("global_step", 0) > 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the states of optimizers and schedulers, before they are restored."""
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        needed: dict[str, list[Any]] = {"optimizer_states": trainer.optimizers, "lr_schedulers": schedulers}
        for name, states in self._found.items():
            if len(states) != len(needed[name]):
                raise ValueError(
                    f"The checkpoint '{trainer.ckpt_path}' has {len(states)} '{name}' and the training "
                    f"{len(needed[name])}: give one of the same configuration."
                )
            for state, own in zip(states, needed[name], strict=True):
                # Where there are several optimizers, some may not have begun.
                if not _can_go_on(state, own, begun=self._begun and len(states) == 1):
                    raise ValueError(
                        f"The checkpoint '{trainer.ckpt_path}' is damaged or of another configuration, its '{name}' do "
                        f"not fit {type(own).__name__}: {FIX}."
                    )
        self._found = {}


def _can_go_on(state: Any, own: Any, *, begun: bool) -> bool:
    """Whether an optimizer or a scheduler can go on from a state."""
    try:
        if isinstance(own, Optimizer):
            # That an optimizer keeps nothing of its parameters yet is right for a new one alone.
            lacks_all = not state["state"] and bool(_state_of(own, own.param_groups[0]))
            return _fits_optimizer(state, own) and not (begun and lacks_all)
        return _fits_scheduler(state, own)
    except DAMAGED:
        return False


def _fits_optimizer(state: Any, optimizer: Optimizer) -> bool:
    """Whether an optimizer can go on from a state. Settings that the state lacks are added."""
    if len(state["param_groups"]) != len(optimizer.param_groups):
        return False
    place = 0
    for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True):
        rest = {name: value for name, value in own.items() if name != "params"}
        end = place + len(own["params"])
        if "lr" not in group or group["params"] != list(range(place, end)):
            return False
        if not all(_same_setting(group[name], value) for name, value in rest.items() if name in group):
            return False
        group.update(rest | group)
        kept = _state_of(optimizer, own)
        if not _same_setting(group.get("initial_lr", 0.0), 0.0) or (kept and not _state_of(optimizer, group)):
            return False  # the optimizer refuses these settings
        for number, parameter in enumerate(own["params"], start=place):
            if number in state["state"] and not _fits_parameter(state["state"][number], parameter, kept):
                return False
        place = end
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


_TRIAL = (2, 3)


def _state_of(optimizer: Optimizer, group: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What an optimizer keeps of a parameter of shape ``_TRIAL`` after its first step; None where that is not known."""
    parameter = nn.Parameter(torch.zeros(_TRIAL))
    parameter.grad = torch.ones(_TRIAL)
    known = inspect.signature(type(optimizer)).parameters.keys() - {"params"}
    try:
        trial = type(optimizer)([parameter], **{name: group[name] for name in group.keys() & known})
        trial.step()
        return dict(trial.state[parameter])
    except Exception:  # an optimizer of anyone's, which may need more than this
        return None


def _fits_parameter(state: Any, parameter: Tensor, kept: Mapping[str, Any] | None) -> bool:
    """Whether a state holds what is kept of a parameter, in its shape, and no NaN."""
    if kept is None:
        return True
    for name, value in state.items():
        own = kept.get(name)
        if not _alike(value, own) or (name == "step" and float(value) < 0):
            return False
        if isinstance(value, Tensor):
            of_parameter = isinstance(own, Tensor) and own.shape == _TRIAL
            if (of_parameter and value.shape != parameter.shape) or bool(value.isnan().any()):
                return False
    return kept.keys() <= state.keys()


def _fits_scheduler(state: Any, scheduler: Any) -> bool:
    """Whether a scheduler can go on from a state; what it does not know is left out: it would take that for its own."""
    own = scheduler.state_dict()
    for name in state.keys() - own.keys():
        del state[name]
    return own.keys() <= state.keys() and _alike(state, own)


def _alike(theirs: object, own: object) -> bool:
    """Whether a value is of the same kind as another; of mappings those that both have. None stands for any kind."""
    match own:
        case Mapping():
            return isinstance(theirs, Mapping) and all(
                _alike(theirs[name], inner) for name, inner in own.items() if name in theirs
            )
        case list() | tuple():
            return isinstance(theirs, list | tuple)
        case str():
            return isinstance(theirs, str)
        case Tensor() if own.numel() != 1:
            return isinstance(theirs, Tensor)
        case bool() | int() | float() | Tensor():
            return theirs is not None and _is_score(theirs)
    return True


def _fits_callback(state: Any, callback: Callback) -> bool:
    """Whether a callback can go on from a state. Paths outside of a ``ModelCheckpoint``'s folder are dropped."""
    if not isinstance(callback, ModelCheckpoint):
        return _alike(state, callback.state_dict())
    if not isinstance(state, dict):
        return False
    folder = str(callback.dirpath or "")
    paths = {name: state.get(name, "") for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
    best = state.get("best_k_models", {})
    scores = [state.get("best_model_score"), state.get("current_score"), state.get("kth_value")]
    if not isinstance(best, dict) or not all(isinstance(one, str) for one in (*paths.values(), *best)):
        return False
    if not all(_is_score(score) for score in (*scores, *best.values())):
        return False
    state.setdefault("best_model_score", None)
    state.update({name: "" for name, path in paths.items() if not _inside(path, folder)})
    if not all(_inside(one, folder) for one in best) or (best and paths["kth_best_model_path"] not in best):
        state.update(best_k_models={}, kth_best_model_path="", kth_value=None)
    return True


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
