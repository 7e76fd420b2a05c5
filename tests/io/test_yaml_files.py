"""YAML whose aliases stand for more than there is memory."""

import os
from pathlib import Path

import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.cli.run_output import read_saved
from lit_metanas.io.files import FileLimit
from lit_metanas.io.yaml_files import MOST_PARTS, parse_yaml, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_aliases_come_back() -> None:
    text = "base: &base {rate: 0.1, layers: [1, 2]}\nmine: {<<: *base, rate: 0.2}\nnothing:\n"
    assert parse_yaml(text) == yaml.safe_load(text)
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, f"stands for more than {MOST_PARTS} values"),
        ("&a [*a]", "contains itself"),
        ("[" + "1, " * MOST_PARTS + "1]", f"stands for more than {MOST_PARTS} values"),
        ("a: " + "x" * (1 << 20), "is larger than 1 MB"),
    ],
)
def test_a_bomb_is_counted_and_not_built(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(FileLimit, match=reason):
        read_yaml(tmp_path / "x.yaml")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(ValueError, match="is not a regular file"):
        read_yaml(tmp_path / "x.yaml")


@pytest.mark.parametrize(("verb", "inner"), [("fit", True), ("run", False)])
@pytest.mark.usefixtures("here")
def test_a_bomb_is_refused_on_the_command_line(inner: bool, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bomb.yaml").write_text(BOMB)
    Path("outer.yaml").write_text("model: bomb.yaml\n")
    assert main([verb, "-c", "outer.yaml" if inner else "bomb.yaml"]) == 2
    said = capsys.readouterr().err
    assert said == f"lit-metanas: 'bomb.yaml' stands for more than {MOST_PARTS} values: give a smaller configuration.\n"


def test_a_bomb_that_a_run_has_left_counts_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "config.fit.yaml").write_text(BOMB)
    assert read_saved(tmp_path / "config.fit.yaml") == {}
