"""A sentence about an error for the user, and the exit code."""

from __future__ import annotations

import errno
import os
import sys

from lit_metanas.cli.errors import UsageError, chain_of, describe, find_own_line
from lit_metanas.io.allocator import is_out_of_memory
from lit_metanas.io.text import printable, shorten, without_passwords

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

LONGEST_SENTENCE = 1000
"""Characters of a sentence, of which most are paths."""

AGREED, FAILED = "AgreedError", "FailedWorkError"
SELF_EXPLAINING = ("MisconfigurationException", FAILED)
"""Exceptions of Lightning and this package by their names: importing them would take seconds for each error."""


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
        where = f": '{error.filename}'" if error.filename else ""
        fix = _FIXES.get(error.errno or 0, "")
        if fix:
            return f"{error.strerror}{where}: {fix}"
        return f"{error.strerror}{where}."
    if isinstance(error, UsageError | ValueError | OSError) or type(error).__name__ in SELF_EXPLAINING:
        return text
    if isinstance(error, RuntimeError) and text.startswith("Error(s) in loading state_dict"):
        return (
            "The checkpoint does not fit the configured model: give the configuration that it was trained with "
            f"({shorten(text.partition(': ')[2], 300)})."
        )
    if _is_of_wandb(error):
        reason = text.partition(" Consider")[0][:200].rstrip(".")
        return (
            f"Weights & Biases cannot be used ({reason}): log in by `wandb login`, fix the network, or keep the run "
            "here with --trainer.logger.init_args.offline true."
        )
    if is_out_of_memory(error):
        reason = describe(error).rstrip(": ")
        return f"Out of memory ({reason}): give fewer or smaller examples, or smaller batches or networks."
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
        given = error.errno in _WRONG_PATHS or isinstance(error, FileNotFoundError)
    else:
        failed = type(error).__name__ == FAILED or is_out_of_memory(error)
        given = not (failed or _is_of_wandb(error) or _is_lost(error))
    return 1 + given


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

    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename == checkpoint_connector.__file__ and "restore" in code.co_name:
            return True
        trace = trace.tb_next
    return False


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


def is_reported_elsewhere(error: Exception) -> bool:
    """Whether the first process on this machine is known to say the same."""
    return type(error).__name__ == AGREED and not is_first_process()


def is_first_process() -> bool:
    """Whether this process is the first of a run on this machine."""
    return (os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0") == "0"
