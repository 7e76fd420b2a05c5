"""TaskReptile on some processes: ``task_processes.py FOLDER DEVICES``; each writes ``rank<r>.pt``."""

from pathlib import Path
from typing import Any

from cipher_tasks import IMAGES, Stripes, quiet_trainer
from lightning.pytorch.strategies import DDPStrategy
from meta_toys import Losses
from ranks import run_rank

import lit_metanas as lm


def train(folder: Path, devices: int) -> dict[str, Any]:
    """Fit in double precision; one of the tasks is broken."""
    tasks, held_out = Stripes(8, broken=(5,)), Stripes(4, first=50)
    data = lm.TrainingTaskDataModule(tasks, held_out, tasks_per_step=4, steps_per_epoch=6, val_tasks=3)
    model = lm.training.TaskReptile(space=IMAGES, inner_steps=3, batch_size=8, seed=3)
    strategy = DDPStrategy(process_group_backend="gloo") if devices > 1 else "auto"
    losses = Losses()
    trainer = quiet_trainer(devices=devices, strategy=strategy, callbacks=[losses], precision="64-true", max_epochs=2)
    trainer.fit(model, data)
    cost = model.cost()
    return {
        "rank": trainer.global_rank,
        "weights": model.weights(),
        "losses": losses.values,
        "score": float(trainer.callback_metrics["val/score"]),
        "cost": [cost.steps, cost.images, cost.flops, model.account.skipped],
    }


if __name__ == "__main__":
    run_rank(train)
