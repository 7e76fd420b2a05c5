"""The command line ``lit-metanas VERB``. Heavy imports wait until a verb is known."""

from __future__ import annotations

import atexit
import gc
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from functools import partial
from importlib import import_module
from itertools import takewhile, zip_longest
from pathlib import Path
from time import perf_counter
from typing import Any

from lit_metanas import __version__
from lit_metanas.cli.errors import (
    AGREED,
    LONGEST_SENTENCE,
    UsageError,
    exit_code,
    find_own_modules,
    is_first_process,
    near_miss,
    nobody_reads,
    sentence_about,
)
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.verbs import TRAINER_VERBS, VERBS, verb_help, whole_help
from lit_metanas.io.text import DEBUG, is_text, printable, writable

_GOES_ON = (
    "stopped. The same `auto`, `run` or `search` command goes on from here; `fit` goes on with --ckpt_path and the "
    "last checkpoint in the run's directory, if it has written one."
)

STOPPED = "SIGTERMException"  # Lightning's exception by its name: importing it would take seconds

_MODULES = {
    "run": "lit_metanas.cli.experiment.run",
    "report": "lit_metanas.report.report_verb",
    "configs": "lit_metanas.cli.configuration_files",
    "schema": "lit_metanas.cli.schema",
}
"""The modules of the verbs that are functions of the same name."""

_SEARCHES = {"auto": ("data",), "distil": ("model", "data")}
"""The verbs that search on data, and the keys of words that stand anywhere."""

_BARE = {"run": "config", "configs": "name", "schema": "path"}  # the keys of the word that stands right after a verb


def main(args: list[str] | None = None) -> int:
    """Run the command line on ``args``, by default those of the process; returns the exit code."""
    # 1: the work failed, or nobody reads the output. 2: what was given is wrong. 130: interrupted.
    words = sys.argv[1:] if args is None else args
    before = os.environ.get(DEBUG, "0")
    debug = "--debug" in words or before == "1"
    os.environ[DEBUG] = str(int(debug))  # for the Trainer, and for the processes of a run's phases
    path = list(sys.path)
    try:
        try:
            execute([word for word in words if word != "--debug"], debug=debug)
        finally:  # also where a parser has ended it, as after --print_config
            if sys.stdout is not None:  # as where it was closed
                sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _report_stop(str(stop))
    except SystemExit as stop:
        # Lightning has shut the run down, after SIGINT or SIGTERM.
        if isinstance(stop.__context__, KeyboardInterrupt) or type(stop).__name__ == STOPPED:
            return _report_stop(stop.code)
        if isinstance(stop.code, int):
            return stop.code
        return int(stop.code is not None)
    except Exception as error:
        if nobody_reads(error):
            return 1
        sentence = sentence_about(error)
        if debug or sentence is None:
            raise
        # Of an error that all processes agree on, the first one says the sentence.
        if type(error).__name__ != AGREED or is_first_process():
            print(f"lit-metanas: {sentence}", file=sys.stderr)
        return exit_code(error)
    finally:
        os.environ[DEBUG] = before
        sys.path[:] = path  # without the working folder, where that was added
    return 0


def execute(args: list[str], *, debug: bool = False, suggests: bool = True) -> None:
    """Execute a command line; without ``suggests`` the Trainer's verbs print no next command."""
    began = perf_counter()
    for word in args:
        if not is_text(word):
            raise UsageError(f"'{writable(word)}' is not UTF-8: rename the file or folder.")
    verb, *rest = args or ["--help"]
    if verb in ("-h", "--help", "help"):
        print(whole_help(), end="")
    elif verb == "--version":
        print(f"lit-metanas {__version__}")
    elif verb not in VERBS:
        what = ("verb", "option")[verb.startswith("-")]
        raise UsageError(f"There is no {what} '{verb}'{near_miss(verb, VERBS)} See `lit-metanas --help`.")
    elif (text := _help(verb, rest)) is not None:
        print(text, end="")
    elif verb == "predict":
        _call(_prepared("lit_metanas.cli.prediction", verb), verb, _with_examples(rest))
    elif verb in _SEARCHES:
        function = _prepared("lit_metanas.cli.search_verbs", f"{verb}_verb")
        _call(function, verb, _with_data(rest, *_SEARCHES[verb]), began=began)
    elif verb in TRAINER_VERBS:
        _train(verb, rest, debug, suggests)
    else:
        given: dict[str, object] = {}
        if verb == "run":
            given["execute"] = partial(execute, debug=debug, suggests=False)
        if verb in _BARE and rest and not rest[0].startswith("-"):
            rest[0] = f"--{_BARE[verb]}={rest[0]}"
        _call(getattr(import_module(_MODULES[verb]), verb), verb, rest, **given)


def _help(verb: str, args: list[str]) -> str | None:
    """The help that a command asks for; None without a request, or if the parser gives the help."""
    asked = {"-h", "--help", "--help-all"} & set(args)
    if not asked or (verb in TRAINER_VERBS and asked == {"--help-all"}):
        return None
    return verb_help(verb)


def _prepared(module: str, name: str) -> Callable[..., None]:
    """A function or class of a module that loads torch, and works on a user's data."""
    if module not in sys.modules:
        gc.disable()  # a search for garbage among what is imported takes a second, and another at the exit
        try:
            import_module(module)
        finally:
            gc.freeze()
            gc.enable()
        atexit.register(_leave_garbage)
    from lit_metanas.io import tune_allocator

    tune_allocator()
    find_own_modules()  # for a kind of one's own
    function: Callable[..., None] = getattr(import_module(module), name)
    return function


def _train(verb: str, args: list[str], debug: bool, suggests: bool) -> None:
    if not debug:
        # Lightning's Trainer is quiet by itself; these say something on every run.
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.formatwarning = _one_sentence
    program = _prepared("lit_metanas.cli.program", "Program")
    from lit_metanas.cli.experiment.run import leave_process_group
    from lit_metanas.cli.run_output import own_run

    # The parser's help is the whole one.
    words = ["--help" if word == "--help-all" else word for word in args]
    with own_run():
        program([verb, *words], suggests=suggests)
    leave_process_group()


def _leave_garbage() -> None:
    """End without a search for garbage, but where Triton is loaded: it prints a page about what is not collected."""
    if "triton" in sys.modules:
        gc.unfreeze()
    else:
        gc.freeze()


def _with_data(args: list[str], *keys: str) -> list[str]:
    """``auto DATA --KEY VALUE``, wherever the data stand, with their key; ``--max-latency`` is ``--max_latency``."""
    args = [re.sub("(?<=^--)[^=]+", lambda key: key[0].replace("-", "_"), word) for word in args]
    # A flag that stands alone is true. Else the word after it, such as the data, would be its value.
    args = [
        f"{word}=true" if word in ("--onnx", "--student") and after.lower() not in ("true", "false") else word
        for word, after in zip_longest(args, args[1:], fillvalue="")
    ]
    given = {word.partition("=")[0] for word in args}
    for key in keys:
        if (place := _place_of_data(args)) is not None and f"--{key}" not in given:
            args[place] = f"--{key}={args[place]}"
    return args


def _place_of_data(args: list[str]) -> int | None:
    """The place of the first word that is no key, and no value of one."""
    pairs = enumerate(zip(["", *args], args, strict=False))
    return next((at for at, (before, word) in pairs if word[:1] != "-" and (before[:1] != "-" or "=" in before)), None)


def _with_examples(args: list[str]) -> list[str]:
    """``predict EXPORTED PATH ... [--csv]`` with their keys."""
    words = [word for word in args if word != "--csv"]
    # A dash alone stands for the standard input.
    bare = list(takewhile(lambda word: not word.startswith("-") or word == "-", words))
    words = words[len(bare) :]
    if "--csv" in args:
        words.append("--output=-")
    if bare:
        words = [f"--model={bare[0]}", f"--examples={json.dumps(bare[1:])}", *words]
    return words


def _call(function: Callable[..., None], verb: str, args: list[str], **given: object) -> None:
    from argparse import SUPPRESS

    from jsonargparse import ArgumentParser

    from lit_metanas.cli.configuration_files import BASE, with_bases, with_lists

    parser = ArgumentParser(prog=f"lit-metanas {verb}", exit_on_error=False, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="config", help="A configuration, in YAML.")
    parser.add_argument(f"--{BASE}", type=str, help=SUPPRESS)
    keys = parser.add_function_arguments(function, skip=set(given), sub_configs=True)
    warnings.formatwarning = _one_sentence
    args = with_bases(with_lists(args, verb), verb)
    try:
        settings: Any = parser.instantiate(parser.parse_args(args))
    except Exception as error:  # whatever a configuration makes a parser raise, it is wrong
        raise usage_error(error, args, keys, verb) from error
    function(**{key: settings[key] for key in keys}, **given)


def _report_stop(said: object) -> int:
    """Print the sentence of an interruption, or the usual one, on the first process; returns the exit code."""
    if not isinstance(said, str) or not said:
        said = _GOES_ON
    if is_first_process():
        print(f"lit-metanas: {said}", file=sys.stderr)
    return 130


def _one_sentence(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """A warning of ours without the line of code that it comes from; others as Python has them."""
    if Path(filename).is_relative_to(Path(__file__).parents[1]):
        return f"lit-metanas: {printable(str(message), LONGEST_SENTENCE)}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
