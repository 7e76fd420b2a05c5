"""The shipped configurations: what each says of itself, commands that parse, and the index, which is made of both."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from lit_metanas.cli.command_line import main
from lit_metanas.cli.configuration_files import USES, Shipped, described, path_of_name, shipped_names, with_bases
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.program import Program
from lit_metanas.cli.verbs import TRAINER_VERBS

ROOT = Path(__file__).parents[2]
SHIPPED = [described(name) for name in shipped_names()]
FIRSTS = [next(shipped for shipped in SHIPPED if shipped.name.startswith(f"{folder}/")) for folder in USES]
COMMANDS = [each for each in SHIPPED if each in FIRSTS or "# Command: " in path_of_name(each.name).read_text()]
"""Those with a command of their own, and one of each usual command."""


def test_the_index_is_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "configs_readme.py"))["readme"]()
    assert (ROOT / "configs" / "README.md").read_text() == page, "run: python docs/configs_readme.py"
    assert len(page.replace("|", " ").split()) < 3300


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_each_says_what_it_is_for(shipped: Shipped) -> None:
    assert shipped.purpose.endswith(".")
    assert 1 < len(shipped.purpose.split()) <= 25
    assert re.fullmatch(r"|[\d.–]+ (s|min|h)(, \d+ MB)?", shipped.takes)


def test_the_list_has_them_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for shipped in SHIPPED:
        name, takes = shipped.name.partition("/")[2], f" ({shipped.takes})" if shipped.takes else ""
        assert f"  {name:<24} {shipped.purpose}{takes}" in lines
    assert main(["configs", "meta_search"]) == 0
    assert capsys.readouterr().out == path_of_name("fit/meta_search").read_text()


class Parsed(Program):
    """Parses a command line and stops there: data and checkpoints are not there."""

    def __init__(self, args: list[str]) -> None:
        try:
            super().__init__(args)
        except StopIteration:
            return

    def before_instantiate_classes(self) -> None:
        raise StopIteration


@pytest.mark.parametrize("shipped", COMMANDS, ids=lambda shipped: shipped.name)
def test_command(shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lit_metanas.cli.program.check_checkpoint", lambda path, goes_on: None)
    words = [word for word in shlex.split(shipped.command) if not re.fullmatch(r"[A-Z]+=\S+", word)]  # of a shell
    assert {shipped.name, shipped.name.rpartition("/")[2]} & set(words)
    if words[0] != "lit-metanas":  # a script that starts a verb with the keys that it is given
        (start,) = re.findall(r"lit[-_]metanas (\w+ (?:-c \S+ )?)\"\$@\"", path_of_name(shipped.name).read_text())
        words = ["lit-metanas", *start.split(), *words[2:]]
    if words[1] in TRAINER_VERBS:
        assert Parsed(words[1:]).config.subcommand == words[1]
    else:
        assert words[1] == "run"
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("-c", "--config", action="config")
        parser.add_argument("--base")
        parser.add_function_arguments(run, skip={"execute"})
        assert parser.parse_args(with_bases(["-c", *words[2:]], "run")).phases
