"""The parser of the Trainer's verbs, and what it makes of a command line."""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
from contextvars import ContextVar
from itertools import takewhile
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from lightning import pytorch
from lightning.pytorch.cli import ArgsType, LightningArgumentParser

from lit_metanas.cli.configuration_files import find_misplaced_yaml, verbs_of_model, with_bases, with_lists
from lit_metanas.cli.errors import UsageError, public_names
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.verbs import TRAINER_VERBS
from lit_metanas.io.text import short_number

_PROGRAM = ContextVar("what usage begins with", default="lit-metanas")


class Parser(LightningArgumentParser):
    """Hands null down to the arguments of arguments.

    Jsonargparse gives a value within a class to a parser of that class, as one word ``--key=value`` in which null has
    become Python's word for it. A class within a class would take that for a text.
    """

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
    if "None" not in text:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return json.dumps(value) if value is None or isinstance(value, dict | list) else text


def configuration(parser: LightningArgumentParser, args: ArgsType) -> Namespace:
    """Parse a command line, or a mapping of its keys.

    Raises:
        UsageError: something in it is wrong; one sentence says what.
    """
    args = sys.argv[1:] if args is None else args
    if isinstance(args, list):
        args = with_bases(with_lists(_with_examples(args), *args[:1]), *args[:1])
    known = ["config", "seed_everything", "trainer", "model", "data", "ckpt_path", "trainer.threads"]
    known += [f"trainer.{name}" for name in inspect.signature(pytorch.Trainer).parameters]
    words = args if isinstance(args, list) else []
    verb = words[0] if words and words[0] in TRAINER_VERBS else ""
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
    model = str(chosen.model.class_path).rpartition(".")[2]
    if verb and (others := verbs_of_model(model)) and verb not in others:
        what = find_misplaced_yaml(words, verb) or f"{model} is for `lit-metanas {others[0]}`, not for `{verb}`."
        raise UsageError(what)
    return config


def _with_examples(args: list[str]) -> list[str]:
    """``predict EXPORTED PATH ... [--csv]`` with their keys; and a key of new examples with the data module for it.

    Raises:
        FileNotFoundError: there is no exported network.
        ValueError: there are several, or it does not tell how its inputs are made.
        UsageError: the table is to be printed and written.
    """
    if args[:1] != ["predict"]:
        return args
    # At the top each verb would pay for it.
    from lit_metanas.training.export.exported_model import GIVEN_BY, STANDARD_OUTPUT, example_words

    kind, args = _own_kind(args)
    printed = [f"--model.output={STANDARD_OUTPUT}"] if "--csv" in args else []
    if printed and any(word.partition("=")[0] == "--model.output" for word in args):
        raise UsageError("--csv prints what --model.output writes: give one of the two.")
    args = [word for word in args if word != "--csv"]
    bare = list(takewhile(lambda word: not word.startswith("-"), args[1:]))
    rest = args[1 + len(bare) :]
    keys = {word.partition("=")[0] for word in rest}
    if len(bare) > 1 or (bare and Path(bare[0]).is_dir()):
        folder, *paths = bare
        by_key = not paths and any(key.startswith(("--data", "-c", "--config")) for key in keys)
        bare = ["--model.directory", folder] if by_key else example_words(folder, paths, kind)
    if not keys & {"--data", "-c", "--config"}:
        bare += [f"--data={data}" for data, key, _ in GIVEN_BY.values() if key in keys]
    return ["predict", *bare, *rest, *printed]


def _own_kind(words: list[str]) -> tuple[str | None, list[str]]:
    """The kind of data of another package that ``predict`` is to import, and the other words.

    Raises:
        ValueError: there is no such kind.
        UsageError: the key has no value.
    """
    for place, word in enumerate(words):
        key, _, value = word.partition("=")
        if key != "--kind":
            continue
        rest = [*words[:place], *words[place + 1 :]]
        if not value and place < len(rest):
            value = rest.pop(place)
        if not value:
            raise UsageError("--kind has no value: give the path of a class, such as graphs.Graphs.")
        from lit_metanas.kinds.kind import kind_named  # other verbs do without

        find_own_modules()
        kind_named(value)
        return value, rest
    return None, words


def find_own_modules() -> None:
    """Let the working folder be a place for modules: the last one, so that its files hide none that are installed."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def of_verb(config: Namespace) -> Namespace:
    """The configuration of the chosen verb, or the whole where there are no verbs."""
    verb = config.get("subcommand")
    chosen = config if verb is None else config[verb]
    assert isinstance(chosen, Namespace)
    return chosen


def parse_with_classes(parser: ArgumentParser, args: ArgsType) -> Namespace:
    """Parse arguments in which a public class of this package may stand by its name alone.

    jsonargparse knows the names of imported classes. The rooms are imported where the arguments are not understood
    without: else each verb would pay for all of them.
    """

    def parse() -> Namespace:
        return parser.parse_args(args) if isinstance(args, list) else parser.parse_object(args)

    try:
        return parse()
    except ArgumentError:
        pass  # to be said, if at all, of the second attempt alone
    public_names()
    find_own_modules()
    return parse()
