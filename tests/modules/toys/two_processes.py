"""Fit and test on some processes: ``two_processes.py FOLDER OPTIONS``; each writes ``rank<r>.pt``."""

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from meta_toys import Losses, make_data, make_model, make_trainer, state_of

from lit_metanas.meta import FOMAML, JointInnerLoop, LinearHead, PrototypeLoss
from lit_metanas.modules.architecture_schedule import ArchitectureSchedule
from lit_metanas.relaxations import GumbelSoftmax, Softmax

METHODS = {
    # Adam would turn the rounding errors of a gradient of zero into steps.
    "paired, SGD": lambda: {
        "schedule": ArchitectureSchedule(warm_up=0.1, tied_until=0.3, prune_below=0.3),
        "weight_optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.5),
    },
    "paired": lambda: {"schedule": ArchitectureSchedule(warm_up=0.1, tied_until=0.3, prune_below=0.3)},
    "soft": lambda: {"meta_gradient": PrototypeLoss(), "relaxation": GumbelSoftmax()},
    "fomaml": lambda: {
        "meta_gradient": FOMAML(),
        "relaxation": Softmax(),
        "head": LinearHead(way=3),
        "inner_loop": JointInnerLoop(steps=1),
        "batch_norm": "support",
    },
}


class Counting(DDPStrategy):
    """Counts messages."""

    reduces = 0

    def reduce(self, *args, **kwargs):
        self.reduces += 1
        return super().reduce(*args, **kwargs)


class CountInSteps(Losses):
    """Counts the messages of the training steps."""

    before, reduces = 0, 0

    def on_train_batch_start(self, trainer, pl_module, *args):
        self.before = getattr(trainer.strategy, "reduces", 0)

    def on_train_batch_end(self, trainer, pl_module, *args):
        super().on_train_batch_end(trainer, pl_module, *args)
        self.reduces += getattr(trainer.strategy, "reduces", 0) - self.before


def train(folder: Path, **options: Any) -> dict[str, Any]:
    """Fit, save, test; returns what came of it on this process."""
    devices, method = options.pop("devices"), options.pop("method")
    steps, resume = options.pop("steps"), options.pop("resume", None)
    data = make_data(steps_per_epoch=steps, tasks_per_step=4, val_episodes=4, test_episodes=12)
    model = make_model(**METHODS[method]())
    losses = CountInSteps()
    strategy = Counting(process_group_backend="gloo") if devices > 1 else "auto"
    trainer = make_trainer(devices=devices, strategy=strategy, callbacks=[losses], **options)
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
        "reduces": losses.reduces,
        "images": model.cost().images,
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    result = train(Path(sys.argv[1]), **json.loads(sys.argv[2]))
    torch.save(result, Path(sys.argv[1]) / f"rank{result['rank']}.pt")
