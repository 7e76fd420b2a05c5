"""A toy configuration that the command line can drive."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lit_metanas.cli.command_line import main

TOYS = Path(__file__).with_name("toys")


@pytest.fixture
def toy_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a toy experiment's configurations."""
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "part.yaml").write_text("class_path: lit_toys.Part\ninit_args: {width: 4}\n")
    (tmp_path / "toy.yaml").write_text(
        "model: {class_path: lit_toys.ToyModel, init_args: {part: part.yaml}}\n"
        "data: {class_path: lit_toys.ToyData, init_args: {width: 4}}\n"
        "trainer: {max_epochs: 2, enable_progress_bar: false, accelerator: cpu, devices: 1, log_every_n_steps: 1}\n"
    )
    return tmp_path


@pytest.fixture
def toy(toy_folder: Path) -> Callable[..., int]:
    """Run a verb on the toy configuration."""

    def call(verb: str, *args: str) -> int:
        return main([verb, "-c", "toy.yaml", *args])

    return call
