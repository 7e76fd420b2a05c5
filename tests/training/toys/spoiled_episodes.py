"""A training with spoiled episodes: ``spoiled_episodes.py FOLDER PROCESSES``; each process writes how it ended."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from meta_toys import Patterns, fit, make_model
from ranks import run_rank

from lit_metanas.tasks import EpisodeDataModule


class Spoil(Callback):
    """Puts a number that is none into an image of some episodes."""

    def __init__(self, *indices: int) -> None:
        self.indices = indices
        self.state: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        for episode in batch:
            if int(episode.id.rpartition("/")[2]) in self.indices:
                episode.query.inputs[0, 0, 0, 0] = float("inf")

    def on_train_batch_end(self, trainer, pl_module, *args):
        self.state = {name: value.clone() for name, value in pl_module.state_dict().items()}


def train(folder: Path, processes: int) -> dict[str, Any]:
    spoil = Spoil(5, 6, 13)  # of processes 1 and 0 in the second step, of process 1 in the fourth
    data = EpisodeDataModule(
        Patterns(), way=3, shot=2, query=3, tasks_per_step=4, eval_tasks_per_step=4, steps_per_epoch=6, val_episodes=4
    )
    model = make_model(skipped=2, weight_optimizer=partial(torch.optim.SGD, lr=0.5))
    said = ""
    try:
        fit(model, data, devices=processes, strategy="ddp" if processes > 1 else "auto", callbacks=[spoil])
    except RuntimeError as error:
        said = str(error)
    return {
        "rank": model.trainer.global_rank, "state": spoil.state, "said": said, "skipped": model.account.skipped
    }  # fmt: skip


if __name__ == "__main__":
    run_rank(train)
