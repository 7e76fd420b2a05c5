"""What only real processes show: one that dies or fails, Ctrl-C, and phases on two."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from own_processes import DATA, MODEL, command, environment
from tiny import of_class

CHECK = of_class("ReplicaCheck", every_n_steps=1)


@pytest.fixture
def fit(here):
    """Fits on two processes one of which has a fault; returns the exit code and what was said on stderr."""

    def start(what: str, rank: int) -> tuple[int, str]:
        fault = of_class("cluster_toys.Fault", what=what, rank=rank)
        trainer = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "max_epochs": 3, "default_root_dir": "run"}
        trainer |= {"enable_progress_bar": False, "callbacks": [CHECK, fault]}
        Path("fit.yaml").write_text(yaml.safe_dump({"model": MODEL, "data": DATA, "trainer": trainer}))
        words = command("fit", "-c", "fit.yaml", seconds=600)
        done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=650)
        return done.returncode, done.stderr

    yield start
    for file in Path("pids").glob("*"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def none_left() -> bool:
    """Whether both processes are gone, soon."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not any(Path("/proc", file.read_text()).exists() for file in Path("pids").glob("*")):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize(("what", "rank"), [("kill", 0), ("kill", 1), ("raise", 1), ("spoil", 1)])
def test_the_other_process_ends_and_the_last_checkpoint_is_whole(what, rank, fit):
    code, errors = fit(what, rank)
    assert code != 0
    said = {
        "raise": "lit-metanas: The disk of this machine is broken.",
        "spoil": "lit-metanas: After 6 training steps process 1 has a different 'supernet.body.",
    }
    assert errors.count(said.get(what, "")) == 1 or what == "kill", errors
    assert none_left()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["outer_steps"]) == 4
    assert not list(Path("run").rglob("*.part"))


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_both_with_one_sentence(rank, fit):
    code, errors = fit("terminate", rank)
    assert code == 130, errors
    (said,) = [line for line in errors.splitlines() if line.startswith("lit-metanas: ")]
    goes_on = "resume the training with --ckpt_path 'run/checkpoints/last.ckpt'"
    assert said.startswith(f"lit-metanas: Stopped by a signal; {goes_on}")
    assert none_left()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["outer_steps"]) == 7  # with the next message


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
