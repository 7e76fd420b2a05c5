"""Fit and test on some processes: ``two_processes.py FOLDER OPTIONS``; each writes ``rank<r>.pt``."""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from lightning.pytorch.strategies import DDPStrategy
from meta_toys import Losses, adapting, make_data, make_model, make_trainer, state_of
from ranks import run_rank
from torch import distributed

from lit_metanas.callbacks import ReplicaCheck
from lit_metanas.meta import LinearHead, PrototypeLoss
from lit_metanas.relaxations import GumbelSoftmax
from lit_metanas.training import ArchitectureSchedule, Preemption

METHODS = {
    # Adam would turn the rounding errors of a gradient of zero into steps.
    "sampled, SGD": lambda: {
        "shape": None,
        "schedule": ArchitectureSchedule(warm_up=0.1, prune_below=0.3),
        "weight_optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        "logit_optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    },
    "sampled": lambda: {"schedule": ArchitectureSchedule(warm_up=0.1, prune_below=0.3)},
    "soft": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": GumbelSoftmax()},
    "fomaml": lambda: adapting(shape=None, head=LinearHead(), batch_norm="support"),
}

KINDS = ("allreduce", "broadcast", "allgather", "_allgather_base", "reduce", "reduce_scatter", "gather", "scatter")
KINDS += ("alltoall", "alltoall_base", "send", "recv", "barrier", "monitored_barrier")


class Messages(Losses):
    """Counts what is sent in the training steps, between the second one's start and the last one's end."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.counting = False
        for kind in KINDS:
            setattr(distributed.ProcessGroup, kind, self.counted(kind, getattr(distributed.ProcessGroup, kind)))

    def counted(self, kind: str, function: Any) -> Any:
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.counts[kind] += self.counting
            return function(*args, **kwargs)

        return counting

    def on_train_batch_start(self, trainer, pl_module, *args):
        if int(pl_module.outer_steps) == 1:
            self.counting = True  # in the first step DDP itself shares out the buffers, never again
        assert not (self.counting and getattr(trainer.strategy.model, "require_forward_param_sync", False))

    def on_train_batch_end(self, trainer, pl_module, *args):
        super().on_train_batch_end(trainer, pl_module, *args)
        self.counting &= not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


class Saves(Callback):
    """Leaves a checkpoint after some outer steps, and one at the first epoch's end."""

    def __init__(self, folder: Path, steps: list[int]) -> None:
        self.folder, self.steps = folder, steps

    def on_train_batch_end(self, trainer, pl_module, *args):
        if int(pl_module.outer_steps) in self.steps:
            trainer.save_checkpoint(self.folder / f"step{int(pl_module.outer_steps)}.ckpt")

    def on_train_epoch_end(self, trainer, pl_module):
        if self.steps and trainer.current_epoch == 0:
            trainer.save_checkpoint(self.folder / "epoch.ckpt")


def train(folder: Path, **options: Any) -> dict[str, Any]:
    """Fit, save, test; returns what came of it on this process."""
    devices, method = options.pop("devices"), options.pop("method")
    steps, resume = options.pop("steps"), options.pop("resume", None)
    # Of the last batches of validation and test one process has an episode, and the others have none.
    data = make_data(steps_per_epoch=steps, tasks_per_step=4, val_episodes=5, test_episodes=13)
    saves = Saves(folder, options.pop("saves", []))
    model = make_model(weights_seed=0 if resume is None else 99, **METHODS[method]())
    losses = Messages() if resume is None else Losses()
    strategy = DDPStrategy(process_group_backend="gloo") if devices > 1 else "auto"
    guards = [ReplicaCheck(every_n_steps=5), Preemption()]
    trainer = make_trainer(devices=devices, strategy=strategy, callbacks=[*guards, losses, saves], **options)
    trainer.fit(model, data, ckpt_path=resume)
    state = state_of(model)
    metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
    trainer.save_checkpoint(folder / "end.ckpt")
    trainer.test(model, data, verbose=False)
    return {
        "rank": trainer.global_rank,
        "state": state,
        "metrics": metrics,
        "losses": losses.values,
        "architecture": model.architecture().to_json(),
        "test": model.test_values,
        "messages": {kind: count for kind, count in getattr(losses, "counts", {}).items() if count},
        "images": model.cost().images,
    }


if __name__ == "__main__":
    run_rank(lambda folder, options: train(folder, **options))
