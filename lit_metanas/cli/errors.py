"""Errors: a sentence for the user, the line of their own code that fails, and the exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import lit_metanas
from lit_metanas.io.allocator import is_out_of_memory
from lit_metanas.io.text import hint, printable, shorten, without_passwords

_FULL = "free some space, and go on as after an interruption: what was complete is kept."
_CLOSED = "give a path that can be read and, for results, written to."
_FIXES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EEXIST: "give the path of a folder.",
    errno.ENOTDIR: "give the path of a folder.",
    errno.EISDIR: "give the path of a file.",
}
"""What to do about errors of the operating system."""

_WRONG_PATHS = {
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL
}  # fmt: skip

LONGEST_SENTENCE = 1000  # characters of a sentence, of which most are paths

AGREED, FAILED = "AgreedError", "FailedWorkError"
SELF_EXPLAINING = ("MisconfigurationException", FAILED)
"""Exceptions of Lightning and this package by their names: importing them would take seconds for each error."""

LONGEST_REASON = 200  # characters of a reason that is passed on as it is


class UsageError(Exception):
    """The command line or a configuration is wrong; the message is one sentence for the user."""


def near_miss(word: str, candidates: Iterable[str]) -> str:
    """``: did you mean 'x'?``, or a full stop where nothing is near."""
    near = hint(word, candidates, "")
    return f": {near}" if near else "."


def describe(error: BaseException) -> str:
    """An error's kind and words, and where in a user's file it was raised."""
    said = f"{type(error).__name__}: {shorten(' '.join(str(error).split()), LONGEST_REASON)}"
    if isinstance(error, SyntaxError) or (place := find_own_line(error)) is None:  # its words name the place
        return said
    return f"{said}, {place}"


def chain_of(error: BaseException) -> list[BaseException]:
    """An error, that because of which it was raised, and so on."""
    chain = [error]
    for each in chain:  # which grows meanwhile
        reason = each.__cause__
        if reason is None and not each.__suppress_context__:
            reason = each.__context__
        if reason is not None and reason not in chain:
            chain.append(reason)
    return chain


def find_own_line(error: BaseException, *, raised: bool = True) -> str | None:
    """The innermost line of the user's own code that an error came through; without ``raised``, no raising line."""
    # Of an error that was raised because of another one, the line of the other one.
    for each in reversed(chain_of(error)):
        frames = traceback.extract_tb(each.__traceback__)
        own = [frame for frame in frames if _is_own(frame.filename)]
        if own and (raised or own[-1] is not frames[-1] or not (own[-1].line or "").startswith("raise ")):
            return f"{os.path.relpath(own[-1].filename)}, line {own[-1].lineno}"
    return None


def _is_own(file: str) -> bool:
    """Whether a file is neither this package's, nor Python's, nor installed."""
    path = Path(file).resolve()
    # What is no file is compiled or typed in.
    if not path.is_file() or {"site-packages", "dist-packages"} & set(path.parts):
        return False
    folders = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), Path(lit_metanas.__file__).parent)
    return not any(path.is_relative_to(Path(folder).resolve()) for folder in folders)


def public_names() -> dict[str, object]:
    """What all rooms export, by its name; this imports every room."""
    rooms = [importlib.import_module(f"lit_metanas.{room}") for room in lit_metanas.ROOMS]
    return {name: getattr(room, name) for room in rooms for name in room.__all__}


def find_own_modules() -> None:
    """Let the working folder be a place for modules: the last one, so that its files hide none that are installed."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def sentence_about(error: Exception) -> str | None:
    """A sentence on an error, with the user's own line of code; None if only a developer of this package can fix it."""
    sentence = describe_known(error)
    place = find_own_line(error, raised=sentence is None)  # who raises an error with a sentence has said what is wrong
    if sentence is None:
        if place is None:
            return None
        sentence = f"{describe(error)}: fix it; --debug shows the traceback."
    elif place is not None and place not in sentence:
        sentence = f"{sentence.rstrip('.')} ({place})."
    return printable(without_passwords(sentence), LONGEST_SENTENCE)  # names in it may come from a file of anyone's


def describe_known(error: Exception) -> str | None:
    """A sentence on an error that a user can do something about; None for any other."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f": '{error.filename}'" * bool(error.filename)
        if fix := _FIXES.get(error.errno or 0):
            return f"{error.strerror}{where}: {fix}"
        return f"{error.strerror}{where}."
    if isinstance(error, UsageError | ValueError | OSError) or type(error).__name__ in SELF_EXPLAINING:
        return text
    # torch raises no type of its own here.
    if isinstance(error, RuntimeError) and text.startswith("Error(s) in loading state_dict"):
        return (
            "The checkpoint does not fit the configured model: give the configuration that it was trained with, or "
            f"train again if an earlier version wrote it ({shorten(text.partition(': ')[2], 300)})."
        )
    if _is_of_wandb(error):
        return (
            f"Weights & Biases cannot be used ({text.partition(' Consider')[0][:200].rstrip('.')}): log in by "
            "`wandb login`, fix the network, or keep the run here with --trainer.logger.init_args.offline true."
        )
    if is_out_of_memory(error):
        return (
            f"Out of memory ({describe(error).rstrip(': ')}): give fewer or smaller examples, or smaller batches or "
            "networks."
        )
    if _is_lost(error):
        return (
            f"Another process has ended ({shorten(text, 200)}): see what it said; `fit` goes on with --ckpt_path and "
            "its last checkpoint, `search` and `run` by the same command."
        )
    if is_from_checkpoint(error):
        return (
            f"The checkpoint cannot be resumed ({type(error).__name__}: {text[:200]}): it is damaged or of "
            "another configuration; give one that `lit-metanas fit` wrote with this one."
        )
    return None


def exit_code(error: Exception) -> int:
    """2 if what was given is wrong; 1 if the work failed, as by a full disk or the loss of a process."""
    if isinstance(error, OSError):
        return 1 + (error.errno in _WRONG_PATHS or isinstance(error, FileNotFoundError))
    failed = type(error).__name__ == FAILED or is_out_of_memory(error) or _is_of_wandb(error) or _is_lost(error)
    return 2 - failed


def _is_of_wandb(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] == "wandb"


def _is_lost(error: Exception) -> bool:
    """Whether a message between processes could not be sent or received."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "Connection "))


def is_from_checkpoint(error: BaseException) -> bool:
    """Whether an error came up while Lightning restored a training from a checkpoint, which its type does not say."""
    if "lightning" not in sys.modules:  # importing it would take seconds for each error
        return False
    from lightning.pytorch.trainer.connectors import checkpoint_connector

    return any(
        each.filename == checkpoint_connector.__file__ and "restore" in each.name
        for each in traceback.extract_tb(error.__traceback__)
    )


def nobody_reads(error: BaseException) -> bool:
    """Whether an error is that what read the output, such as ``head``, has gone; then the rest of it goes nowhere."""
    output = sys.__stdout__
    broken = any(isinstance(each, BrokenPipeError) for each in chain_of(error))
    if not broken or output is None or sys.stdout is not output:
        return False
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output.fileno())  # else the interpreter complains at its end
    os.close(nowhere)
    return True


def is_first_process() -> bool:
    """Whether this process is the first of a run on this machine."""
    return (os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0") == "0"
