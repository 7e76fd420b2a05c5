"""Weights & Biases without a login or out of reach: one sentence, and no hanging."""

import os
import subprocess
import sys
from pathlib import Path

import wandb
from wandb.errors import CommError

ROOT = Path(__file__).parents[2]
ONLINE = "{class_path: lightning.pytorch.loggers.WandbLogger, init_args: {project: p, save_dir: out, offline: false}}"


def test_a_refusal_gets_one_sentence(toy, monkeypatch, capsys):
    def refuse(*args, **kwargs):
        raise CommError("Timed out while retrying. Consider increasing the init_timeout setting: …")

    monkeypatch.setattr(wandb, "init", refuse)
    assert toy("fit", f"--trainer.logger={ONLINE}") == 1
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(
            "lit-metanas: Weights & Biases cannot be used (Timed out while retrying): log in by `wandb login`, fix the"
        )
    )


def fit(folder, **more):
    """A ``fit`` on a machine without login, whose server is not there."""
    left = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    environment = {
        **left,
        "HOME": str(folder),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent / "toys")]),
    }
    environment |= {"WANDB_BASE_URL": "http://127.0.0.1:9", **more}
    command = ["fit", "-c", "toy.yaml", "--trainer.default_root_dir=out", f"--trainer.logger={ONLINE}"]
    return subprocess.run(
        [sys.executable, "-m", "lit_metanas", *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
