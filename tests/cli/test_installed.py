"""What is installed: configurations by their names, from any folder; the program; and what README.md promises."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import pytest

import lit_metanas
from lit_metanas.cli.command_line import main
from lit_metanas.cli.configuration_files import configuration_path, path_of_name, with_parts
from lit_metanas.cli.errors import UsageError
from lit_metanas.cli.experiment.plan import ConfigPath, Phase, plan
from lit_metanas.cli.program import Program

pytestmark = pytest.mark.usefixtures("here")

ROOT = Path(__file__).parents[2]
CONV4 = path_of_name("fit/conv4")


@pytest.mark.parametrize("word", ["conv4", "fit/conv4", "conv4.yaml", "configs/fit/conv4.yaml"])
def test_a_name_is_found_from_anywhere(word: str) -> None:
    assert Path(configuration_path(word)) == CONV4


def test_a_file_of_the_working_folder_comes_first() -> None:
    Path("conv4").mkdir()
    assert Path(configuration_path("conv4")) == CONV4
    Path("conv4.yaml").touch()
    assert configuration_path("conv4") == configuration_path("conv4.yaml") == "conv4.yaml"
    assert Path(configuration_path("fit/conv4")) == CONV4
    assert configuration_path('{"trainer": {"max_epochs": 1}}') == '{"trainer": {"max_epochs": 1}}'


def test_a_name_that_several_share_takes_a_folder_or_the_verb_that_takes_only_one() -> None:
    assert Path(configuration_path("few_shot", "run")) == path_of_name("experiments/few_shot")
    assert Path(configuration_path("few_shot", "search")) == path_of_name("search/few_shot")
    for verb, first in (("fit", "fit"), ("", "experiments")):
        words = rf"^Several .* name 'few_shot': give one of {first}/few_shot, .*recipes/few"
        with pytest.raises(UsageError, match=words):
            configuration_path("few_shot", verb)


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("meta_serch", "'meta_serch': did you mean 'meta_search'? See `lit-metanas configs`."),
        ("search/darts", "'search/darts': did you mean 'search/darts_cell'"),
        ("absent/x.yaml", "'absent/x.yaml'. See `lit-metanas configs`."),
        ("", "''. See `lit-metanas configs`."),
    ],
)
def test_an_unknown_name_gets_one_sentence(word: str, told: str, refusal: Callable[..., str]) -> None:
    for command in (["fit", "-c", word], ["run", f"--config={word}"] if word else ["run", "-c", word]):
        assert refusal(*command).startswith(f"There is no file or configuration {told}")
    if word:
        assert refusal("configs", word).startswith(f"There is no configuration {told}")


def test_spaces_and_sources_go_by_their_names_too() -> None:
    args = ["-c", "fit/few_shot", "--model.space", "few_shot", "--data.source=glyphs"]
    program = Program([*args, "--trainer.logger=false"], run=False)
    assert "readout" in [choice.name for choice in program.model.space.choices]
    assert type(program.datamodule.source).__name__ == "Glyphs"
    assert list(with_parts(["--model.space=LayeredSpace", "--output", "few_shot"])) == [
        "--model.space=LayeredSpace", "--output", "few_shot"
    ]  # fmt: skip


def test_an_own_file_builds_on_a_name_and_an_own_experiment_takes_names() -> None:
    Path("mine.yaml").write_text("base: fit/conv4\nmodel: {init_args: {flops: 7}}\n")
    assert Program(["-c", "mine", "--trainer.logger=false"], run=False).model.flops == 7
    phase = Phase("fit", "{method}", each=["method"], config=[ConfigPath("fit/{method}"), ConfigPath("5way1shot")])
    (step,) = plan([phase], Path("out"), [0], methods={"conv4": {}})
    assert step.args[:5] == ["fit", "-c", "fit/conv4", "-c", "protocols/5way1shot"]
    Path("fit").mkdir()
    Path("fit/conv4.yaml").touch()  # the command that a step prints is the one that it executes
    (step,) = plan([Phase("fit", "a", config=[ConfigPath(path_of_name("fit/conv4"))])], Path("out"), [0])
    assert step.args[2] == str(CONV4)


def test_run_takes_an_experiments_name(refusal: Callable[..., str]) -> None:
    assert '"seeds"' in refusal("run", "quick", "--seeds=a")


@pytest.mark.slow
def test_an_installed_wheel_has_them(tmp_path: Path) -> None:
    clone = tmp_path / "clone"  # a build leaves files in its folder
    clone.mkdir()
    for name in ("configs", "lit_metanas"):
        shutil.copytree(ROOT / name, clone / name, symlinks=True)
    for name in ("LICENSE", "README.md", "pyproject.toml", "setup.cfg"):
        shutil.copy(ROOT / name, clone)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    subprocess.run([sys.executable, "-c", build], cwd=clone, check=True, capture_output=True, timeout=600)
    (wheel,) = clone.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    shutil.rmtree(clone)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    empty = tmp_path / "empty"
    empty.mkdir()
    for words in (["configs", "slurm.sh"], ["fit", "-c", "meta_search", "--print_config"], ["configs", "quick"]):
        command = [sys.executable, "-m", "lit_metanas", *words]
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) > 10


def test_console_script() -> None:
    scripts = [script for script in entry_points(group="console_scripts") if script.name == "lit-metanas"]
    for script in scripts:  # none where the package is on the path without having been installed
        assert script.load() is main
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    entry = parsed["options.entry_points"]["console_scripts"].strip()
    assert entry == "lit-metanas = lit_metanas.cli.command_line:main"
    assert parsed["metadata"]["version"] == "attr: lit_metanas.__version__"
    assert lit_metanas.__version__.count(".") == 2


def test_files_of_the_package() -> None:
    package = files("lit_metanas")
    assert package.joinpath("py.typed").is_file()
    assert package.joinpath("cli/scores.yaml").is_file()


def test_continuous_integration_finds_its_commands_in_the_readme() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    install = [line for line in lines if "pip install -e . &&" in line]
    test = [line for line in lines if "pip install -e '.[test]' &&" in line]
    assert len(install) == len(test) == 1
    assert install[0].startswith("python3 -m venv .venv && ")
    assert re.search(r"lit-metanas run (-c configs/experiments/quick\.yaml|quick)$", install[0])
    assert test[0].endswith("pytest -n auto")
