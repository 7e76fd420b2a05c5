"""Two runs in one directory: the second one refuses, whoever died before may not be waited for."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from own_processes import environment

from lit_metanas.cli.command_line import main
from lit_metanas.io.locks import directory_lock

HOLD = """
import os, sys, time
from lit_metanas.io.locks import directory_lock
with directory_lock(sys.argv[1], "fit", "trainer.default_root_dir"):
    if os.fork() == 0:
        time.sleep(600)  # as a worker process that outlives its parent
        os._exit(0)
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock, with a worker process."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), text=True, start_new_session=True, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_second_run_is_told_who_holds_the_directory(tmp_path, monkeypatch):
    with held(tmp_path) as process:
        with (
            pytest.raises(ValueError, match="is in use") as caught,
            directory_lock(tmp_path, "fit", "trainer.default_root_dir"),
        ):
            pass
        said = rf"'{re.escape(str(tmp_path))}' is in use by another fit \(process {process.pid} on \S+, since 20\S+\): "
        assert re.fullmatch(said + "wait for its end, or give another 'trainer.default_root_dir'.", str(caught.value))
        with directory_lock(tmp_path, "search", "directory"):
            pass  # another verb may run beside it
        with monkeypatch.context() as further:
            further.setenv("LOCAL_RANK", "1")
            with directory_lock(tmp_path, "fit", "trainer.default_root_dir"):
                pass  # a further process of the run itself
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # Its worker, which has inherited all open files, is alive.
        with directory_lock(tmp_path, "fit", "trainer.default_root_dir"):
            assert json.loads((tmp_path / ".fit.lock").read_text())["pid"] == os.getpid()


def test_a_file_system_without_locks_keeps_the_owner(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".fit.lock").write_text("another owner")
    monkeypatch.setattr(fcntl, "lockf", no_locks)
    with directory_lock(tmp_path, "fit", "directory"):
        assert (tmp_path / ".fit.lock").read_text() == "another owner"


def test_what_fails_leaves_no_lock_and_no_folder_that_was_made_for_it(tmp_path):
    def fail(folder: Path, *files: str) -> None:
        with suppress(RuntimeError), directory_lock(folder, "fit", "directory"):
            assert (folder / ".fit.lock").is_file()
            for name in files:
                (folder / name).write_text("")
            raise RuntimeError

    fail(tmp_path / "new" / "run")
    assert [*tmp_path.iterdir()] == []
    (tmp_path / "mine").mkdir()
    fail(tmp_path / "mine")
    fail(tmp_path / "new", "results.json")
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "mine", tmp_path / "new", tmp_path / "new" / "results.json"]
    with directory_lock(tmp_path / "mine", "fit", "directory"):
        pass
    fail(tmp_path / "mine")
    assert (tmp_path / "mine" / ".fit.lock").is_file()  # of the run before


def test_fit_and_run_refuse_a_directory_in_use(toy, toy_folder, capsys, monkeypatch):
    def busy(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("fcntl.lockf", busy)
    assert toy("fit", "--trainer.default_root_dir=run") == 2
    # The first seed of a process is logged before.
    (said,) = (line for line in capsys.readouterr().err.splitlines() if not line.startswith("INFO: Seed"))
    assert said.startswith("lit-metanas: 'run' is in use by another fit (another process): wait for its end, or give ")
    assert [path.name for path in Path("run").iterdir()] == [".fit.lock"]
    Path("experiment.yaml").write_text("directory: out\nphases: [{verb: fit, name: train, config: [toy.yaml]}]\n")
    assert main(["run", "-c", "experiment.yaml"]) == 2
    assert "'out' is in use by another run" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == [".run.lock"]


def test_the_last_checkpoint_is_never_that_of_an_earlier_training(toy, capsys):
    assert toy("fit", "--trainer.default_root_dir=run") == 0
    first = Path("run/checkpoints/last.ckpt").read_bytes()
    assert toy("fit", "--trainer.default_root_dir=run", "--model.interrupt=0", "--model.rate=0.01") == 130
    assert "moved the checkpoints of an earlier training to run/checkpoints.1" in capsys.readouterr().out
    assert Path("run/checkpoints.1/last.ckpt").read_bytes() == first
    assert torch.load("run/checkpoints/last.ckpt", weights_only=True)["epoch"] == 0
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ["last.ckpt"]


def test_a_finished_training_says_so_and_does_nothing(toy, capsys):
    assert toy("fit", "--trainer.default_root_dir=run") == 0
    checkpoint = Path("run/checkpoints/last.ckpt")
    before = checkpoint.read_bytes(), checkpoint.stat().st_mtime_ns
    resume = ("--trainer.default_root_dir=run", f"--ckpt_path={checkpoint}")
    assert "finished" not in capsys.readouterr().out
    assert toy("fit", *resume) == 0
    said = capsys.readouterr().out
    assert f"the training of '{checkpoint}' is finished, and nothing was done: raise trainer.max_epochs" in said
    assert (checkpoint.read_bytes(), checkpoint.stat().st_mtime_ns) == before
    assert not list(Path("run").glob("checkpoints.*"))
    with pytest.warns(UserWarning, match="this run changes trainer.max_epochs"):
        assert toy("fit", *resume, "--trainer.max_epochs=3") == 0
    assert "is finished" not in capsys.readouterr().out
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 2
