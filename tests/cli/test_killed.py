"""Killed at any moment and started again, everything ends as if nothing had happened, bit for bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("toys") / "fork_server.py"
MOMENTS = 30


class Server:
    """Runs command lines in a folder with configurations and images."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER), str(home)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
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
def whole(server: Server) -> Callable[[str], tuple[dict[str, Any], float]]:
    """What an uninterrupted run of a verb ends with, and the seconds that it takes."""
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
def test_killed_while_a_file_is_written(
    verb: str, write: int, moved: bool, server: Server, whole: Callable[[str], tuple[dict[str, Any], float]]
) -> None:
    expected, _ = whole(verb)
    shutil.rmtree(server.home / "out")
    code, _ = server(tiny.command(verb, server.home), write=write, moved=moved)
    assert code == -9, server.log()
    assert_ends_alike(server, verb, expected)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("verb", WRITES)
def test_killed_at_random_moments(
    verb: str, server: Server, whole: Callable[[str], tuple[dict[str, Any], float]]
) -> None:
    expected, seconds = whole(verb)
    draw = random.Random(verb)
    killed = 0
    for _ in range(MOMENTS):
        shutil.rmtree(server.home / "out", ignore_errors=True)
        for _ in range(draw.choice([1, 1, 2])):  # and some of those that go on are killed, too
            code, took = server(tiny.command(verb, server.home), after=draw.uniform(0, seconds))
            assert code in (0, -9), server.log()
            killed += code == -9
            if code == 0:
                seconds = min(seconds, took)  # the machine is less busy than it was
                break
        assert_ends_alike(server, verb, expected)
    assert killed >= MOMENTS * 2 // 3
