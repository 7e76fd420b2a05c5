"""Weights & Biases: one run for as long as the run of its directory goes on, and one sentence where it refuses."""

import os
import subprocess
import time
from pathlib import Path

import pytest
import wandb
from own_processes import command, environment
from wandb.errors import CommError

from lit_metanas.cli.run_output import RUN_ID, RUN_NAME, run_id

WANDB = ["--trainer.logger=lightning.pytorch.loggers.WandbLogger", "--trainer.logger.offline=true"]


def test_a_resumed_run_keeps_its_id_and_a_new_one_gets_another(tmp_path):
    first = run_id(tmp_path / "wandb.fit.id", goes_on=False)
    assert run_id(tmp_path / "wandb.fit.id", goes_on=True) == first
    assert run_id(tmp_path / "wandb.test.id", goes_on=True) != first  # each verb is a run
    assert run_id(tmp_path / "wandb.fit.id", goes_on=False) != first
    (tmp_path / "wandb.fit.id").write_text("no such/id")
    assert run_id(tmp_path / "wandb.fit.id", goes_on=True) != "no such/id"


@pytest.fixture
def offline(toy_folder, monkeypatch):
    for variable in (RUN_ID, RUN_NAME, "WANDB_API_KEY", "WANDB_MODE"):
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
    several = "[{class_path: lightning.pytorch.loggers.WandbLogger, init_args: {offline: true}}]"
    assert toy("test", f"--trainer.logger={several}", "--ckpt_path=runs/latest/checkpoints/last.ckpt") == 0
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


def test_a_refusal_gets_one_sentence(toy, monkeypatch, capsys):
    def refuse(*args, **kwargs):
        raise CommError("Timed out while retrying. Consider increasing the init_timeout setting: …")

    monkeypatch.setattr(wandb, "init", refuse)
    assert toy("fit", WANDB[0], "--trainer.logger.offline=false", "--trainer.logger.save_dir=out") == 1
    *_, said = capsys.readouterr().err.splitlines()
    told = "Weights & Biases cannot be used (Timed out while retrying): log in by `wandb login`, fix the"
    assert said.startswith(f"lit-metanas: {told}")
