"""Configurations that lie over others."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.cli.configuration_files import with_bases
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.program import Program


@pytest.fixture
def files(here: Path) -> None:
    """Two chains of configurations on one base."""
    Path("over").mkdir()
    Path("base.yaml").write_text("width: 1\n")
    Path("over/a.yaml").write_text("base: ../base.yaml\ndepth: 2\n")
    Path("over/b.yaml").write_text("# The third layer.\ndepth: 3\nbase: a.yaml\n")
    Path("over/other.yaml").write_text("base: ../base.yaml\n")


@pytest.mark.parametrize("form", [["-c", "{}"], ["--config", "{}"], ["--config={}"], ["-c={}"], ["-c{}"]])
@pytest.mark.usefixtures("files")
def test_bases_come_before_what_lies_over_them_and_all_before_the_keys(form: list[str]) -> None:
    args = ["fit", "--x=1", *(word.format("over/b.yaml") for word in form), "--y", "2"]
    layers = ["--config=over/../base.yaml", "--config=over/a.yaml", "--config=over/b.yaml"]
    assert with_bases(args) == ["fit", *layers, "--x=1", "--y", "2"]


@pytest.mark.usefixtures("files")
def test_a_class_comes_before_the_configuration_that_lies_over_it_and_after_one_that_names_another() -> None:
    classes, layer = ["--model", "Mine", "--data=Other"], "--config=base.yaml"
    assert with_bases(["fit", "--x=1", *classes, "-c", "base.yaml"]) == [
        "fit", *classes, layer, "--x=1", *classes
    ]  # fmt: skip
    assert with_bases(["fit", "-c", "base.yaml", *classes]) == ["fit", *classes, layer, *classes]
    assert with_bases(["fit", *classes]) == ["fit", *classes]
    assert with_bases(["fit", "-c", "{width: 3}"]) == ["fit", "--config={width: 3}"]


@pytest.mark.usefixtures("files")
def test_a_base_is_not_applied_over_what_lies_over_it() -> None:
    first = ["--config=base.yaml", "--config=over/a.yaml"]
    assert with_bases(["-c", "base.yaml", "-c", "over/a.yaml"]) == first
    assert with_bases([*first, "-c", "over/other.yaml"]) == [*first, "--config=over/other.yaml"]
    assert with_bases([*first, "-c", "base.yaml"]) == [*first, "--config=base.yaml"]  # as the user says


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no keys: it takes a mapping"),
        ("- a\n", "holds no keys"),
        ("base: [\n", "is not valid YAML"),
        ("[" * 1000, "is nested too deeply"),
        ("at: 2020-99-99", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not valid YAML"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_is_no_configuration_is_refused(text: str | bytes, fault: str) -> None:
    Path("over/other.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    Path("above.yaml").write_text("base: over/other.yaml\n")
    for path in ("over/other.yaml", "above.yaml"):
        with pytest.raises(UsageError, match=f"^'over/other.yaml' {fault}"):
            with_bases(["-c", path])
    assert with_bases(["-c", "base.yaml", "-c"]) == ["--config=base.yaml", "-c"]  # as the parser will say


@pytest.mark.usefixtures("files")
def test_mistakes() -> None:
    Path("base.yaml").write_text("base: over/b.yaml\n")
    with pytest.raises(UsageError, match=r"'over/a.yaml' is based on itself: remove 'base' from"):
        with_bases(["-c", "over/a.yaml"])
    Path("base.yaml").write_text("base: gone.yaml\n")
    with pytest.raises(UsageError, match=r"no file 'gone.yaml', the 'base' of 'base.yaml': paths are relative"):
        with_bases(["-c", "over/a.yaml"])
    for args in (["--base=base.yaml"], ["--base", "base.yaml"]):
        with pytest.raises(UsageError, match="'base' is a key of configuration files"):
            with_bases(args)


def test_every_verb_knows_bases(toy_folder: Path, refusal: Callable[..., str]) -> None:
    folder = toy_folder / "over"
    folder.mkdir()
    (folder / "fast.yaml").write_text("base: ../toy.yaml\nmodel: {init_args: {rate: 0.25}}\ntrainer: {max_epochs: 1}\n")
    assert main(["fit", "-c", "over/fast.yaml", "--trainer.default_root_dir=out"]) == 0
    saved = yaml.safe_load(Path("out/config.fit.yaml").read_text())
    assert (saved["model"]["init_args"]["rate"], saved["trainer"]["max_epochs"]) == (0.25, 1)
    assert "base" not in saved
    assert Program(["-c", "out/config.fit.yaml"], run=False).model.rate == 0.25

    phase = {"verb": "validate", "name": "look", "config": ["over/fast.yaml"]}
    (toy_folder / "experiment.yaml").write_text(yaml.safe_dump({"directory": "run", "phases": [phase]}))
    (folder / "two.yaml").write_text("base: ../experiment.yaml\nseeds: [3, 4]\n")
    assert main(["run", "-c", "over/two.yaml"]) == 0
    assert Path("run/seed4/look/config.validate.yaml").is_file()

    (folder / "gone.yaml").write_text("base: toy.yaml\n")
    for verb in ("fit", "run"):
        assert refusal(verb, "-c", "over/gone.yaml").startswith("There is no file 'toy.yaml', the 'base' of")
