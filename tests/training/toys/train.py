"""A training that can be killed: ``train.py FOLDER [--pause S] [--resume CHECKPOINT]``."""

import argparse
import logging
import os
import time
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from meta_toys import fit, make_data, make_model, state_of

from lit_metanas.training import ArchitectureSchedule, Preemption


class Slowly(Callback):
    """Pauses at each step and says when the first one is done."""

    def __init__(self, folder: Path, pause: float) -> None:
        self.folder, self.pause = folder, pause

    def on_train_batch_end(self, trainer, pl_module, *args):
        time.sleep(self.pause)
        temporary = self.folder / "starting"
        temporary.write_text(str(os.getpid()))
        temporary.replace(self.folder / "started")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--resume")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    saver = ModelCheckpoint(options.folder, save_top_k=0, save_last=False, save_on_exception=True)
    model = make_model(schedule=ArchitectureSchedule(warm_up=0.1, tied_until=0.4))
    _, losses = fit(
        model,
        make_data(steps_per_epoch=10),
        max_epochs=4,
        callbacks=[Slowly(options.folder, options.pause), saver, Preemption(str(options.folder / "stopped/last.ckpt"))],
        enable_checkpointing=True,
        ckpt_path=options.resume,
    )
    torch.save({"losses": losses, "state": state_of(model)}, options.folder / "end.pt")


if __name__ == "__main__":
    main()
