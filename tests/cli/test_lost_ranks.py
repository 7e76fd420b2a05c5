"""A process of several that dies or fails: the others end, too, and the last checkpoint is whole."""

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

CHECK = {"class_path": "lit_metanas.callbacks.ReplicaCheck", "init_args": {"every_n_steps": 1}}


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Fits on two processes one of which has a fault; returns the exit code and what was said on stderr."""
    monkeypatch.chdir(tmp_path)

    def start(what: str, rank: int) -> tuple[int, str]:
        fault = {"class_path": "cluster_toys.Fault", "init_args": {"what": what, "rank": rank}}
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
    assert said.startswith(
        "lit-metanas: Stopped by a signal; resume the training with --ckpt_path 'run/checkpoints/last.ckpt'"
    )
    assert none_left()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["outer_steps"]) == 7  # with the next message
