"""The index of the shipped configurations: a row for each file, and commands that parse."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from lit_metanas.cli.configuration_files import with_bases
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.program import Program
from lit_metanas.cli.verbs import TRAINER_VERBS

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
ROWS = re.findall(r"^\| \[`([^`]+)`\]\(([^)]+)\) \| (.+?) \| `([^`]+)` \|", (CONFIGS / "README.md").read_text(), re.M)


def test_each_file_has_a_row_and_each_row_a_file() -> None:
    files = [path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*") if path.suffix in (".yaml", ".sh")]
    assert sorted(link for _, link, *_ in ROWS) == sorted(files)
    assert all(link.endswith(name) for name, link, *_ in ROWS)


class Parsed(Program):
    """Parses a command line and stops there: data and checkpoints are not there."""

    def __init__(self, args: list[str]) -> None:
        try:
            super().__init__(args)
        except StopIteration:
            return

    def before_instantiate_classes(self) -> None:
        raise StopIteration


@pytest.mark.parametrize(("link", "command"), [(link, command) for _, link, _, command in ROWS])
def test_command(link: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path, goes_on: None)
    words = [word for word in shlex.split(command) if not re.fullmatch(r"[A-Z]+=\S+", word)]  # without variables
    assert any(word.endswith(f"configs/{link}") for word in words)
    if words[0] != "lit-metanas":  # a script that starts a verb with the keys that it is given
        script = Path(words[1] if words[0] == "sbatch" else words[0])
        (start,) = re.findall(r"lit[-_]metanas (\w+ (?:-c \S+ )?)\"\$@\"", script.read_text())
        words = ["lit-metanas", *start.split(), *words[words.index(str(script)) + 1 :]]
    if words[1] in TRAINER_VERBS:
        assert Parsed(words[1:]).config.subcommand == words[1]
    else:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("-c", "--config", action="config")
        parser.add_argument("--base")
        parser.add_function_arguments(run, skip={"execute"})
        assert words[1] == "run"
        assert parser.parse_args(with_bases(words[2:])).phases
