"""Killed at any moment and started again, everything ends as if nothing had happened, bit for bit."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("toys") / "fork_server.py"
MOMENTS = 30

Whole = Callable[[str], tuple[dict[str, Any], float]]
"""Of a verb: what an uninterrupted run ends with, and the seconds that it takes."""


class Server:
    """Runs command lines in a folder with configurations and images."""

    def __init__(self, home: Path) -> None:
        self.home = home
        command, variables = [sys.executable, str(SERVER), str(home)], {**os.environ, "PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=variables, text=True, **pipes)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, args: list[str], **kill: float) -> tuple[int, float]:
        """The exit code and the seconds that it took; see the server for how it is killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"args": args, "log": "log.txt", **kill}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["code"], answer["seconds"]

    def log(self) -> str:
        return (self.home / "log.txt").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("killed")
    tiny.write(home)
    served = Server(home)
    yield served
    with served.process:
        served.process.kill()


@pytest.fixture(scope="module")
def whole(server: Server) -> Whole:
    known: dict[str, tuple[dict[str, Any], float]] = {}

    def of(verb: str) -> tuple[dict[str, Any], float]:
        if verb not in known:
            shutil.rmtree(server.home / "out", ignore_errors=True)
            code, seconds = server(tiny.command(verb, server.home))
            assert code == 0, server.log()
            known[verb] = tiny.end_state(server.home / "out"), seconds
        return known[verb]

    return of


def assert_ends_alike(server: Server, verb: str, expected: dict[str, Any]) -> None:
    """Start it again, and compare."""
    code, _ = server(tiny.command(verb, server.home))
    assert code == 0, server.log()
    found = tiny.end_state(server.home / "out")
    assert found.keys() == expected.keys()
    for name, content in found.items():
        assert content == expected[name], name
    assert not list((server.home / "out").rglob("checkpoints/.*"))  # the next checkpoint clears away half ones


WRITES = {"fit": (1, 4, 7, 9), "search": (2, 8, 12, 23), "run": (1, 8, 10, 20)}
CASES = [(verb, write, moved) for verb, writes in WRITES.items() for write in writes for moved in (False, True)]


@pytest.mark.parametrize(
    ("verb", "write", "moved"),
    [pytest.param(*case, marks=() if case in (("fit", 7, False),) else pytest.mark.slow) for case in CASES],
)
def test_killed_while_a_file_is_written(verb: str, write: int, moved: bool, server: Server, whole: Whole) -> None:
    expected, _ = whole(verb)
    shutil.rmtree(server.home / "out")
    code, _ = server(tiny.command(verb, server.home), write=write, moved=moved)
    assert code == -9, server.log()
    assert_ends_alike(server, verb, expected)


def terminating(step: int) -> str:
    return f"{{class_path: tiny.Terminates, init_args: {{step: {step}}}}}"


def assert_told_once(server: Server, sentence: str) -> None:
    """The last command printed this sentence, and no other."""
    told = [line for line in server.log().splitlines() if line.startswith("lit-metanas: ") or "Error" in line]
    assert told == [f"lit-metanas: {sentence}"]


@pytest.mark.slow
def test_terminated_in_the_middle_of_epochs(server: Server, whole: Whole) -> None:
    """Each goes on from the step at which the last one was stopped, with one sentence."""
    expected, _ = whole("fit")
    shutil.rmtree(server.home / "out")
    for step in (1, 2, 3, 9):
        (server.home / "log.txt").unlink()
        code, _ = server([*tiny.command("fit", server.home), f"--trainer.callbacks+={terminating(step)}"])
        assert code == 130, server.log()
        last = "out/checkpoints/last.ckpt"
        goes_on = f"resume the training with --ckpt_path '{last}', or a `run` with the same command."
        assert_told_once(server, f"Stopped by a signal; {goes_on}")
        kept = torch.load(server.home / last, weights_only=True)
        assert kept["state_dict"]["outer_steps"] == step + 1
    assert_ends_alike(server, "fit", expected)


@pytest.mark.slow
def test_terminated_in_the_last_step_of_a_phase(server: Server, whole: Whole) -> None:
    """The phase ends as it would have, and the next one is not begun."""
    expected, _ = whole("run")
    shutil.rmtree(server.home / "out")
    (server.home / "log.txt").unlink()
    command = [*tiny.command("run", server.home), f"--args={{fit: ['--trainer.callbacks+={terminating(7)}']}}"]
    code, _ = server(command)
    assert code == 130, server.log()
    assert_told_once(server, "Stopped by a signal; the training is finished.")
    assert (server.home / "out" / "seed0" / "meta" / "architectures.json").is_file()
    assert not (server.home / "out" / "seed0" / "episodes").exists()
    assert server(command)[0] == 0, server.log()
    found = tiny.end_state(server.home / "out")
    assert found.keys() == expected.keys()
    for name in found.keys() - {"seed0/meta/phase.json"}:
        assert found[name] == expected[name], name


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
@pytest.mark.parametrize("verb", WRITES)
def test_killed_at_random_moments(verb: str, number: signal.Signals, server: Server, whole: Whole) -> None:
    expected, seconds = whole(verb)
    draw = random.Random(f"{verb} {number.name}")
    ended = {-number} if number == signal.SIGKILL else {-number, 130}  # before Lightning is ready it dies
    moments = MOMENTS if number == signal.SIGKILL else MOMENTS // 3
    killed = 0
    for _ in range(moments):
        shutil.rmtree(server.home / "out", ignore_errors=True)
        for _ in range(draw.choice([1, 1, 2])):  # and some of those that go on are killed, too
            after = draw.uniform(0, seconds)
            code, took = server(tiny.command(verb, server.home), after=after, signal=int(number))
            assert code in (0, *ended), server.log()
            killed += code in ended
            if code == 0:
                seconds = min(seconds, took)  # the machine is less busy than it was
                break
        assert_ends_alike(server, verb, expected)
    print(f"{verb}: {moments} end states equal after {killed} times {number.name}")
    assert killed >= moments * 2 // 3
