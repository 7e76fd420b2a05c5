"""``auto``: data in, a searched and trained network out, within minutes, sizes and a latency that a person names."""

from __future__ import annotations

import os
import shlex
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from inspect import Parameter, Signature, signature
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, ParamSpec

import torch

from lit_metanas.automl.candidates import Job
from lit_metanas.automl.encoder_views import read_encoders, with_encoders
from lit_metanas.automl.front import WHOLE_FRONT
from lit_metanas.automl.limits import NoNetworkWithinError
from lit_metanas.automl.model_start import ModelStart, read_start
from lit_metanas.automl.options import AUTO_THREADS, AutoOptions, shell_options, with_options
from lit_metanas.automl.output import READ_DATA, READ_SHARE, STATE, OutputFolder, kept_sample
from lit_metanas.automl.stages import ONE_NETWORK, run_stages
from lit_metanas.automl.views import Views
from lit_metanas.comparisons.result_text import warn_of_classes
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import undisturbed
from lit_metanas.comparisons.target_search import task_settings
from lit_metanas.inputs.example_memory import ExampleMemory
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import describe_shape
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.given_data import (
    describe_columns,
    describe_given,
    existing_path,
    has_test_part,
    other_ways,
    raw_digest,
    read_given,
)
from lit_metanas.kinds.kind import Kind, kind_of
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.records.record_lines import record_file
from lit_metanas.spaces.any_input import LinearSpace
from lit_metanas.tasks.class_balance import balanced_task
from lit_metanas.tasks.splits import warn_of_copies
from lit_metanas.tasks.task import Task, check_task, warn_of_data
from lit_metanas.training.encoders import Encoder
from lit_metanas.training.export.exported_program import PROGRAM, WEIGHTS
from lit_metanas.training.export.onnx_program import INT8, check_onnx_installed
from lit_metanas.training.export.prediction_table import predict_command
from lit_metanas.training.precision import check_precision
from lit_metanas.training.task_start import TaskStart
from lit_metanas.training.trainers import check_threads
from lit_metanas.training.workers import check_workers, number_of_workers, worker_processes

READING_SHARE, LEAST_READING = 0.12, 0.04
"""Of the minutes, until all files have been read, and for reading in any case where a machine is slow to start.

What is looked at between reading and search takes about half of the time of reading, so that the search begins within
a fifth of the minutes.
"""

MANY_FILES, MANY_BYTES = 5_000, 4_000_000
"""So many files of a folder, or bytes of a table, take a while to read; a sentence says so."""

AUTO = """Search and train a network for data of any kind, within minutes and hard limits of its size and speed.

    ``data`` is a folder with a sub-folder of images, sounds or text files for each class; sounds with a table of
    transcripts; a table (CSV, TSV, JSON lines) of texts or numbers and labels, or of pairs of texts; or questions in
    SQuAD's format. A part of them is learned from, one chooses, and one tests.

    The search begins with networks of different structure and a recipe for the kind of data, and with what did well on
    recorded tasks. Two fifths of the budget go to the search of architecture, recipe and preprocessing. Linear models
    of plain features are candidates, too. The best candidate by validation, alone or as an ensemble, is trained on all
    but the test part, and tested once.

    The FLOPs in the result's ``budget`` repeat a run, with its ``precision``. After Ctrl-C, SIGTERM or a failed last
    training, the best so far is tested and returned; with an ``output`` the same call goes on.

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

P = ParamSpec("P")


def _taking(options: Callable[P, AutoOptions]) -> Callable[P, SearchResult]:
    """A function with the signature of the options."""

    def auto(*args: P.args, **given: P.kwargs) -> SearchResult:
        return run_auto(options(*args, **given))

    vars(auto)["__signature__"] = signature(options).replace(return_annotation="SearchResult")
    auto.__doc__, auto.__qualname__ = with_options(AUTO), "auto"
    return auto


auto = _taking(AutoOptions)


def run_auto(options: AutoOptions, *, began: float | None = None, from_shell: bool = False) -> SearchResult:
    """Read, search, train, test and, with an output, write.

    ``began`` is the clock when the minutes began, and ``from_shell`` says that a command repeats the result, no call.
    """
    began = perf_counter() if began is None else began
    check_workers("auto", options.workers)
    check_threads("auto", options.given_threads)
    check_precision("auto", options.precision)
    if options.threads is None:
        options = replace(options, threads=torch.get_num_threads())
    if options.onnx or options.int8:
        check_onnx_installed()
    start = None if options.start is None else read_start(options.start)
    output = None if options.output is None else own_path(options.output, "output")
    _check_paths(options, output, "--output" if from_shell else "output=")
    with ExitStack() as held:
        if output is not None:
            held.enter_context(directory_lock(output, "auto", "output"))
        reading = _reading(options, output, began)
        job = held.enter_context(_read(options, output, start, began, reading))
        known = job.folder and job.folder.finished(job.views)
        result = known or _searched(job)
        if known is None:
            warn_of_classes(result)
            if isinstance(start, ModelStart):
                result = replace(result, earlier=start.compare(result, job.task, partial(_read_as, options, reading)))
        result = _with_command(result, job.options, from_shell)
        if job.folder is not None:
            _write(job.folder, job, result, finished=known is not None, from_shell=from_shell)
        if options.wandb is not None and known is None:
            _log(result, options.wandb, options)
    return result


def _reading(options: AutoOptions, output: Path | None, began: float) -> FileReading:
    """What reads files: all, or with minutes as many as there is time for."""
    share, seconds = options.sample, 60 * (options.minutes or inf)
    if share is None and output is not None:
        share = kept_sample(output)
    memory = ExampleMemory(options.memory_bytes, output)
    return FileReading(memory, share, until=began + READING_SHARE * seconds, least=LEAST_READING * seconds)


@contextmanager
def _read(
    options: AutoOptions, output: Path | None, start: TaskStart | ModelStart | None, began: float, reading: FileReading
) -> Iterator[Job]:
    """Read the data, find out what they are, and set precision, threads and workers while a search goes on."""
    begin = perf_counter()
    before = None if start is None else start.made_before
    task = read_given(options.data, **options.read_as, start=before, reading=reading)
    if reading.sampled:
        all_of_them = "; --sample 1 reads all, and takes longer" * (options.sample is None)
        number = f"{len(reading.sampled):,} of {reading.found:,} files"
        options.say(f"reads {number}, the same share of each class{all_of_them}.")
        options = replace(options, sample=reading.share)
    task, why = balanced_task(task, options.metric, options.class_weight)
    seconds = perf_counter() - begin
    kind = _describe(task, options)
    if why:
        options.say(why)
    encoders = read_encoders(options, kind)
    flops = inf if options.minutes is not None else sum(options.parts)
    with undisturbed(task, 1), ExitStack() as held:
        workers = number_of_workers(options.workers, flops=flops, device=task.train.inputs.device)
        held.enter_context(worker_processes(workers))
        task = task.trainable()
        ways = other_ways(options.data, task, **options.read_as, reading=reading)
        linear_ways = kind.linear_views.values()
        if encoders:
            kind, task, ways = with_encoders(options, kind, task, ways, encoders)
        space = options.space or kind.space(task.shape, task.goal)
        space.check_shape(task.shape)
        space.check_objective(task.goal)
        # Examples of a group that is learned from would say too little of new ones.
        apart = isinstance(task.goal, Regression) and options.group is None
        views = Views(task, ways, space, options.limits, start, linear=linear_ways, apart=apart, encoded=encoders)
        views.read_encoded()
        if start is not None:
            options.say(f"{views.beginning} '{writable(str(options.start))}', on {describe_shape(task.shape)}.")
        linear, one_answer = None, isinstance(task.goal, Classification | SeveralLabels | Regression)
        if options.space is None and one_answer and kind.features:
            linear = views.in_space(LinearSpace())
        settings = _settings(options, kind, views, linear, encoders, reading)
        folder = None if output is None else OutputFolder(output, settings)
        yield Job(options, kind, views, linear, folder, began, seconds)


def _read_as(options: AutoOptions, reading: FileReading, preprocessing: Preprocessing) -> Task:
    """The data by another preprocessing."""
    return read_given(options.data, **options.read_as, prepared=preprocessing, reading=reading).trainable()


def _searched(job: Job) -> SearchResult:
    """The result of a search; of linear models alone if these alone are within the limits."""
    goal = WHOLE_FRONT if job.options.pareto else ONE_NETWORK
    try:
        return run_stages(job, goal)
    except NoNetworkWithinError as error:
        if job.linear is None or job.options.start is not None:
            raise
        try:
            job.linear.usual.limited.begin({})
        except NoNetworkWithinError as other:
            raise ValueError(
                f"{error.reason} Nor is a linear model within {other.within}: the nearest {other.nearest}. Raise "
                f"{other.limit} at least to that of the linear model."
            ) from None
        job.options.say(f"{error.reason} Linear models are, so they alone are trained.")
    return run_stages(job.alone, goal)


def _check_paths(options: AutoOptions, output: Path | None, key: str) -> None:
    """Refuse data that are not there, and an output among them, before it is made; report much to read."""
    for name, given in (("data", options.data), ("test", options.test)):
        if not isinstance(given, str | os.PathLike):
            continue
        path, shown = existing_path(given, name), writable(str(given))
        if output is not None and path.resolve() in output.resolve().parents and not (output / STATE).exists():
            raise ValueError(
                f"The output '{writable(str(output))}' would lie in the data, '{shown}', and may be read with them: "
                f"give another {key}."
            )
        if (files := sum(len(names) for _, _, names in os.walk(path))) >= MANY_FILES:
            options.say(f"reading {files:,} files in '{shown}'.")
        if path.is_file() and (size := path.stat().st_size) >= MANY_BYTES:
            options.say(f"reading {size / 1e6:.1f} MB of '{shown}'.")


def _describe(task: Task, options: AutoOptions) -> Kind:
    """Check a task, report what it is, and warn of copies; returns the kind of its data."""
    check_task(task)
    kind = kind_of(task, options.kind)
    if not kind.holds(task):
        raise ValueError(f"The data are of the kind '{kind_of(task).name}', not '{options.kind}': leave 'kind' out.")
    text = describe_given(task, kind, grouped=options.group is not None)
    columns = describe_columns(options.data, kind, options.group, options.label, options.test_by, options.exclude)
    options.say(text + columns)
    if isinstance(task.goal, Regression) and options.objective is None and not isinstance(options.data, Task):
        options.say("targets are numbers: regression; give --objective classification for classes.")
    if isinstance(task.goal, SeveralLabels) and options.objective is None and not isinstance(options.data, Task):
        most = int(task.train.labels.sum(1).argmax())
        (shown,) = task.goal.show(task.goal.answers(task.train.labels[most][None]), task.train.inputs[:1], task)
        options.say(
            f"an example may have several labels, such as '{printable(shown, 80)}'; give --objective classification "
            "if these are one class."
        )
    warn_of_copies(task, drawn=not has_test_part(options.data, options.test))
    for sentence in kind.caveats(task):
        warn_of_data(sentence)
    return kind


def _settings(
    options: AutoOptions,
    kind: Kind,
    views: Views,
    linear: Views | None,
    encoders: Mapping[str, Encoder],
    reading: FileReading,
) -> dict[str, Any]:
    """What decides the result, as plain values."""
    return {
        **({READ_SHARE: reading.share} if reading.sampled else {}),
        "task": task_settings(views.usual.task),
        READ_DATA: raw_digest(options.data, kind, options.test, options.group, options.exclude, reading),
        "preprocessings": list(views.labels),
        "space": settings_of(views.space),
        "start": _start_settings(options.start),
        "encoders": [one.digest for one in encoders.values()] or None,
        "linear_models": None if linear is None else settings_of(linear.space),
        "limits": views.limits.settings,
        "pareto": options.pareto,
        "minutes": options.minutes,
        "flops": list(options.parts),
        "records": [settings_of(record_file(path)) for path in options.records],
        "seed": options.seed,
        "threads": options.threads,
        "precision": options.precision,
    }


def _start_settings(start: str | os.PathLike[str] | None) -> Any:
    """The content of a start as plain values."""
    if start is None:
        return None
    if os.path.isdir(start):
        return settings_of(os.path.join(start, WEIGHTS))
    return settings_of(os.fspath(start))


def _with_command(result: SearchResult, options: AutoOptions, from_shell: bool) -> SearchResult:
    """A result, and each of its front, with what repeats it, unless it was stopped."""
    if result.budget is None:
        return result
    if options.threads == AUTO_THREADS and result.threads != 1:
        options = replace(options, threads=result.threads)
    command = options.repeated(result.budget, result.precision, from_shell=from_shell)
    return replace(result, command=command, front=tuple(replace(one, command=command) for one in result.front))


def _write(folder: OutputFolder, job: Job, result: SearchResult, *, finished: bool, from_shell: bool) -> None:
    """Write a result, unless that was done before, and missing ONNX files.

    A call in Python loses no result to a full disk; a command fails.
    """
    options, added = job.options, False
    try:
        if not finished:
            options.say("writing the network and the report.")
            folder.write(job.views.labelled(result.view).task, result, seed=options.seed)
        if options.onnx or options.int8:
            added = _add_onnx(folder, options, result)
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
    from wandb.errors import Error

    from lit_metanas.report.logged_search import log_search

    try:
        place = log_search(result, project, folder=options.output or ".")
    except (Error, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        warnings.warn(
            f"Weights & Biases got nothing of this search ({printable(reason, 200)}): log in by `wandb login`, or "
            "unset WANDB_MODE to keep the run on this machine. The result is complete.",
            stacklevel=4,
        )
        return
    options.say(f"the run of Weights & Biases is in '{writable(str(place))}'.")


def _add_onnx(folder: OutputFolder, options: AutoOptions, result: SearchResult) -> bool:
    """Add the ONNX files that are missing; returns whether there were any."""
    if result.stopped:
        options.say("stopped: there are no ONNX files yet; the same call adds them once it has finished.")
        return False
    if not (lacking := folder.without_onnx(result, int8=options.int8)):
        return False
    options.say("translating the network to ONNX, which may take minutes.")
    loss = folder.add_onnx(lacking, int8=options.int8)
    if loss is not None:
        options.say(f"with weights of 8 bits ({INT8}) the test {loss.metric} is {loss.told}.")
    return True


def _with_keys(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb with the options as its keys."""
    keys = shell_options(output="model").items()
    own = [Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default) for name, (kind, default) in keys]
    vars(verb)["__signature__"] = Signature(own)
    return verb


@_with_keys
def auto_verb(*, began: float, **given: Any) -> None:
    """The verb ``auto``: its keys are the options, ``began`` is the clock when the command began.

    Raises:
        FailedWorkError: the last training failed; the message says what there is.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the message says what there is.
    """
    options = AutoOptions(**given)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = run_auto(options, began=began, from_shell=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    print(found)
    output = os.fspath(options.output or "")
    kept = f"the best so far is in '{output}', and"
    if found.failure:
        raise FailedWorkError(f"the last training failed; {kept} once the cause is fixed the same command goes on.")
    if found.stopped:
        raise KeyboardInterrupt(f"stopped; {kept} the same command goes on.")
    program = Path(output) / PROGRAM
    size = f" ({PROGRAM}, {program.stat().st_size:,} bytes)" if program.is_file() else ""
    print(f"The network{size}, a report and what was tried are in '{output}'.")
    print(f"Next: {shlex.join(['lit-metanas', *predict_command(output, options.kind)])}", flush=True)
