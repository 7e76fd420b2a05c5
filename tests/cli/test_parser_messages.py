"""What jsonargparse says, as sentences for a user."""

import configparser
import importlib.metadata
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import Path_fr, PositiveInt
from packaging.requirements import Requirement

from lit_metanas.cli import parser_messages
from lit_metanas.cli.parser_messages import explain, usage_error

HERE = f"{__name__}."
CONFIGURATION = ", in a configuration file (-c) or on the command line."


class Layer(ABC):
    """Something abstract."""

    @abstractmethod
    def build(self) -> None:
        """Build it."""


class Dense(Layer):
    """A layer."""

    def __init__(self, width: int = 1) -> None: ...

    def build(self) -> None:
        """Build it."""


class Stack(Dense):
    """A layer on a layer."""

    def __init__(self, inner: Layer) -> None: ...


class Model:
    """Takes a layer, a number that may be missing, numbers, and what makes layers."""

    def __init__(
        self,
        layer: Layer,
        depth: int | None = None,
        sizes: list[int] | None = None,
        maker: Callable[[int], Dense] | None = None,
        shape: tuple[int, int, int] | None = None,
        rate: float | None = None,
        stack: dict[str, Layer] | None = None,
    ) -> None: ...


def refusal(*args: str, files: bool = False) -> str:
    """What a small parser says about its arguments."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("--count", type=PositiveInt, default=1)
    parser.add_argument("--file", type=Path_fr)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--mode", choices=["fast", "slow"])
    parser.add_subclass_arguments(Layer, "top")
    parser.add_class_arguments(Model, "model", sub_configs=files)
    commands = parser.add_subcommands(required=False)
    train = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    train.add_argument("--epochs", type=int)
    commands.add_subcommand("train", train)
    with pytest.raises(ArgumentError) as caught:
        parser.parse_args(args)
    return str(caught.value)


CASES = [
    (("--cuont=3",), "There is no key 'cuont': did you mean 'count'?"),
    (("walk",), "There is no 'walk'. Choose from train."),
    (("--mode=fats",), "There is no 'fats': did you mean 'fast'? Choose from fast, slow."),
    ((), f"'model.layer' must be given{CONFIGURATION}"),
    (("--count=0",), "'count' cannot be '0': it must be >0."),
    (("--count=many",), "'count' cannot be 'many': it takes PositiveInt."),
    (("--top=Dense", "--top.widht=3"), "'top.widht' is not a key of Dense: did you mean 'width'?"),
    (("--top=Dense", "--top.width=wide"), "'top.width' cannot be 'wide': it takes a whole number."),
    ((f"--top={HERE}Dens",), f"'top' names '{HERE}Dens', which does not exist: did you mean 'Dense'?"),
    (
        ("--top=nowhere.Dense",),
        "'top' names 'nowhere.Dense', which does not exist: there is no module 'nowhere'",
    ),
    (("--top=Dens",), "'top' names 'Dens', which does not exist: a class of your own is given as MODULE.CLASS."),
    (("--top=builtins.int",), "'top' names a class that is not a subclass of Layer."),
    (
        (f"--top={HERE}Layer",),
        f"'top' cannot be '{HERE}Layer': it takes the class_path of a Layer, with its init_args.",
    ),
    ((f'--top={{"class_path": "{HERE}Dense", "init_args": 3}}',), "'top.init_args' is not a mapping"),
    ((f'--top={{"class_path": "{HERE}Dense", "init_args": {{"": 3}}}}',), "'top' holds a key without a name"),
    (("--model=3",), "'model' cannot be '3': it takes a mapping of keys and values."),
    (("--model.depth=x",), "'model.depth' cannot be 'x': it takes a whole number."),
    (("--model.sizes=3",), "'model.sizes' cannot be '3': it takes a list, such as [3]."),
    ((f"--model.maker={HERE}Dens",), f"'model.maker' names '{HERE}Dens', which does not exist: did you mean 'Dense'?"),
    (("--model.shape=[1, 28]",), "'model.shape' cannot be '[1, 28]': it takes a list of 3 values."),
    ((f"--model.rate=1{400 * '0'}",), "'model.rate' cannot be '1000"),
    (('--config={"folder": [1]}',), "'folder' cannot be of type list: it takes a path."),
    (("--top=http://x/layer.yaml",), "There is no file 'http://x/layer.yaml', to which 'top' points"),
    (("--model.stack=3",), "'model.stack' cannot be '3': it takes a mapping of keys and values."),
    (("--model.layer=[1]",), "'model.layer' cannot be '[1]': it takes a mapping that describes a Layer."),
]


@pytest.mark.parametrize(("args", "sentence"), CASES)
def test_a_message_becomes_a_sentence(args, sentence):
    assert explain(refusal(*args), ["count", "file", "mode"]).startswith(sentence), refusal(*args)


STACK = {"bottom": {"class_path": f"{HERE}Dense", "init_args": {"width": 1}}, "top": {"class_path": f"{HERE}Dense"}}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bottom": {"class_path": f"{HERE}Dense", "init_args": {"width": "x"}}}, "'model.stack.bottom.width' cannot"),
        ({"bottom": {"class_path": f"{HERE}Dense", "init_args": {"widht": 3}}}, "'model.stack.bottom.widht' is not a"),
        ({"bottom": {"class_path": f"{HERE}Dens"}}, f"'model.stack.bottom' names '{HERE}Dens', which does not exist"),
        (
            {"bottom": {"class_path": f"{HERE}Dense", "width": 3}},
            "'model.stack.bottom.width' stands beside class_path:",
        ),
        ({"bottom": {"class_path": f"{HERE}Dense", "init_arg": {}}}, "'model.stack.bottom.init_arg' stands beside"),
        (
            {"bottom": {"classpath": f"{HERE}Dense"}},
            "'model.stack.bottom.classpath' is not a key of a Layer's descripti",
        ),
        ({"bottom": {"init_args": {"width": 3}}}, "'model.stack.bottom' has no class_path: give that of a Layer"),
        ({"bottom": 3}, "'model.stack.bottom' cannot be '3': it takes a mapping that describes a Layer."),
    ],
)
def test_names_in_mappings_are_told(change, sentence):
    tree = {"model": {"layer": STACK["top"], "stack": {**STACK, **change}}}
    told = explain(refusal(f"--config={json.dumps(tree)}"), trees=[tree])
    assert told.startswith(sentence)


def test_names_in_mappings_are_told_of_the_command_line():
    tree = {"model": {"layer": STACK["top"], "stack": STACK}}
    given = f"--config={json.dumps(tree)}"
    told = explain(refusal(given, "--model.stack.bottom.widht=3"), trees=[tree])
    assert told.startswith("'model.stack.bottom.widht' is not a key of Dense")
    told = explain(refusal(given, "--model.stack.bottm.width=3"), trees=[tree])
    assert (
        told
        == "'model.stack.bottm' has no class_path: give that of a Layer, with its init_args: did you mean 'bottom'?"
    )


def test_what_two_places_may_be_is_told_as_the_parser_has_it():
    both = {name: {"class_path": f"{HERE}Dense", "init_args": {"width": "x"}} for name in "ab"}
    tree = {"model": {"layer": STACK["top"], "stack": both}}
    assert explain(refusal(f"--config={json.dumps(tree)}"), trees=[tree]).startswith("'model.stack.width' cannot")


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert explain(refusal("--config=absent.yaml")).endswith("absent.yaml': check the path given to 'config'.")
    assert explain(refusal("--top=absent.yaml")).startswith("There is no file 'absent.yaml', to which 'top' points")


def test_jsonargparse_still_says_what_every_pattern_matches(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("top.yaml").write_text(f"class_path: {HERE}Stack\ninit_args: {{inner: top.yaml}}\n")
    messages = [refusal(*args) for args, _ in CASES] + [refusal("--config=absent.yaml")]
    messages += [refusal('--config={"model": {"dpeth": 3}}'), refusal("--model.layer=top.yaml", files=True)]
    lines = [line for message in messages for line in message.splitlines()]
    patterns = [pattern for pattern, _ in parser_messages._REASONS]
    matched = {next((pattern for pattern in patterns if pattern.search(line)), None) for line in lines}
    assert [pattern.pattern for pattern in patterns if pattern not in matched] == []


def test_a_message_that_no_pattern_knows_is_passed_on():
    assert explain("The moon is\n  in the way") == "The moon is in the way."
    assert explain('Parser key "top.width":\n  The moon is in the way.') == "'top.width': The moon is in the way."
    told = usage_error(ArgumentError(None, "The moon is in the way"), ["fit"])
    assert str(told) == "The moon is in the way."
    assert len(explain("moon " * 1000)) <= parser_messages.LONGEST_REASON + 1


def test_the_patterns_are_for_the_bounded_versions():
    settings = configparser.ConfigParser()
    settings.read(Path(__file__).parents[2] / "setup.cfg")
    lines = settings["options"]["install_requires"].splitlines()
    (bound,) = (Requirement(line) for line in lines if line.startswith("jsonargparse"))
    assert {each.operator for each in bound.specifier} == {">=", "<"}
    assert importlib.metadata.version("jsonargparse") in bound.specifier
