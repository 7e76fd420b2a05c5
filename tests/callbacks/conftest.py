"""Trainings of a module that searches."""

from pathlib import Path

import pytest
from drifting import loader
from lightning.pytorch import Callback, LightningModule
from meta_toys import make_trainer


@pytest.fixture
def fit(tmp_path: Path):
    def run(module: LightningModule, callbacks: list[Callback], logger=False, epochs=3, sanity=0, ckpt_path=None):
        options = {"logger": logger, "num_sanity_val_steps": sanity, "default_root_dir": tmp_path}
        trainer = make_trainer(max_epochs=epochs, callbacks=callbacks, **options)
        trainer.fit(module, loader(), loader(), ckpt_path=ckpt_path)
        return trainer

    return run
