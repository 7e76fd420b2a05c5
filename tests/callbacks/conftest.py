"""Trainings of a module that searches."""

from pathlib import Path

import pytest
from drifting import loader
from lightning.pytorch import Callback, LightningModule, Trainer


@pytest.fixture
def fit(tmp_path: Path):
    def run(
        module: LightningModule,
        callbacks: list[Callback],
        logger: object = False,
        epochs: int = 3,
        sanity: int = 0,
        ckpt_path: str | None = None,
    ) -> Trainer:
        trainer = Trainer(
            max_epochs=epochs, callbacks=callbacks, logger=logger, default_root_dir=tmp_path, accelerator="cpu",
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, log_every_n_steps=1,
            num_sanity_val_steps=sanity,
        )  # fmt: skip
        trainer.fit(module, loader(), loader(), ckpt_path=ckpt_path)
        return trainer

    return run
