"""Seeds side by side: order, logs, signals, failures."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from own_processes import command, environment

from lit_metanas.cli.command_line import main
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment import run as side_by_side
from lit_metanas.cli.experiment.plan import Phase
from lit_metanas.cli.experiment.run import run

FAKE = Path(__file__).with_name("toys") / "fake_steps.py"
PATIENCE = 600
"""Seconds that the busiest machine may take."""
REPORT = Phase("report", "report", args=["--output={folder}"], per_seed=False)


def never(args: list[str]) -> None:
    raise AssertionError(f"{args} ran in this process")


def events() -> list[tuple[str, str, float, int, dict[str, str]]]:
    path = Path("events.jsonl")
    *lines, _ = path.read_text().split("\n") if path.exists() else [""]  # the last one may be half there
    return [tuple(json.loads(line)) for line in lines]


def times(what: str) -> dict[str, float]:
    return {folder.removeprefix("out/"): at for event, folder, at, *_ in events() if event == what}


def begun() -> list[str]:
    return sorted(folder.removeprefix("out/") for event, folder, *_ in events() if event == "begins")


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def later(happens: Callable[[], bool], what: Callable[[], object]) -> threading.Thread:
    """Do something as soon as something has happened."""

    def wait() -> None:
        deadline = time.monotonic() + PATIENCE
        while not happens() and time.monotonic() < deadline:
            time.sleep(0.02)
        what()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture(autouse=True)
def _fake(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "COMMAND", [sys.executable, "-S", "-u", str(FAKE)])


def phases(*args: str) -> list[Phase]:
    return [Phase("fit", "train", args=list(args)), Phase("search", "find"), REPORT]


def test_two_at_once_in_the_order_of_each_seed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SAY", "hello")
    later(lambda: len(begun()) == 2, Path("go").touch)
    run([*phases("--wait=go"), Phase("test", "last")], Path("out"), [0, 1, 2], jobs=2, execute=never)
    start, end = times("begins"), times("ends")
    assert len(start) == len(end) == 10
    for seed in (0, 1, 2):
        assert end[f"seed{seed}/train"] < start[f"seed{seed}/find"]
        assert end[f"seed{seed}/find"] < start["report"]
        assert start[f"seed{seed}/last"] > end["report"]
    assert max(start["seed0/train"], start["seed1/train"]) < min(end.values())
    for moment in start.values():
        assert sum(start[name] <= moment < end[name] for name in start) <= 2
    assert Path("out/seed1/find/log.txt").read_text().splitlines()[1:] == ["search says hello"]
    out = capsys.readouterr().out
    assert out.startswith("10 steps into out, with ")
    assert "[4/10] seed 1: find …\n      lit-metanas search --trainer.default_root_dir=out/seed1/find" in out
    assert re.search(r"^\[\d+/10\] \S.* took [\d.]+ s$", out, re.MULTILINE)
    assert [line for line in out.splitlines() if "says" in line] == ["report says hello"]  # others go to the logs alone


def test_phases_that_do_not_need_each_other_run_side_by_side() -> None:
    train, compare = Phase("fit", "train", args=["--wait=go"]), Phase("fit", "compare", needs=[])
    later(lambda: len(begun()) == 2, Path("go").touch)
    test = Phase("test", "test", needs=["train"])
    run([train, compare, test, REPORT], Path("out"), [0], jobs=2, execute=never)
    start, end = times("begins"), times("ends")
    assert start["seed0/compare"] < end["seed0/train"] < start["seed0/test"] < end["seed0/test"] < start["report"]
    sharing = {folder.removeprefix("out/"): int(words["sharing"]) for *_, folder, _, _, words in events()}
    assert [sharing[f"seed0/{name}"] / sharing["report"] for name in ("train", "compare", "test")] == [2, 2, 2]
    Path("out/seed0/compare/phase.json").unlink()  # what does not need it is not done again
    run([train, compare, test, REPORT], Path("out"), [0], jobs=2, execute=never)
    assert begun() == ["report"] * 2 + ["seed0/compare"] * 2 + ["seed0/test", "seed0/train"]
    with pytest.raises(UsageError, match="Phase 'test' needs 'trian', which is no earlier phase: did you mean 'train'"):
        run([train, replace(test, needs=["trian"])], Path("out"), execute=never)
    with pytest.raises(UsageError, match="Phase 'report' is of all seeds, and needs all earlier phases"):
        run([train, replace(REPORT, needs=["train"])], Path("out"), execute=never)
    left_out = replace(compare, only_with="data")
    run([left_out, replace(test, needs=["compare"])], Path("other"), inputs={"data": ""}, jobs=2, execute=never)


def test_one_job_stays_in_this_process() -> None:
    calls: list[list[str]] = []
    run(phases(), Path("out"), [0, 1], jobs=1, execute=calls.append)
    assert [call[0] for call in calls] == ["fit", "search", "fit", "search", "report"]
    assert begun() == []
    with pytest.raises(UsageError, match="'jobs' is 0"):
        run(phases(), Path("out"), jobs=0, execute=never)


def test_what_is_finished_is_skipped_whatever_the_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    run(phases(), Path("out"), [0], jobs=1, execute=lambda args: None)
    run(phases(), Path("out"), [0, 1], jobs=2, execute=never)
    assert begun() == ["report", "seed1/find", "seed1/train"]  # the report has more to report
    assert "seed 0: train: already finished, skipped" in capsys.readouterr().out
    run(phases(), Path("out"), [0, 1], jobs=1, execute=never)


@pytest.mark.parametrize(("code", "error"), [(1, ChildProcessError), (2, UsageError)])
def test_a_failing_step_stops_the_others(code: int, error: type[Exception], capsys: pytest.CaptureFixture[str]) -> None:
    Path("fails").write_text("out/seed1/quick")
    quick = Phase("fit", "quick", args=["--sleep=0.1", f"--code={code}"])
    slow = Phase("fit", "slow", args=["--wait=never"])
    with pytest.raises(error, match=rf"'seed 1: quick' failed \(exit code {code}\): see out/seed1/quick/log.txt"):
        run([quick, slow, REPORT], Path("out"), [1, 0], jobs=2, execute=never)
    out = capsys.readouterr().out
    assert "seed 1: quick failed" in out
    tail = out.partition("The last lines of out/seed1/quick/log.txt:\n")[2]
    assert "      line before\n      what went wrong\n" in tail  # the other seed may just have begun its next step
    assert not any(alive(number) for *_, number, _ in events())
    Path("fails").unlink()
    Path("never").touch()
    run([quick, slow, REPORT], Path("out"), [1, 0], jobs=2, execute=never)
    log = Path("out/seed1/quick/log.txt").read_text()
    assert log.count("fit says") == 2  # appended
    assert "report" in begun()


def test_a_killed_step_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    def kill() -> None:
        os.kill(next(number for _, folder, _, number, _ in events() if folder == "out/seed1/train"), signal.SIGKILL)

    thread = later(lambda: len(begun()) == 2, kill)
    with pytest.raises(ChildProcessError, match="killed by signal 9"):
        run(phases("--wait=never"), Path("out"), [0, 1], jobs=2, execute=never)
    thread.join()
    assert not any(alive(number) for *_, number, _ in events())


def test_a_signal_stops_all_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    thread = later(lambda: len(begun()) == 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        run(phases("--wait=go"), Path("out"), [0, 1], jobs=2, execute=never)
    thread.join()
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    assert sorted(event for event, *_ in events()) == ["begins"] * 2 + ["stopped by 2"] * 2
    assert not any(alive(number) for *_, number, _ in events())
    checkpoint = Path("out/seed0/train/checkpoints/last.ckpt")
    checkpoint.parent.mkdir()
    checkpoint.touch()
    Path("go").touch()
    Path("events.jsonl").unlink()
    run(phases("--wait=go"), Path("out"), [0, 1], jobs=2, execute=never)
    words = {folder: words for event, folder, _, _, words in events() if event == "begins"}
    assert len(words) == 5
    assert words["out/seed0/train"]["ckpt_path"] == str(checkpoint)
    assert "ckpt_path" not in words["out/seed1/train"]
    assert f"[1/5] seed 0: train: goes on from {checkpoint} …" in capsys.readouterr().out


def test_who_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "GRACE", 0.3)
    thread = later(lambda: len(begun()) == 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(phases("--wait=never", "--deaf=1"), Path("out"), [0, 1], jobs=2, execute=never)
    thread.join()
    assert [event for event, *_ in events()] == ["begins"] * 2
    assert not any(alive(number) for *_, number, _ in events())


@pytest.mark.slow
def test_real_steps_side_by_side(toy_folder: Path) -> None:
    """As one process does them; a failure is told in a sentence; SIGTERM stops everything."""
    fit = {"verb": "fit", "name": "train", "config": ["toy.yaml"]}
    test = {"verb": "test", "name": "look", "config": ["toy.yaml"]}
    test["args"] = ["--ckpt_path={directory}/seed{seed}/train/checkpoints/last.ckpt"]
    experiment = {"directory": "out", "seeds": [0, 1], "phases": [fit, test]}
    Path("experiment.yaml").write_text(yaml.safe_dump(experiment))
    words = command("run", "-c", "experiment.yaml", "--jobs=2")
    settings = {"env": environment(), "text": True}
    done = subprocess.run(words, capture_output=True, timeout=PATIENCE, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "adapted with a gradient" in Path("out/seed1/look/log.txt").read_text()
    assert main(["run", "-c", "experiment.yaml", "--directory=alone"]) == 0
    for seed in (0, 1):
        metrics = [Path(name, f"seed{seed}/look/logs/test/metrics.csv").read_text() for name in ("out", "alone")]
        assert metrics[0] == metrics[1]

    fit["args"] = ["--model.rate=-1"]
    Path("experiment.yaml").write_text(yaml.safe_dump({**experiment, "directory": "wrong"}))
    done = subprocess.run(words, capture_output=True, timeout=PATIENCE, **settings)
    assert done.returncode == 2
    assert "lit-metanas: 'model': rate = -1.0 must be above 0." in done.stdout
    assert done.stderr.startswith("lit-metanas: The step 'seed ")
    assert done.stderr.count("\n") == 1

    fit["args"] = ["--trainer.max_epochs=400", "--model.pause=0.05"]
    Path("experiment.yaml").write_text(yaml.safe_dump({**experiment, "directory": "long"}))
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)
    checkpoints = [Path(f"long/seed{seed}/train/checkpoints/last.ckpt") for seed in (0, 1)]
    deadline = time.monotonic() + PATIENCE
    while not all(path.is_file() for path in checkpoints) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "stopped" in errors
    for path in checkpoints:
        assert json.loads((path.parents[1] / "phase.json").read_text())["state"] == "started"
        assert "Stopped by a signal" in (path.parents[1] / "log.txt").read_text()
