"""The parser of the Trainer's verbs, and what it makes of a command line."""

from __future__ import annotations

import ast
import inspect
import json
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning import pytorch
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from lit_metanas.cli.configuration_files import with_bases, with_lists
from lit_metanas.cli.errors import UsageError, find_own_modules, last_name, public_names
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.verbs import MODELS, TRAINER_VERBS
from lit_metanas.io.text import short_number

_PROGRAM = ContextVar("what usage begins with", default="lit-metanas")


class Parser(LightningArgumentParser):
    """Hands null down to the arguments of arguments."""

    # Jsonargparse gives a value within a class to a parser of that class, as one word `--key=value` in which null has
    # become Python's word for it. A class within a class would take that for a text.

    def __init__(self, *args: Any, prog: str | None = None, **options: Any) -> None:
        super().__init__(*args, prog=prog or _PROGRAM.get(), **options)  # a class's help is a parser without a name

    def parse_args(
        self, args: Any = None, namespace: Any = None, env: bool | None = None, defaults: bool = True, **options: Any
    ) -> Any:
        """Parse a command line, or the one word of a class's argument."""
        if isinstance(args, list) and len(args) == 1 and isinstance(args[0], str):
            key, equals, value = args[0].partition("=")
            args = [f"{key}{equals}{_with_null(value)}"]
        return super().parse_args(args, namespace, env, defaults, **options)


def _with_null(text: str) -> str:
    """What Python prints of null, or of lists and mappings with null in them, as YAML."""
    if "None" in text:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(text)
            if value is None or isinstance(value, dict | list):
                return json.dumps(value)
    return text


def configuration(parser: LightningArgumentParser, args: ArgsType) -> Namespace:
    """Parse a command line, or a mapping of its keys; raises a UsageError of one sentence."""
    words: list[str] = []
    verb = ""
    if isinstance(args, list):
        verb = next((word for word in args[:1] if word in TRAINER_VERBS), "")
        args = words = with_bases(with_lists(args, verb), verb)
    known = ["config", "seed_everything", "trainer", "model", "data", "ckpt_path", "trainer.threads"]
    known += [f"trainer.{name}" for name in inspect.signature(pytorch.Trainer).parameters]
    named = _PROGRAM.set(f"lit-metanas {verb}".strip())
    try:
        config = parse_with_classes(parser, args)
    except Exception as error:  # whatever a configuration makes a parser raise, it is wrong
        raise usage_error(error, words, known, verb) from error
    finally:
        _PROGRAM.reset(named)
    chosen = of_verb(config)
    for key in ("trainer", "model", "data"):
        if not isinstance(chosen.get(key), Namespace):
            raise UsageError(f"'{key}' cannot be '{chosen.get(key)}': it takes a mapping of keys and values.")
    seed = chosen.get("seed_everything")
    if not isinstance(seed, bool) and seed is not None and not 0 <= seed < 2**32:
        raise UsageError(f"'seed_everything' cannot be {short_number(seed)}: give a number from 0 to {2**32 - 1}.")
    model = last_name(str(chosen.model.class_path))
    right = next((each for each, models in MODELS.items() if model in models), verb)
    if verb and (right == "search") != (verb == "search"):  # what `fit` takes, `validate` and `test` take, too
        raise UsageError(f"{model} is for `lit-metanas {right}`, not for `{verb}`.")
    return config


def of_verb(config: Namespace) -> Namespace:
    """The configuration of the chosen verb, or the whole where there are no verbs."""
    if (verb := config.get("subcommand")) is None:
        return config
    return config[verb]


def parse_with_classes(parser: ArgumentParser, args: ArgsType) -> Namespace:
    """Parse arguments in which a public class of this package may stand by its name alone."""
    # jsonargparse knows the names of imported classes. The rooms are imported where the arguments are not understood
    # without: else each verb would pay for all of them.

    parse = partial(parser.parse_args, args) if isinstance(args, list) else partial(parser.parse_object, args)
    with suppress(ArgumentError):  # to be said, if at all, of the second attempt alone
        return parse()
    public_names()
    find_own_modules()
    return parse()
