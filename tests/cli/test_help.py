"""Help that fits on a screen, is there at once, and names what there is."""

import inspect
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from lit_metanas.cli.command_line import main
from lit_metanas.cli.configuration_files import configs
from lit_metanas.cli.errors import public_names
from lit_metanas.cli.experiment.plan import Phase
from lit_metanas.cli.experiment.run import run
from lit_metanas.cli.prediction import predict
from lit_metanas.cli.schema import schema
from lit_metanas.cli.search_verbs import auto_verb, distil_verb
from lit_metanas.cli.verbs import DATA, EXAMPLES, KEYS, MODELS, PHASE, TRAINER, TRAINER_VERBS, VERBS, verb_help
from lit_metanas.report.report_verb import report

COLUMNS, ROWS = 100, 50
PUBLIC = public_names()


def test_the_whole_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(f"  {verb:<9} {text}" in lines for verb, text in VERBS.items())
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_the_help_of_a_class_names_the_verb_that_it_belongs_to(verb, capsys):
    assert main([verb, "--model.help", "MetaSearch"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: lit-metanas {verb} --model.space")


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_fits_on_a_screen(verb, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    assert main([verb, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f" {verb} " in lines[0]
    assert "[-" in lines[0]
    assert sum(1 + len(line) // COLUMNS for line in lines) <= ROWS


def test_help_loads_nothing():
    code = (
        "import sys; from lit_metanas.cli.command_line import main; from lit_metanas.cli.verbs import VERBS\n"
        "for words in (['--help'], *([verb, '--help'] for verb in VERBS), ['search', '-c', 'any.yaml', '-h']):\n"
        "    main(words)\n"
        "print()\n"
        "print(*(name for name in ('torch', 'lightning', 'jsonargparse', 'optuna', 'numpy') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "")


def named(table: object, base: type) -> set[str]:
    """The classes that a table names, which are public, concrete and of the right kind."""
    names = {name for classes in table.values() for name in classes}
    assert all(issubclass(PUBLIC[name], base) for name in names)
    return names


def test_the_named_classes_are_all_that_there_are():
    classes = {name: each for name, each in PUBLIC.items() if inspect.isclass(each)}
    for table, base in ((MODELS, LightningModule), (DATA, LightningDataModule)):
        assert named(table, base) == {name for name, each in classes.items() if issubclass(each, base)}


@pytest.mark.parametrize("verb", ["fit", "search"])
def test_the_whole_of_a_verbs_keys_is_asked_for_by_its_own_option(verb, capsys):
    with_help = verb_help(verb)
    assert f"lit-metanas {verb} --help-all" in with_help
    assert main([verb, "--help-all"]) == 0
    whole = capsys.readouterr().out
    assert "--trainer.gradient_clip_val" in whole
    for line in with_help.splitlines():
        if line.startswith(("  --", "  -c")) and not line.startswith(("  --model", "  --data")):
            assert line.split()[0].rstrip(",") in whole


FUNCTIONS = {
    "auto": auto_verb, "distil": distil_verb, "run": run, "report": report, "configs": configs, "predict": predict,
    "schema": schema,
}  # fmt: skip


def test_the_verbs_without_a_trainer_tell_all_their_keys():
    assert KEYS.keys() == FUNCTIONS.keys() == VERBS.keys() - TRAINER_VERBS.keys()
    assert MODELS.keys() == DATA.keys() == TRAINER_VERBS.keys()
    assert EXAMPLES.keys() == VERBS.keys()
    assert TRAINER.keys() <= {**inspect.signature(Trainer).parameters, "threads": 1}.keys()
    for function, told in [(Phase, PHASE), *((FUNCTIONS[verb], KEYS[verb]) for verb in KEYS)]:
        taken = {name: each.default for name, each in inspect.signature(function).parameters.items()}
        for own in ("execute", "began"):  # are not the user's to give
            taken.pop(own, None)
        assert list(told) == list(taken)
        for name, default in taken.items():
            assert told[name].endswith("(must be given)") == (default is inspect.Parameter.empty)
            if isinstance(default, str | int | float) and default:
                assert told[name].endswith(f"(default: {str(default).lower()})")


@pytest.mark.parametrize("verb", ["fit", "search"])  # the others need what `fit` or `auto` leaves
def test_the_example_is_understood(verb, capsys, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    assert main([verb, *shlex.split(EXAMPLES[verb]), "--print_config"]) == 0
    assert "class_path: lit_metanas" in capsys.readouterr().out
