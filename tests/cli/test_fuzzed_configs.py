"""Shipped configurations, broken at random: parsed, or refused in one line, and nothing of them is executed."""

import contextlib
import io
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from fuzz_tools import CASES, Case, cases, edited, limits, snapshot
from hypothesis import event, given

from lit_metanas.cli.command_line import main
from lit_metanas.cli.program import Program

CONFIGS = Path(__file__).parents[2] / "configs"
FUZZED = "fuzzed.yaml"
FOLDERS = ("experiments", "fit", "loggers", "protocols", "search", "sources", "spaces")
FILES = sorted(path.relative_to(CONFIGS).as_posix() for name in FOLDERS for path in (CONFIGS / name).rglob("*.yaml"))

VALUES: list[Any] = [
    math.nan, math.inf, -1, 0, 2**70, 10**400, 1e308, True, None, "", " ", "none", "~", "é☃\u202e", "a: b", "{",
    "%d {} {x}", "x" * 3000, "../..", "absent.yaml", "1e3", "2020-01-01", [], [[]], {}, [None],
    {"a": {"b": [1, {"c": None}]}}, {None: 1}, {1: 2}, {"": ""}, {"init_args": {}},
    *({"class_path": name} for name in (None, 3, "", ".", ["a"], "lit_metanas", "lit_metanas.spaces.LayeredSpaces")),
    {"class_path": "lit_metanas.nowhere.Nothing"},
    {"class_path": "os.system", "init_args": {"command": "touch executed"}},
    {"class_path": "builtins.int", "init_args": {"x": 3}},
    *({"class_path": "lit_metanas.spaces.LayeredSpace", "init_args": given} for given in (3, [1], {"kernel": [3]})),
    {"class_path": "lit_metanas.meta.MAML", "init_args": {}, "more": 1},
]  # fmt: skip
TEXTS = [
    "\t", "[", "}", "&a ", "*a ", "!!python/object/apply:os.mkdir [executed]", "- ", ": ", "\x07", "\x00", "'", "---\n",
    "<<: ", "\ufeff",
]  # fmt: skip


class Broken(NamedTuple):
    """A broken configuration: the file that it was, and what it is now."""

    file: str
    text: str | bytes


def broken(random: Case) -> Broken:
    """A shipped configuration with a mistake or two in it."""
    file = random.choice(FILES)
    text = (CONFIGS / file).read_text()
    if random.randint(0, 9) == 0:
        return Broken(file, broken_text(random, text))
    tree, _ = edited(random, yaml.safe_load(text), VALUES, most=2)
    return Broken(file, yaml.safe_dump(tree, allow_unicode=True, sort_keys=False))


def broken_text(random: Case, text: str) -> str | bytes:
    """A configuration that is cut off, has something thrown in, or is none at all."""
    cut, thrown = random.randint(0, len(text) - 1), random.choice(TEXTS)
    whole = [text.encode("utf-16"), text.encode() + b"\xff\xfe", f"{text}\n{text}"]
    others = ["[" * 3000, "a: " * 500, "3", "", "- a\n- b", "x: &a [*a]"]
    return random.choice([text[:cut], text[:cut] + thrown + text[cut:], text[:cut] + thrown, *whole, *others])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Copies of the shipped configurations; verbs stop after the parser, experiments after their plan."""
    home = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(CONFIGS, home / "configs")

    def stop(program: Program) -> None:
        raise SystemExit(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Program, "before_instantiate_classes", stop)
        patch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path, goes_on: None)
        patch.setattr("lit_metanas.cli.experiment.run._in_order", lambda progress, execute: None)
        patch.setattr("lit_metanas.cli.experiment.run.ParallelRunner.run", lambda self: [])
        patch.chdir(home)
        yield home


def command(file: str) -> list[str]:
    """The command line that reads the broken file in the place of another."""
    room = file.split("/")[0]
    fuzzed = f"configs/{Path(file).with_name(FUZZED)}"
    if room in ("sources", "spaces"):
        key = "model.init_args.space" if room == "spaces" else "data.init_args.source"
        return ["fit", "-c", "configs/fit/meta_search.yaml", f"--{key}={fuzzed}"]
    if room in ("loggers", "protocols"):
        return ["fit", "-c", "configs/fit/meta_search.yaml", "-c", fuzzed]
    return ["run" if room == "experiments" else room, "-c", fuzzed]


def complaint(case: Broken, home: Path) -> str | None:
    """What is wrong with how a broken configuration was received; None if nothing is."""
    fuzzed = home / "configs" / Path(case.file).with_name(FUZZED)
    fuzzed.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode("utf-8", "surrogatepass"))
    said, printed = io.StringIO(), io.StringIO()
    try:
        with limits(), contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
            code = main(command(case.file))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        fuzzed.unlink()
    sentence = said.getvalue()
    if (home / "executed").exists():
        return "code was executed"
    event(f"ends in exit code {code}")
    if code == 0:
        return None if not sentence else f"exit code 0, but: {sentence}"
    if code != 2 or not sentence.startswith("lit-metanas: ") or sentence.count("\n") != 1 or len(sentence) > 700:
        return f"exit code {code}: {sentence}"
    return None


@cases(18, 2000)
@given(random=CASES)
def test_a_broken_configuration_gets_one_line(random: Case, folder: Path) -> None:
    case = broken(random)
    before = snapshot(folder, without=())
    found = complaint(case, folder)
    assert snapshot(folder, without=()) == before, "something was changed"
    assert found is None, f"{case.file}: {found}\n{case.text!r}"
