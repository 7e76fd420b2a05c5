"""What only real processes show: Ctrl-C, and phases on two processes."""

import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from own_processes import command, environment


def weights(path: str) -> torch.Tensor:
    weight = torch.load(path, weights_only=True)["state_dict"]["layer.weight"]
    assert isinstance(weight, torch.Tensor)
    return weight


@pytest.mark.slow
def test_run_goes_on_after_ctrl_c_as_if_nothing_had_been(toy_folder: Path) -> None:
    phase = {"verb": "fit", "name": "train", "config": ["toy.yaml"], "args": ["--trainer.max_epochs=40"]}
    phase["args"] += ["--model.rate=0.001", "--model.pause=0.1"]
    experiment = {"directory": "out", "phases": [phase]}
    Path("experiment.yaml").write_text(yaml.safe_dump(experiment))
    words, settings = command("run", "-c", "experiment.yaml"), {"env": environment(), "timeout": 600}
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    checkpoint = Path("out/seed0/train/checkpoints/last.ckpt")
    deadline = time.monotonic() + 600
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 130, errors
    assert "Stopped by a signal" in errors
    assert 0 < torch.load(checkpoint, weights_only=True)["epoch"] + 1 < 40
    done = subprocess.run(words, capture_output=True, text=True, **settings)
    assert done.returncode == 0, done.stderr
    assert f"goes on from {checkpoint}" in done.stdout
    whole = subprocess.run([*words, "--directory=whole"], capture_output=True, **settings)
    assert whole.returncode == 0
    assert torch.equal(weights(str(checkpoint)), weights("whole/seed0/train/checkpoints/last.ckpt"))


@pytest.mark.slow
def test_phases_on_two_processes_do_not_disturb_each_other(toy_folder: Path) -> None:
    two = {"verb": "fit", "name": "two", "config": ["toy.yaml"], "args": ["--trainer.devices=2"]}
    two["args"] += ["--trainer.strategy=ddp"]
    again = {**two, "name": "again"}
    one = {"verb": "fit", "name": "one", "config": ["toy.yaml"]}
    Path("experiment.yaml").write_text(yaml.safe_dump({"directory": "out", "phases": [two, again, one]}))
    words = command("run", "-c", "experiment.yaml", seconds=600)
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=650)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[1/3] seed 0: two …") == 1  # the second process does the phase, not the experiment
    found = [weights(f"out/seed0/{name}/checkpoints/last.ckpt") for name in ("two", "again", "one")]
    assert torch.equal(found[0], found[1])
    assert torch.allclose(found[0], found[2], atol=1e-6)  # both processes see the same data
