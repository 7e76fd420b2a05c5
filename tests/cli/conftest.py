"""Small configurations that the command line can drive."""

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

from lit_metanas.cli.command_line import main

TOYS = Path(__file__).with_name("toys")


@pytest.fixture
def toy_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a toy experiment's configurations."""
    monkeypatch.syspath_prepend(str(TOYS))
    (here / "part.yaml").write_text("class_path: lit_toys.Part\ninit_args: {width: 4}\n")
    (here / "toy.yaml").write_text(
        "model: {class_path: lit_toys.ToyModel, init_args: {part: part.yaml}}\n"
        "data: {class_path: lit_toys.ToyData, init_args: {width: 4}}\n"
        "trainer: {max_epochs: 2, enable_progress_bar: false, accelerator: cpu, devices: 1, log_every_n_steps: 1}\n"
    )
    return here


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one sentence that a command line ends in."""

    def said(*words: str, code: int = 2) -> str:
        capsys.readouterr()
        assert main([*words]) == code
        sentence = capsys.readouterr().err
        assert sentence.startswith("lit-metanas: "), sentence
        assert sentence.count("\n") == 1, sentence
        return sentence.removeprefix("lit-metanas: ").rstrip("\n")

    return said


@pytest.fixture
def home(here: Path) -> Path:
    """A working folder with the configurations of the smallest experiment, and images."""
    tiny.write(here)
    return here


@pytest.fixture
def toy(toy_folder: Path) -> Callable[..., int]:
    """Run a verb on the toy configuration."""

    def call(verb: str, *args: str) -> int:
        return main([verb, "-c", "toy.yaml", *args])

    return call
