"""The id of a W&B run is kept for as long as the run of its directory goes on."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from own_processes import command, environment

from lit_metanas.cli.run_directory import ID, NAME, name_run, own_run

WANDB = ["--trainer.logger=lightning.pytorch.loggers.WandbLogger", "--trainer.logger.offline=true"]


@pytest.fixture
def logger(tmp_path, monkeypatch):
    for name in (ID, NAME):
        monkeypatch.delenv(name, raising=False)
    return WandbLogger(save_dir=tmp_path, offline=True)


def name(loggers, root, verb="fit", goes_on=False):
    with own_run():
        name_run(loggers, root, verb, goes_on=goes_on)
        return os.environ.get(ID)


def test_a_resumed_run_keeps_its_id_and_a_new_one_gets_another(logger, tmp_path):
    first = name(logger, tmp_path)
    assert first
    assert ID not in os.environ
    assert NAME not in os.environ
    assert name([CSVLogger(tmp_path), logger], tmp_path, goes_on=True) == first
    assert name(logger, tmp_path, verb="test", goes_on=True) != first  # each verb is a run
    assert name(logger, tmp_path / "elsewhere", goes_on=True) != first
    second = name(logger, tmp_path)
    assert second not in (None, first)
    (tmp_path / "wandb.fit.id").write_text("no such/id")
    assert name(logger, tmp_path, goes_on=True) not in ("no such/id", None)


@pytest.fixture
def offline(toy_folder, monkeypatch):
    for variable in (ID, NAME, "WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_X_DISABLE_STATS", "true")
    return toy_folder


def next_second():
    """W&B names a run's folder by the second in which it begins."""
    begin = int(time.time())
    while int(time.time()) == begin:
        time.sleep(0.01)


def test_fit_and_its_resumption_write_one_run(offline, toy):
    assert toy("fit", *WANDB) == 0
    next_second()
    assert toy("fit", *WANDB, "--ckpt_path=runs/latest/checkpoints/last.ckpt") == 0
    assert toy("test", *WANDB, "--ckpt_path=runs/latest/checkpoints/last.ckpt") == 0
    kept = Path("runs/latest/wandb.fit.id").read_text().strip()
    ids = [path.stem.removeprefix("run-") for path in offline.glob("runs/latest/wandb/offline-run-*/run-*.wandb")]
    tested = Path("runs/latest/wandb.test.id").read_text().strip()
    assert sorted(ids) == sorted([kept, kept, tested])  # in one process, as the phases of an experiment are
    assert kept != tested
    assert f"id: {kept}" not in Path("runs/latest/config.fit.yaml").read_text()  # a copy of it is another run
    assert "WANDB_MODE" not in os.environ
    assert not (offline / "wandb").exists()


@pytest.mark.slow
def test_two_processes_write_one_run(offline):
    service = "WANDB_SERVICE"  # of this process, whose working folder is another
    known = {name: value for name, value in environment().items() if service not in name}
    words = command("fit", "-c", "toy.yaml", *WANDB, "--trainer.devices=2", "--trainer.strategy=ddp", seconds=900)
    done = subprocess.run(words, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (run,) = offline.glob("runs/latest/wandb/offline-run-*/run-*.wandb")
    assert run.stem == f"run-{Path('runs/latest/wandb.fit.id').read_text().strip()}"
