"""What is installed, and what README.md promises."""

import configparser
import re
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import lit_metanas
from lit_metanas.cli.command_line import main

ROOT = Path(__file__).parents[2]


def test_console_script() -> None:
    scripts = [script for script in entry_points(group="console_scripts") if script.name == "lit-metanas"]
    for script in scripts:  # none where the package is on the path without having been installed
        assert script.load() is main
    parsed = configparser.ConfigParser()
    parsed.read(ROOT / "setup.cfg")
    assert (
        parsed["options.entry_points"]["console_scripts"].strip() == "lit-metanas = lit_metanas.cli.command_line:main"
    )
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
