"""A process of several that dies, is stopped, hangs or fails: the others name it and end, and nothing is left over."""

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

WATCH = {"class_path": "lit_metanas.callbacks.RankMonitor", "init_args": {"timeout": 5, "hang_timeout": 6}}
CHECK = {"class_path": "lit_metanas.callbacks.ReplicaCheck", "init_args": {"every_n_steps": 1}}


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """Starts a training on two processes one of which has a fault."""
    monkeypatch.chdir(tmp_path)

    def start(what: str, rank: int = 1, continued: bool = False) -> tuple[int, str, float]:
        fault = {"class_path": "cluster_toys.Fault", "init_args": {"what": what, "rank": rank}}
        trainer = {"accelerator": "cpu", "devices": 2, "strategy": "ddp", "max_epochs": 3, "default_root_dir": "run"}
        trainer |= {"enable_progress_bar": False, "callbacks": [WATCH, CHECK, fault]}
        Path("fit.yaml").write_text(yaml.safe_dump({"model": MODEL, "data": DATA, "trainer": trainer}))
        process = subprocess.Popen(
            command("fit", "-c", "fit.yaml", seconds=600),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while process.poll() is None and not Path("pids", "1").exists():
            time.sleep(0.05)
        begin = time.monotonic()
        if continued:
            first, second = (int(Path("pids", name).read_text()) for name in "01")
            while process.poll() is None and _state(second) not in "Z-":
                time.sleep(0.05)
            assert _state(first) == "T"
            os.kill(first, signal.SIGCONT)
        _, errors = process.communicate(timeout=650)
        return process.returncode, errors, time.monotonic() - begin

    yield start
    for file in Path("pids").glob("*"):
        with suppress(ProcessLookupError):
            os.kill(int(file.read_text()), signal.SIGKILL)


def _state(process: int) -> str:
    """Its letter, Z for one that has ended and T for one that was stopped; - where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "-"


def none_left() -> bool:
    """Whether both processes are gone, soon."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if not any(Path("/proc", file.read_text()).exists() for file in Path("pids").glob("*")):
            return True
        time.sleep(0.1)
    return False


TOLD = {
    "kill": "Process 1 was killed by SIGKILL, so the other processes stop: resume the training with --ckpt_path 'run",
    "stop": "Process 1 has sent no heartbeat for 5 s, so the other",
    "hang": "Process 1 has made no progress for 6 s while process 0 waits for it, so the other",
    "raise": "Process 1 has stopped (The disk of this machine is broken), so the other",
    "spoil": "After 6 training steps process 1 has a different 'supernet.layers.0.scale' from the other: the",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", TOLD)
def test_the_other_process_names_it_and_nothing_is_left(what, fit):
    code, errors, seconds = fit(what)
    assert code == 1, errors
    lines = [line for line in errors.splitlines() if line.startswith("lit-metanas: ")]
    told = [line for line in lines if line.startswith(f"lit-metanas: {TOLD[what]}")]
    assert told, errors
    assert len(told) == 1 or what != "spoil", errors  # where all know the same, one says it
    assert "Traceback" not in errors
    assert seconds < 60
    assert none_left()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["outer_steps"]) == 4
    assert not list(Path("run").rglob("*.part"))


@pytest.mark.slow
def test_where_the_first_process_dies_the_other_says_so(fit):
    code, errors, _ = fit("kill", rank=0)
    assert code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    assert "lit-metanas: Process 0 has exited, so the other processes stop" in errors
    assert none_left()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_stops_both_with_one_sentence(rank, fit):
    code, errors, _ = fit("terminate", rank=rank)
    assert code == 130, errors
    (told,) = [line for line in errors.splitlines() if line.startswith("lit-metanas: ")]
    assert told.startswith(
        "lit-metanas: Stopped by a signal; resume the training with --ckpt_path 'run/checkpoints/last.ckpt'"
    )
    assert none_left()
    checkpoint = torch.load("run/checkpoints/last.ckpt", weights_only=True)
    assert int(checkpoint["state_dict"]["outer_steps"]) == 7  # with the next message


@pytest.mark.slow
def test_a_first_process_that_was_stopped_ends_when_it_is_continued(fit):
    code, errors, _ = fit("stop", rank=0, continued=True)
    assert code == 1, errors
    told = [line for line in errors.splitlines() if line.startswith("lit-metanas: ")]
    assert len(told) == 2, errors  # each process for itself, for nobody knows whether the first one will ever
    for line in told:
        assert line.startswith(
            "lit-metanas: Process 0 has sent no heartbeat for 5 s, so the other processes stop: resume"
        )
    assert "Traceback" not in errors
    assert none_left()
