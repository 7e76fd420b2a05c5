"""Two processes, one of which spoils its state in many ways: ``spoiled_ranks.py FOLDER``; each writes what is told."""

import logging
import sys
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Callback
from meta_toys import fit, make_data, make_model

from lit_metanas.callbacks import ReplicaCheck


class Spoil(Callback):
    """Spoils one process's state in one way after the other, and mends it again."""

    def __init__(self) -> None:
        self.check = ReplicaCheck()
        self.told: dict[str, str] = {}

    def on_train_batch_end(self, trainer, pl_module, *args):
        if int(pl_module.outer_steps) != 3:
            return
        weights, logits = trainer.optimizers
        first = next(pl_module.supernet.parameters())
        ways = {
            "weight": first.data,
            "logits": pl_module.logits.values.data,
            "buffer": pl_module.logits.pruned,
            "average": weights.state[first]["exp_avg"],
            "step": logits.state[pl_module.logits.values]["step"],
        }
        self.told["before"] = self.compared(trainer, pl_module)
        for name, value in ways.items():
            kept = value.clone()
            if trainer.global_rank == 1:
                value.view(-1)[-1:] = ~value.view(-1)[-1:] if value.dtype == torch.bool else value.view(-1)[-1:] + 1e-5
            self.told[name] = self.compared(trainer, pl_module)
            value.copy_(kept)
        rate = weights.param_groups[0]["lr"]
        weights.param_groups[0]["lr"] = rate * (1 + trainer.global_rank)
        self.told["rate"] = self.compared(trainer, pl_module)
        weights.param_groups[0]["lr"] = rate
        entry = weights.state.pop(first) if trainer.global_rank == 1 else None
        self.told["lacking"] = self.compared(trainer, pl_module)
        if entry is not None:
            weights.state[first] = entry
        seed = pl_module.seed
        pl_module.seed += trainer.global_rank
        self.told["child"] = self.compared(trainer, pl_module)
        pl_module.seed = seed

    def compared(self, trainer, module) -> str:
        try:
            self.check.compare(trainer, module)
        except ChildProcessError as error:
            return str(error)
        return ""


class SpoilOnce(Callback):
    """Spoils a weight of one process in earnest."""

    def on_train_batch_end(self, trainer, pl_module, *args):
        if trainer.global_rank == 1 and int(pl_module.outer_steps) == 5:
            next(pl_module.supernet.parameters()).data.view(-1)[0].mul_(1.0001)


def main() -> None:
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    spoil, check = Spoil(), ReplicaCheck(every_n_steps=3)
    told = ""
    try:
        data = make_data(steps_per_epoch=20)
        fit(make_model(), data, devices=2, strategy="ddp", callbacks=[spoil, SpoilOnce(), check])
    except ChildProcessError as error:
        told = str(error)
    torch.save({**spoil.told, "stopped": told}, Path(sys.argv[1], f"rank{torch.distributed.get_rank()}.pt"))


if __name__ == "__main__":
    main()
