"""``auto`` and ``distil``: data in, a trained network out, within minutes, sizes and a latency that a person names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from inspect import Parameter, Signature, signature
from time import perf_counter
from typing import Any, ParamSpec, TypeVar

import torch

from lit_metanas.automl.budget_plan import SHARES
from lit_metanas.automl.job import Job, open_job
from lit_metanas.automl.options import AUTO_THREADS, NOT_OF_STUDENTS, TEACHER, AutoOptions, with_options
from lit_metanas.automl.output import OutputFolder
from lit_metanas.automl.stages import run_stages
from lit_metanas.comparisons.earlier_models import compare_with_start, compare_with_teacher
from lit_metanas.comparisons.result_text import warn_of_classes
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.estimators.limits import NoNetworkWithinError
from lit_metanas.io.files import own_folder, own_path
from lit_metanas.io.text import hint, printable, writable
from lit_metanas.training.export.onnx_program import check_onnx_installed
from lit_metanas.training.given_models import ModelStart
from lit_metanas.training.precision import check_precision
from lit_metanas.training.trainers import check_threads
from lit_metanas.training.workers import check_workers

P = ParamSpec("P")
Function = TypeVar("Function", bound=Callable[..., Any])


def signed(parameters: Iterable[Parameter], without: Collection[str] = ()) -> Callable[[Function], Function]:
    """Gives a function a signature made of options, and their help where its docstring says ``{options}``."""

    def changed(function: Function) -> Function:
        returned = function.__annotations__["return"]
        vars(function)["__signature__"] = Signature([*parameters], return_annotation=returned)
        function.__doc__ = with_options(function.__doc__ or "", without)
        return function

    return changed


def _taking(options: Callable[P, object]) -> Callable[[Callable[..., SearchResult]], Callable[P, SearchResult]]:
    """Gives a function the signature of the options, for checkers of types, too."""
    return signed(signature(options).parameters.values())


@_taking(AutoOptions)
def auto(*args: Any, **given: Any) -> SearchResult:  # noqa: D417 (`signed` adds the options)
    """Search and train a network for data of any kind, within minutes and hard limits of its size and speed.

    ``data`` is a folder with a sub-folder of images, sounds or text files for each class; sounds with a table of
    transcripts; a table (CSV, TSV, JSON lines) of texts or numbers and labels, or of pairs of texts; or questions in
    SQuAD's format. A part of them is learned from, one chooses, and one tests.

    The search begins with networks of different structure and a recipe for the kind of data, and with what did well on
    recorded tasks. Of the budget 30 % or more go to the search of architecture, recipe and preprocessing, unless only
    one network can be paid for, or all stand behind encoders. Linear models of plain features are candidates, too. The
    best candidate by validation, alone or as an ensemble, is trained on all but the test part, and tested once.

    The FLOPs in the result's ``budget`` repeat a run, with its ``precision``. After Ctrl-C, in the shell also SIGTERM,
    or a failed last training, the best so far is tested and returned; with an ``output`` the same call goes on.

    Args:
        {options}

    Raises:
        FileNotFoundError: there are no such data, or no such start.
        ValueError: an option or the data are wrong, nothing is within the limits, the budget is too small, or the
            output is in use or holds something else.
        KeyboardInterrupt: Ctrl-C came before there was any network.
        RuntimeError: all trainings fail.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.rand(40, 8, 8), ["cat", "dog"] * 20
        >>> result = lm.auto((X, y), flops=1e8, max_parameters=20_000, progress=False)
        >>> result.parameters <= 20_000, sorted(result.predict(X[:1])[0])
        (True, ['cat', 'dog'])
    """
    known = AutoOptions.__dataclass_fields__
    if wrong := [name for name in given if name not in known]:
        raise TypeError(f"auto has no option '{wrong[0]}': {hint(wrong[0], known, 'help(lm.auto) names all.')}")
    return run_auto(AutoOptions(*args, **given))


def run_auto(options: AutoOptions, *, began: float | None = None, from_shell: bool = False) -> SearchResult:
    """Read, plan, search, compare, train, test and, with an output, write.

    ``began`` is the clock when the minutes began. With ``from_shell`` the repeat text is a shell command, not a Python
    call.
    """
    if began is None:
        began = perf_counter()
    check_workers("auto", options.workers)
    check_threads("auto", options.given_threads)
    check_precision("auto", options.precision)
    if options.onnx:
        check_onnx_installed()
    if options.threads is None:
        options = replace(options, threads=torch.get_num_threads())
    if options.student:
        return teacher_and_student(options, began=began, from_shell=from_shell)
    with open_job(options, began) as job:
        finished = job.folder and job.folder.finished(job.variants)
        result = _with_command(finished or _searched(job), job.options, from_shell)
        if job.folder is not None:
            _write(job, job.folder, result, finished=finished is not None, from_shell=from_shell)
        if options.wandb is not None and finished is None and not result.stopped:
            _log(result, options.wandb, options)
    return result


def _searched(job: Job) -> SearchResult:
    """The result of a search, compared with the model that it began with, and with its teacher."""
    result = _searched_within_limits(job)
    warn_of_classes(result)
    if isinstance(job.start, ModelStart) and job.read is not None:
        result = replace(result, earlier=compare_with_start(result, job.start, job.task, job.read))
    if job.teacher is not None and job.variants.lesson is not None:
        result = replace(result, teacher=compare_with_teacher(result, job.teacher, job.variants.lesson))
    return result


def _searched_within_limits(job: Job) -> SearchResult:
    """The result of a search; of linear models alone if these alone are within the limits."""
    try:
        return run_stages(job)
    except NoNetworkWithinError as error:
        if (linear := job.linear_variants) is None or job.options.start is not None:
            raise
        try:
            linear.usual.limited.network_near({})  # for its exception alone: is any linear model within the limits?
        except NoNetworkWithinError as other:
            raise ValueError(
                f"{error.reason} Nor is a linear model within {other.within}: the nearest {other.nearest}. Raise "
                f"{other.limit} at least to that of the linear model."
            ) from None
        job.options.say(f"{error.reason} Linear models are, so they alone are trained.")
    return run_stages(replace(job, variants=linear, linear_variants=None))


def teacher_and_student(options: AutoOptions, *, began: float, from_shell: bool) -> SearchResult:
    """The result of the student; the teacher is in a folder of the output, where an interrupted call finds it again.

    A search of the teacher that is stopped early gives its own result, and the same call goes on.
    """
    assert options.output is not None
    teacher = own_folder(own_path(options.output, "output"), TEACHER)
    options.say(f"first a teacher without limits, in '{teacher}', and then its student.")

    def part(share: float, **changes: Any) -> AutoOptions:
        """The same with a share of the budget."""
        minutes, flops = options.minutes and share * options.minutes, tuple(share * one for one in options.given_flops)
        return replace(options, student=False, minutes=minutes, flops=flops or None, **changes)  # type: ignore[arg-type]

    limits: dict[str, Any] = dict.fromkeys(("max_parameters", "max_flops", "max_latency", "max_size"))
    own = part(SHARES.teacher, unlabelled=None, output=teacher, onnx=False, **limits)
    found = run_auto(own, began=began, from_shell=from_shell)
    if found.stopped:
        return found
    own = part(1 - SHARES.teacher, encoders=None, teacher=teacher)
    return run_auto(own, began=perf_counter(), from_shell=from_shell)


def _with_command(result: SearchResult, options: AutoOptions, from_shell: bool) -> SearchResult:
    """A result, and each of its front, with what repeats it, unless it was stopped."""
    if result.budget is None:
        return result
    if options.threads == AUTO_THREADS and result.threads != 1:
        options = replace(options, threads=result.threads)
    command = options.repeated(result.budget, result.precision, from_shell=from_shell)
    return replace(result, command=command, front=tuple(replace(one, command=command) for one in result.front))


def _write(job: Job, folder: OutputFolder, result: SearchResult, *, finished: bool, from_shell: bool) -> None:
    """Write a result, unless that was done before, and missing ONNX files.

    A call in Python loses no result to a full disk; a command fails.
    """
    options, added = job.options, False
    try:
        if not finished:
            options.say("writing the network and the report.")
            folder.write(job.variants.labelled(result.view).given, result, seed=options.seed)
        if options.onnx:
            added = folder.add_onnx(result, options.say)
    except OSError as error:
        if from_shell:
            raise
        warnings.warn(
            f"The output '{writable(str(folder.path))}' is incomplete ({error}): free some space or export the result "
            "elsewhere; the same call writes what is missing.",
            stacklevel=4,
        )
    if finished:
        what = "missing ONNX files were added" if added else "nothing was done"
        options.say(f"the search in '{folder.path}' was already finished: {what}.")


def _log(result: SearchResult, project: str, options: AutoOptions) -> None:
    """Log a result to Weights & Biases; a failure is a warning, as the result is more than its log."""
    try:
        from lit_metanas.report.logged_search import log_search

        place = log_search(result, project, folder=options.output or ".")
    except Exception as error:  # whatever W&B or the network raise
        warnings.warn(
            f"Weights & Biases got nothing of this search ({printable(' '.join(str(error).split()).rstrip('.'), 200)}):"
            " log in by `wandb login`, or unset WANDB_MODE to keep the run on this machine. The result is complete.",
            stacklevel=4,
        )
        return
    options.say(f"the run of Weights & Biases is in '{writable(str(place))}'.")


_MODEL = Parameter("model", Parameter.POSITIONAL_OR_KEYWORD, annotation="str | os.PathLike[str]")
_STUDENTS = [one for name, one in signature(AutoOptions).parameters.items() if name not in NOT_OF_STUDENTS]


@signed([_MODEL, *_STUDENTS], NOT_OF_STUDENTS)
def distil(model: str | os.PathLike[str], data: Any, **options: Any) -> SearchResult:  # noqa: D417
    """Search and train a small network that learns from an exported model.

    The model, the teacher, is the folder of an export, such as that of an ensemble. It is run once on the examples that
    are learned from and chosen by, with its own preprocessing. The new network, the student, learns what the teacher
    says of them, next to their labels (``objectives.Distillation``), and what it says of ``unlabelled`` ones. The
    search chooses by agreement with the teacher, within the limits: 500 kB if none is given. The result's ``teacher``
    compares both on the same test examples. All else is as in ``auto``.

    Args:
        model: the teacher's folder.
        {options}

    Raises:
        FileNotFoundError: there are no such data, or there is no such model.
        ValueError: the model is for other data or classes, an option or the data are wrong, nothing is within the
            limits, the budget is too small, or the output is in use or holds something else.
        KeyboardInterrupt: Ctrl-C came before there was any network.
        RuntimeError: all trainings fail.

    Example:
        >>> import numpy as np
        >>> X, y = np.random.rand(40, 8, 8), ["cat", "dog"] * 20
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> lm.export_child(network, "big", architecture=dict(), classes=("cat", "dog"), shape=(1, 8, 8))
        >>> result = lm.distil("big", (X, y), flops=1e8, max_parameters=5_000, progress=False)
        >>> result.parameters <= 5_000, 0 <= result.teacher.agreement <= 1
        (True, True)
    """
    return run_auto(AutoOptions(data, teacher=model, **options))
