"""The command line ``lit-metanas VERB``. Heavy imports wait until a verb is known."""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import os
import select
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import takewhile, zip_longest
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from lit_metanas import __version__
from lit_metanas.cli.errors import (
    UsageError,
    chain_of,
    describe,
    find_own_line,
    is_from_checkpoint,
    is_out_of_memory,
    near_miss,
    with_shell_keys,
)
from lit_metanas.cli.help import experiment_help, verb_help, whole_help
from lit_metanas.cli.parser_messages import usage_error
from lit_metanas.cli.verbs import TRAINER_VERBS, VERBS
from lit_metanas.io.text import DEBUG, is_text, printable, without_passwords, writable

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

_FULL = "free some space, and go on as after an interruption: what was complete is kept."
_CLOSED = "give a path that can be read and, for results, written to."
_FIXES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EEXIST: "give the path of a folder.",
    errno.ENOTDIR: "give the path of a folder.",
    errno.EISDIR: "give the path of a file.",
    errno.EMFILE: "raise the limit of open files (ulimit -n).",
}
"""What to do about errors of the operating system."""

_WRONG_PATHS = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}

LONGEST_SENTENCE = 1000
"""Characters of a sentence, of which most are paths."""

_GOES_ON = (
    "stopped. The same `auto`, `run` or `search` command goes on from here; `fit` goes on with --ckpt_path and the "
    "last checkpoint in the run's directory, if it has written one."
)

STOPPED, AGREED, FAILED = "SIGTERMException", "AgreedError", "FailedWorkError"
SELF_EXPLAINING = ("MisconfigurationException", FAILED)
"""Exceptions of Lightning and this package by their names: to import them would take seconds for each error."""


def main(args: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: the arguments; those of the process if None.

    Returns:
        The exit code: 0; 1 if the work failed, if ``predict`` has left out files that it could not read, or without a
        word if nobody reads the output any longer; 2 if the command, a configuration or a file that it reads is wrong;
        130 if interrupted.
    """
    words = list(sys.argv[1:] if args is None else args)
    before = os.environ.get(DEBUG, "0")
    debug = "--debug" in words or before == "1"
    os.environ[DEBUG] = "1" if debug else "0"  # for the Trainer, and for the processes of a run's phases
    words = [word for word in words if word != "--debug"]
    path = list(sys.path)
    try:
        _execute_and_flush(words, debug)
    except KeyboardInterrupt as stop:
        return _report_stop(str(stop) or None)
    except SystemExit as stop:
        # Lightning has shut the run down, after SIGINT or SIGTERM.
        if isinstance(stop.__context__, KeyboardInterrupt) or type(stop).__name__ == STOPPED:
            return _report_stop(stop.code)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if _nobody_reads(error):
            return 1
        sentence = _sentence(error)
        if debug or sentence is None:
            raise
        if not _is_reported_elsewhere(error):
            print(f"lit-metanas: {sentence}", file=sys.stderr)
        return 2 if _is_input(error) else 1
    finally:
        os.environ[DEBUG] = before
        sys.path[:] = path  # without the working folder, where that was added
    return 0


def _execute_and_flush(words: list[str], debug: bool) -> None:
    """Execute, and write what is still to be written, also where a parser has ended it, as after --print_config."""
    try:
        execute(words, debug=debug)
    except SystemExit:
        _flush()
        raise
    _flush()


def _flush() -> None:
    if sys.stdout is not None:  # as where it was closed
        sys.stdout.flush()


def execute(args: list[str], *, debug: bool = False, suggests: bool = True) -> None:
    """Do what the arguments say, raising what goes wrong.

    Args:
        args: the arguments.
        debug: whether all that Lightning says is shown.
        suggests: whether a verb of the Trainer says at its end what the next command may be.

    Raises:
        UsageError: the command or a configuration is wrong.
    """
    began = perf_counter()
    for word in args:
        if not is_text(word):
            raise UsageError(f"'{writable(word)}' is not UTF-8: rename the file or folder.")
    verb, rest = (args[0], args[1:]) if args else ("--help", [])
    helps = {"-h", "--help", "--help-all"} & set(rest)
    if verb in ("-h", "--help", "help"):
        print(whole_help(), end="")
    elif verb == "--version":
        print(f"lit-metanas {__version__}")
    elif verb not in VERBS:
        what = "option" if verb.startswith("-") else "verb"
        raise UsageError(f"There is no {what} '{verb}'{near_miss(verb, VERBS)} See `lit-metanas --help`.")
    elif verb == "run" and helps - {"--help-all"} and (text := experiment_help(_with_operands(rest, "config"))):
        print(text, end="")
    elif helps and not (verb in TRAINER_VERBS and helps == {"--help-all"}):
        print(verb_help(verb), end="")
    elif verb == "auto":
        with _collecting_nothing(before="lit_metanas.automl.calls"):
            from lit_metanas.automl.calls import auto_verb
            from lit_metanas.cli.parser import find_own_modules
            from lit_metanas.io import tune_allocator

        tune_allocator()
        find_own_modules()  # for a kind of one's own
        _call(auto_verb, verb, _with_data(rest), began=began)
    elif verb == "report":
        from lit_metanas.report.report_verb import report

        _call(report, verb, rest)
    elif verb == "push":
        from lit_metanas.training.export.hub_card import push

        _call(push, verb, _with_repository(rest))
    elif verb == "configs":
        from lit_metanas.cli.shipped_configurations import configs

        _call(configs, verb, _with_operands(rest, "name"))
    elif verb == "records":
        from lit_metanas.cli.record_exchange import records

        _call(records, verb, rest)
    elif verb == "dashboard":
        from lit_metanas.report.dashboard import dashboard

        _call(dashboard, verb, rest)
    elif verb == "run":
        from lit_metanas.cli.experiment.run import run

        _call(
            run, verb, _with_operands(rest, "config"), execute=lambda phase: execute(phase, debug=debug, suggests=False)
        )
    else:
        with _collecting_nothing(before="lit_metanas.cli.program"):
            from lit_metanas.cli.experiment.run import leave_process_group
            from lit_metanas.cli.program import Program
            from lit_metanas.cli.run_directory import own_run
            from lit_metanas.io import tune_allocator

        tune_allocator()
        if not debug:
            _quieten()
        with own_run():
            # The parser's help is the whole one.
            Program([verb, *("--help" if word == "--help-all" else word for word in rest)], suggests=suggests)
        leave_process_group()


@contextmanager
def _collecting_nothing(before: str) -> Iterator[None]:
    """Import without a search for garbage, of which modules have none: it takes a second, and another at the exit.

    Args:
        before: a module; where it is loaded already, nothing is left to gain.
    """
    if before in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
    atexit.register(_leave_garbage)


def _leave_garbage() -> None:
    """End without a search for garbage, but where Triton is loaded: it prints a page about what is not collected."""
    if "triton" in sys.modules:
        gc.unfreeze()
    else:
        gc.freeze()


def _with_data(args: list[str]) -> list[str]:
    """``auto DATA --KEY VALUE``, wherever the data stand, with their key; ``--max-latency`` is ``--max_latency``."""
    args = [_with_underscores(word) if word.startswith("--") else word for word in args]
    args = _with_measure(_with_flags(args, ("--onnx", "--int8")))
    place = _place_of_data(args)
    return args if place is None else [*args[:place], f"--data={args[place]}", *args[place + 1 :]]


def _place_of_data(args: list[str]) -> int | None:
    """The place of the first word that is no key, and no value of one."""
    for place, word in enumerate(args):
        before = args[place - 1] if place else ""
        if not word.startswith("-") and (not before.startswith("-") or "=" in before):
            return place
    return None


def _with_measure(args: list[str]) -> list[str]:
    """``--pareto`` alone is that of parameters; words after it that are no measure are its value, to be refused.

    A single one is the data, if these stand nowhere else.
    """
    from lit_metanas.automl.options import MEASURES

    if "--pareto" not in args:
        return args
    place = args.index("--pareto")
    words = list(takewhile(lambda word: not word.startswith("-"), args[place + 1 :]))
    before, rest = args[:place], args[place + 1 + len(words) :]
    if words and words[0] in MEASURES:
        return [*before, f"--pareto={words[0]}", *words[1:], *rest]
    others = [*before, *rest]
    given = _place_of_data(others) is not None or any(word.partition("=")[0] == "--data" for word in others)
    if len(words) == 1 and not given:
        return [*before, f"--pareto={MEASURES[0]}", *words, *rest]
    return [*before, f"--pareto={' '.join(words) or MEASURES[0]}", *rest]


def _with_flags(args: list[str], flags: Sequence[str]) -> list[str]:
    """Each flag that stands alone is true; the word after it, such as the data, is no value of it."""
    return [
        f"{word}=true" if word in flags and after.lower() not in ("true", "false") else word
        for word, after in zip_longest(args, args[1:], fillvalue="")
    ]


def _with_underscores(word: str) -> str:
    key, equals, value = word.partition("=")
    return f"--{key[2:].replace('-', '_')}{equals}{value}"


def _with_repository(args: list[str]) -> list[str]:
    """``push FOLDER NAME/MODEL --dry-run`` with their keys."""
    words = _with_operands(args, "folder", "repo")
    return ["--dry_run=true" if word in ("--dry-run", "--dry_run") else word for word in words]


def _with_operands(args: list[str], *keys: str) -> list[str]:
    """The words right after a verb, with their keys."""
    bare = takewhile(lambda word: not word.startswith("-"), args)
    named = [f"--{key}={word}" for key, word in zip(keys, bare, strict=False)]
    return [*named, *args[len(named) :]]


def _call(function: Callable[..., None], verb: str, args: list[str], **given: object) -> None:
    """Call a function with arguments from configurations and the command line."""
    from argparse import SUPPRESS

    from jsonargparse import ArgumentParser

    from lit_metanas.cli.configuration_files import BASE, with_bases, with_lists

    parser = ArgumentParser(prog=f"lit-metanas {verb}", exit_on_error=False, allow_abbrev=False)
    parser.add_argument("-c", "--config", action="config", help="A configuration, in YAML.")
    parser.add_argument(f"--{BASE}", type=str, help=SUPPRESS)
    keys = parser.add_function_arguments(function, skip=set(given), sub_configs=True)
    warnings.formatwarning = partial(_one_sentence, keys=keys)
    args = with_bases(with_lists(args, verb), verb)
    try:
        settings: Any = parser.instantiate(_parse(parser, verb, args))
    except Exception as error:  # whatever a configuration makes a parser raise, it is wrong
        raise usage_error(error, args, keys, verb) from error
    try:
        function(**{key: settings[key] for key in keys}, **given)
    except ValueError as error:
        if (told := with_shell_keys(str(error), keys)) == str(error):
            raise
        raise ValueError(told) from error


def _parse(parser: ArgumentParser, verb: str, args: list[str]) -> Namespace:
    if verb != "records":  # the only one of them that takes a class, which Lightning need not be imported for elsewhere
        return parser.parse_args(args)
    from lit_metanas.cli.parser import parse_with_classes

    return parse_with_classes(parser, args)


def _sentence(error: Exception) -> str | None:
    """What to tell a user about an error, with the line of code of the user's own that it came through.

    Names and values in it may come from a file of anyone's.

    Returns:
        The sentence; None where only a developer of this package can fix it.
    """
    told = _describe(error)
    place = find_own_line(error, raised=told is None)  # who raises an error that has a sentence has said what is wrong
    if place is not None and told is None:
        told = f"{describe(error)}: fix it; --debug shows the traceback."
    elif place is not None and told is not None and place not in told:
        told = f"{told.rstrip('.')} ({place})."
    return None if told is None else printable(without_passwords(told), LONGEST_SENTENCE)


def _describe(error: Exception) -> str | None:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.strerror}: '{error.filename}'" if error.filename else error.strerror
        return f"{what}: {fix}" if (fix := _FIXES.get(error.errno or 0)) else f"{what}."
    if isinstance(error, UsageError | ValueError | OSError):
        return text
    if isinstance(error, RuntimeError) and text.startswith("Error(s) in loading state_dict"):
        reason = text.partition(": ")[2]
        return (
            "The checkpoint does not fit the configured model: give the configuration that it was trained with "
            f"({reason[:300]}{'…' if len(reason) > 300 else ''})."
        )
    if type(error).__module__.partition(".")[0] == "wandb":
        reason = text.partition(" Consider")[0][:200].rstrip(".")
        return (
            f"Weights & Biases cannot be used ({reason}): log in by `wandb login`, fix the network, or keep the run "
            "here with --trainer.logger.init_args.offline true."
        )
    if type(error).__name__ in SELF_EXPLAINING:
        return text
    if is_out_of_memory(error):
        reason = describe(error).rstrip(": ")
        return f"Out of memory ({reason}): give fewer or smaller examples, or smaller batches or networks."
    if is_from_checkpoint(error):
        return (
            f"The checkpoint cannot be resumed ({type(error).__name__}: {text[:200]}): it is damaged or of "
            "another configuration; give one that `lit-metanas fit` wrote with this one."
        )
    return None


def _is_input(error: Exception) -> bool:
    """Whether what was given is wrong; else the work failed, as by a full disk or the loss of a process."""
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or error.errno in _WRONG_PATHS or _is_unreadable(error)
    if is_out_of_memory(error):
        return False
    return type(error).__name__ != FAILED and type(error).__module__.partition(".")[0] != "wandb"


def _is_unreadable(error: OSError) -> bool:
    """Whether a file or folder that is there must not be read; else it is writing that is not allowed."""
    if error.errno not in (errno.EACCES, errno.EPERM) or not isinstance(error.filename, str | bytes):
        return False
    path = os.fsdecode(error.filename)
    folder = os.path.dirname(path) or os.curdir
    return not _may(folder, os.X_OK) or (os.path.lexists(path) and not _may(path, os.R_OK))


def _may(path: str, how: int) -> bool:
    return os.access(path, how, effective_ids=os.access in os.supports_effective_ids)


def _nobody_reads(error: BaseException) -> bool:
    """Whether an error is that what read the output, such as ``head``, has gone; then the rest of it goes nowhere."""
    output, broken = sys.__stdout__, any(isinstance(each, BrokenPipeError) for each in chain_of(error))
    if not broken or output is None or sys.stdout is not output or not _is_broken(output.fileno()):
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output.fileno())  # else the interpreter complains at its end
    os.close(nowhere)
    return True


def _is_broken(output: int) -> bool:
    """Whether a pipe has nobody at its other end."""
    watch = select.poll()
    watch.register(output)
    return any(event & select.POLLERR for _, event in watch.poll(0))


def _is_reported_elsewhere(error: Exception) -> bool:
    """Whether the first process on this machine is known to say the same."""
    return type(error).__name__ == AGREED and not _is_first()


def _is_first() -> bool:
    """Whether this process is the first of a run on this machine."""
    return (os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0") == "0"


def _report_stop(said: object = None) -> int:
    if _is_first():
        print(f"lit-metanas: {said if isinstance(said, str) else _GOES_ON}", file=sys.stderr)
    return 130


def _quieten() -> None:
    """Silence what Lightning says on every run; its Trainer is quiet by itself."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.formatwarning = _one_sentence


def _one_sentence(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
    *,
    keys: Collection[str] = (),
) -> str:
    """A warning of ours without the line of code that it comes from; others as Python has them."""
    if Path(filename).is_relative_to(Path(__file__).parents[1]):
        return f"lit-metanas: {printable(with_shell_keys(str(message), keys), LONGEST_SENTENCE)}\n"
    return f"{filename}:{lineno}: {category.__name__}: {message}\n"
