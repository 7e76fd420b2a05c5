"""What jsonargparse says, in a sentence with the key's path and the nearest name."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonargparse import ArgumentError, ArgumentParser
from jsonargparse.typing import Path_fr, PositiveInt

from lit_metanas.cli.errors import LONGEST_REASON
from lit_metanas.cli.parser_messages import explain, usage_error

HERE = f"{__name__}."


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
    (("--cuont=3",), "unrecognized arguments: --cuont=3: did you mean '--count'?"),
    (("--mode=fats",), "argument --mode: invalid choice: 'fats'"),
    ((), "the following arguments are required: model.layer."),
    (("--top=Dense", "--top.widht=3"), "'top.widht' of Dense: Option 'widht' is not accepted: did you mean 'width'?"),
    (("--top=Dense", "--top.width=wide"), "'top.width' cannot be 'wide': it takes int."),
    ((f"--top={HERE}Dens",), "did you mean 'Dense'?"),
    (("--model=3",), "'model'"),
    (("--model.depth=x",), "'model.depth' cannot be 'x': it takes int."),
    (("--model.shape=[1, 28]",), "'model.shape' cannot be '[1, 28]': it takes tuple[int, int, int]."),
    ((f"--model.maker={HERE}Dens",), f"'model.maker' cannot be '{HERE}Dens': it takes "),
    (("--model.stack=3",), "'model.stack' cannot be '3': it takes dict[str, Layer]."),
    (("--model.layer=[1]",), "'model.layer'"),
]


@pytest.mark.parametrize(("args", "sentence"), CASES)
def test_a_message_becomes_a_sentence(args, sentence):
    told = explain(refusal(*args), ["count", "file", "mode"])
    assert sentence in told, refusal(*args)
    assert "\n" not in told


STACK = {"bottom": {"class_path": f"{HERE}Dense", "init_args": {"width": 1}}, "top": {"class_path": f"{HERE}Dense"}}


def test_a_name_in_a_mapping_is_part_of_the_key():
    tree = {"model": {"layer": STACK["top"], "stack": STACK}}
    told = explain(refusal(f"--config={json.dumps(tree)}", "--model.stack.bottom.widht=3"))
    assert told.startswith("'model.stack.bottom.widht' of Dense: Option 'widht'")


def test_what_is_worded_otherwise_is_passed_on():
    assert explain("The moon is\n  in the way") == "The moon is; in the way."
    assert explain('Parser key "top.width":\n  The moon is in the way.') == "'top.width': The moon is in the way."
    told = usage_error(ArgumentError(None, "The moon is in the way"), ["fit"])
    assert str(told) == "The moon is in the way."
    assert len(explain("moon " * 1000)) <= LONGEST_REASON + 1
