"""What all fuzzers share: values that nobody expects, edits of nested data, and what a case may end in."""

import contextlib
import copy
import faulthandler
import hashlib
import io
import math
import os
import resource
import shutil
import signal
import stat
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, event, settings, strategies as st

from lit_metanas.cli.errors import describe_known, sentence_about

SECONDS, MEMORY = 10, 1 << 30
"""Processor time and further memory that a case may take."""

WAIT = 300.0
"""Seconds on the clock, which depend on what else the machine does, after which a case counts as waiting for ever."""

LONGEST = 500
"""Characters of a sentence, without the paths in it."""

SLOW = "--slow" in sys.argv or "FUZZ_SLOWLY" in os.environ
"""Whether there are many cases; told by the command line, since the number stands in decorators, and to the processes
that pytest starts by the environment."""

Place = tuple[Any, ...]


class Contents(dict[str, bytes]):
    """Files by name."""

    def __repr__(self) -> str:
        return f"Contents of {', '.join(self)}"


class Case(Random):
    """Draws all that makes up one case; two of one number draw the same."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __repr__(self) -> str:
        return f"Case({self.number})"


CASES = st.builds(Case, st.integers(0, 2**32 - 1))
"""A case that breaks is kept as ``@example(random=Case(…))``, or better in words, in the tests of what broke."""


def cases(quick: int, slow: int) -> settings:
    """The same cases at each run, more of them with ``--slow``."""
    return settings(
        deadline=None,
        database=None,
        derandomize=True,
        max_examples=slow if SLOW else quick,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )


VALUES: list[Any] = [
    math.nan, math.inf, -math.inf, -1, 0, 1, 0.5, 2**31, 2**63, 2**70, 10**400, 1e308, -1e-320, True, None,
    "", " ", "none", "1", "NaN", "1e400", "9" * 5000, "é☃\u202e", "\ud800", "\x1b]0;owned\x07\n|<script>",
    "$\\frac{1}$", "{", "%d {} {x}", "x" * 3000, "x" * 20_000, "../..", "../thesis", "/dev/zero",
    [], [[]], {}, [None], {"a": {"b": [1, {"c": None}]}}, {"": ""}, {"__class__": "os.system"},
]  # fmt: skip
"""Of the kinds that JSON knows, and of those that it does not know quite."""

TENSORS: list[torch.Tensor] = [
    *(torch.zeros(shape) for shape in ((0,), (), (3,), (1,) * 7)),
    torch.zeros(2, 3).T,
    *(torch.full((4,), value) for value in (math.nan, math.inf)),
    *(torch.zeros(4, dtype=dtype) for dtype in (torch.float16, torch.complex64)),
    torch.arange(4),
    torch.tensor([True]),
    torch.tensor(-1),
    torch.tensor(2**62),
    torch.zeros(1).expand(10**9),
    torch.zeros(4, device="meta"),
    torch.eye(2).to_sparse(),
    torch.nn.Parameter(torch.ones(4)),
]

NAMES = ["", " ", "é☃", "a.b", "a b", "--x", "0", "class_path", "init_args", "schema", "x" * 300, "__class__"]


def places(tree: Any, place: Place = ()) -> Iterator[Place]:
    """Where there is something in a tree, its root left out."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    for name, value in children:
        yield (*place, name)
        yield from places(value, (*place, name))


def at(tree: Any, place: Place) -> Any:
    """What is there."""
    for name in place:
        tree = tree[name]
    return tree


def edited(random: Random, tree: Any, values: list[Any] | None = None, most: int = 3) -> tuple[Any, str]:
    """A copy of a tree of lists and dictionaries with one or a few edits in it, and what these are.

    Args:
        tree: what is copied.
        values: what may stand anywhere in it afterwards.
        most: number of edits.
    """
    tree, told = copy.deepcopy(tree), []
    for _ in range(random.randint(1, most)):
        known = list(places(tree))
        if not known:
            break
        place = random.choice(known)
        told.append(f"{edit(random, tree, place, VALUES if values is None else values)} at {place}")
    return tree, "; ".join(told)


def edit(random: Random, tree: Any, place: Place, values: list[Any]) -> str:
    parent, name = at(tree, place[:-1]), place[-1]
    if isinstance(parent, tuple):
        return edit(random, tree, place[:-1], values) if len(place) > 1 else "nothing"
    kinds = ["drop", "rename", "add", "value", "value", "like", "like", "like", "nest", "other", "repeat"]
    kind = random.choice(kinds)
    if kind == "drop":
        del parent[name]
    elif kind == "rename" and isinstance(parent, dict):
        parent[random.choice([*NAMES, f"{name}s", 0, *map(str, parent)])] = parent.pop(name)
    elif kind == "add":
        value = copy.deepcopy(random.choice(values))
        if isinstance(parent, dict):
            parent[random.choice(NAMES)] = value
        else:
            parent.append(value)
    elif kind == "nest":
        for _ in range(random.choice([1, 3, 60])):
            parent[name] = {"deep": parent[name]} if random.random() < 0.5 else [parent[name]]
    elif kind == "other":
        other = random.choice(list(places(tree)))
        parent[name] = copy.deepcopy(at(tree, other))
    elif kind == "like" and not isinstance(parent[name], dict):
        parent[name] = like(random, parent[name])
    elif kind == "repeat" and isinstance(parent[name], list) and 0 < len(parent[name]) < 1000:
        parent[name] = parent[name] * random.choice([2, 1000])
    else:
        parent[name] = copy.deepcopy(random.choice(values))
    return kind


def like(random: Random, value: Any) -> Any:
    """Another value of the same kind, which may be as good."""
    if isinstance(value, bool) or value is None:
        return random.choice([True, False, None])
    if isinstance(value, int):
        return random.choice([value + 1, value - 1, -value, 0, 7, 10**6, 2**63 - 1, -(2**63), str(value)[:9]])
    if isinstance(value, float):
        return random.choice([value / 2, -value, 0.0, 1.0, 1e-300, 3e38, value + 1e-9, 1])
    if isinstance(value, str):
        return random.choice([value[:-1], f"{value}x", value.upper(), value[::-1], f"{value}\n", "y" * 200])
    if isinstance(value, torch.Tensor) and (value.layout != torch.strided or value.is_meta or value.is_complex()):
        return torch.zeros(2)
    if isinstance(value, torch.Tensor) and value.numel() > 10**6:
        return value.flatten()[:2].clone()  # a view of few numbers, which a change would spell out
    if isinstance(value, torch.Tensor):
        changed = [value.double(), value.half(), value[None], value.flatten(), torch.zeros_like(value), -value.float()]
        changed += [value.flip(0)[:1]] if value.ndim else [value.new_ones(2)]
        return random.choice([*changed, torch.full(value.shape, math.nan), torch.full(value.shape, 3e38)])
    if isinstance(value, list):
        return random.choice([value[:-1], value[::-1], value[:1], [*value, *value]])
    return value


def edited_bytes(random: Random, content: bytes) -> bytes:
    """A file that is cut off, has bytes changed, thrown in, taken out or repeated, or is followed by something."""
    kind = random.choice(["flip", "flip", "cut", "insert", "drop", "zeros", "twice", "swap"])
    place = random.randint(0, max(0, len(content) - 1))
    length = random.choice([1, 2, 4, 8, 64, 1000])
    if kind == "flip" and content:
        return content[:place] + bytes([content[place] ^ 1 << random.randint(0, 7)]) + content[place + 1 :]
    if kind == "cut":
        return content[:place]
    if kind == "insert":
        return content[:place] + random.randbytes(random.randint(1, length)) + content[place:]
    if kind == "drop":
        return content[:place] + content[place + length :]
    if kind == "zeros":
        return content[:place] + bytes(length) + content[place + length :]
    if kind == "swap":
        return content[place:] + content[:place]
    return content + content


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user's, the working folder in it, beside what nobody but its owner may change."""
    home = tmp_path / "home"
    for name in ("thesis/chapter.tex", "photos/cat.png", "work/own.txt"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"five years of {name}")
    (home / "thesis" / "last.ckpt").write_bytes(b"\0kept")
    (home / "empty").mkdir()
    (home / "link").symlink_to(home / "thesis")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    return home


def emptied(home: Path) -> Path:
    """The working folder of the ``canary``, without what earlier cases have left there."""
    for old in (home / "work").iterdir():
        shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
    return home / "work"


def snapshot(folder: Path, without: tuple[str, ...] = ("work",)) -> dict[str, tuple[int, str]]:
    """All that is in a folder: kind and mode, and content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in without:
            continue
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if stat.S_ISREG(status.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        found[name] = (status.st_mode, content)
    return found


class TookTooLong(BaseException):
    """A case takes more processor time than it may; not an error that a reader would catch."""


@contextlib.contextmanager
def limits() -> Iterator[None]:
    """Bound the processor time and the memory of a block, and how long it waits, as for a pipe that nobody writes to.

    Raises:
        TookTooLong: it takes or waits too long.
        AssertionError: it has taken too much memory.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {SECONDS} s of processor time, or {WAIT} s on the clock")

    before = signal.signal(signal.SIGPROF, stop)
    limit = resource.getrlimit(resource.RLIMIT_AS)
    # More than a case may take, lest the machine runs out of memory: what asks for it all at once gets an error.
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + 4 * MEMORY, limit[1]))
    start, begin = _reset(), time.process_time()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    clock = threading.Timer(WAIT, os.kill, (os.getpid(), signal.SIGPROF))  # the other timer is pytest-timeout's
    clock.start()
    faulthandler.dump_traceback_later(2 * WAIT, exit=True)  # what does not come back to Python hears no signal
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        clock.cancel()
        clock.join()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        resource.setrlimit(resource.RLIMIT_AS, limit)
    assert time.process_time() - begin <= SECONDS, "it took too long"
    assert memory("VmHWM") - start <= MEMORY, "it took too much memory"


def memory(name: str) -> int:
    """Bytes of this process, by the system's name."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def _reset() -> int:
    """Let the most memory be counted from now on; returns what is taken."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory("VmHWM")


def ending(call: Callable[[], Any], home: Path, names: str = "") -> tuple[str, Any]:
    """What reading a hostile file ends in: ``success`` with what was read, or ``sentence``.

    Args:
        call: reads it.
        home: of the ``canary``; nothing in it changes but in the working folder.
        names: what a sentence has to name.

    Raises:
        AssertionError: it ends in something else.
        Exception: one that the command line would show with its traceback.
    """
    before, found = snapshot(home), None
    told = None
    with limits(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            found = call()
        except Exception as error:
            if describe_known(error) is None:  # else the line of the test that calls would be told as a user's own
                raise
            told = sentence_about(error)
    assert snapshot(home) == before, "something outside was changed"
    assert not (home / "work" / "executed").exists(), "something was executed"
    if told is None:
        event("ends in success")
        return "success", found
    check_sentence(told, home, names)
    event("ends in a sentence")
    return "sentence", told


def check_sentence(told: str, home: Path, names: str = "") -> None:
    """Whether this is what a user can do something with."""
    bare = told.replace(str(home), "")
    assert len(bare) <= LONGEST, f"{len(bare)} characters: {told[:2000]}"
    assert names in told, f"'{names}' is not named: {told}"
    assert told.rstrip().endswith((".", "?", ")")), told
    assert told.isprintable(), f"not to be printed: {told!r}"
