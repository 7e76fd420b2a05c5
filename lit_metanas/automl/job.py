"""The data of a call of ``auto``: they are read, described, and made ready for a search."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any

from lit_metanas.automl.budget_plan import SHARES, BudgetPlan
from lit_metanas.automl.options import NO_ENCODER, TEACHER, AutoOptions
from lit_metanas.automl.output import READ_DATA, READ_SHARE, STATE, OutputFolder, kept_sample
from lit_metanas.comparisons.single_task import undisturbed
from lit_metanas.comparisons.target_search import task_settings
from lit_metanas.estimators.estimator import Estimator
from lit_metanas.estimators.input_variants import InputVariants, VariantEstimator
from lit_metanas.estimators.meta_training import KeptScores
from lit_metanas.inputs.example_memory import ExampleMemory
from lit_metanas.inputs.shapes import describe_shape
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import option_words, printable, writable
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.given_data import describe_data, existing_path, has_test_part, other_ways, read_given, read_under
from lit_metanas.kinds.kind import Kind, kind_of
from lit_metanas.kinds.kind_of_path import raw_digest
from lit_metanas.kinds.rows.row_kind import EncodedRows
from lit_metanas.objectives import Regression
from lit_metanas.records.record_lines import record_file
from lit_metanas.spaces.any_input import is_solved
from lit_metanas.tasks.labels import balanced_task
from lit_metanas.tasks.splits import warn_of_copies
from lit_metanas.tasks.task import Task, check_task, warn_of_data
from lit_metanas.training import EncodedTask, Encoder, Recipe, encode, read_encoder
from lit_metanas.training.export.exported_program import WEIGHTS
from lit_metanas.training.given_models import ModelStart, Teacher, read_start
from lit_metanas.training.meta_weights import TaskStart
from lit_metanas.training.precision import FLOAT32
from lit_metanas.training.workers import number_of_workers, worker_processes

# So many files of a folder take a while to read; a sentence says so.
MANY_FILES = 5_000

Ways = dict[str, Callable[[], Task]]  # what makes the task of each preprocessing, by its label


@dataclass(frozen=True, eq=False)
class Job:
    """One call of ``auto``, once its data have been read."""

    options: AutoOptions
    kind: Kind
    variants: InputVariants
    linear_variants: InputVariants | None  # the same data for linear models; None compares with none
    folder: OutputFolder | None
    began: float  # the clock when the minutes began
    read_seconds: float  # to read the data
    read: Callable[[Any], Task] | None = None  # the same data under another preprocessing
    start: TaskStart | ModelStart | None = None  # what the search begins with
    teacher: Teacher | None = None

    @property
    def task(self) -> Task:
        """The data under the usual preprocessing."""
        return self.variants.usual.task

    def estimator(self, variants: InputVariants, recipe: Recipe, folds: int, precision: str = FLOAT32) -> Estimator:
        """What trains candidates under any variant; the output keeps their scores and weights."""
        plain = VariantEstimator(variants, self.options.seed, recipe, folds=folds, precision=precision)
        if self.folder is None:
            return plain
        return KeptScores(plain, self.folder.trainings, self.folder.settings)

    def keep(self, plan: BudgetPlan) -> None:
        """Write a plan, if there is an output."""
        if self.folder is not None:
            self.folder.keep(plan)


def check_paths(options: AutoOptions, output: Path | None) -> None:
    """Refuse data that are not there, and an output among them, before it is made; report much to read."""
    for name, given in (("data", options.data), ("test", options.test)):
        if not isinstance(given, str | os.PathLike):
            continue
        path, shown = existing_path(given, name), writable(str(given))
        if output is not None and path.resolve() in output.resolve().parents and not (output / STATE).exists():
            raise ValueError(
                f"The output '{writable(str(output))}' would lie in the data, '{shown}', and may be read with them: "
                f"give another {option_words('output')}."
            )
        if (files := sum(len(names) for _, _, names in os.walk(path))) >= MANY_FILES:
            options.say(f"reading {files:,} files in '{shown}'.")


@contextmanager
def open_job(options: AutoOptions, began: float) -> Iterator[Job]:
    """Read the data, find out what they are, and set precision, threads and workers while a search goes on."""
    start = None if options.start is None else read_start(options.start)
    teacher = None if options.teacher is None else Teacher.read(options.teacher)
    output = None if options.output is None else own_path(options.output, "output")
    check_paths(options, output)
    with ExitStack() as held:
        if output is not None:
            held.enter_context(directory_lock(output, "auto", "output"))
        begin, reading = perf_counter(), _reading(options, output, began)
        task, options = _read_task(options, reading, start)
        task, why = balanced_task(task, options.metric, options.class_weight)
        seconds, kind = perf_counter() - begin, _describe(task, options)
        if why:
            options.say(why)
        encoders = read_encoders(options, kind, task)
        flops = sum(options.given_flops) or inf  # there are none with minutes
        held.enter_context(undisturbed(task, 1))
        workers = number_of_workers(options.workers, flops=flops, device=task.train.inputs.device)
        held.enter_context(worker_processes(workers))
        task = task.trainable()
        read_as = {**options.read_as, "reading": reading}
        ways = other_ways(options.data, task, **read_as)
        read = partial(read_under, options.data, task, **read_as)
        if encoders:
            kind, task, ways = with_encoders(options, kind, task, ways, encoders, read)
        space = options.space or kind.space(task.shape, task.goal)
        space.check_shape(task.shape)
        space.check_objective(task.goal)
        lesson = None
        if teacher is not None:
            asked: dict[str, Any] = {"data": options.data, "unlabelled": options.unlabelled, "seed": options.seed}
            lesson = teacher.lesson(task, kind, read, **asked)
            options.say(f"learns from '{teacher.place}'{lesson.describe(', also what it says of ')}.")
        variants = InputVariants(
            task,
            ways,
            space,
            options.limits,
            start=start,
            linear=[kind.linear_view],
            # Examples of a group that is learned from would say too little of new ones.
            sets_apart=isinstance(task.goal, Regression) and options.group is None,
            encoded=encoders,
            lesson=lesson,
        )
        variants = _ready(variants, options)
        linear = None
        if options.space is None and is_solved(task.goal) and kind.features and len(task.train) <= kind.most_linear:
            linear = variants.in_space(kind.linear_space())
        settings = _settings(options, kind, variants, linear, encoders, reading)
        folder = None if output is None else OutputFolder(output, settings)
        yield Job(options, kind, variants, linear, folder, began, seconds, read, start, teacher)


def _ready(variants: InputVariants, options: AutoOptions) -> InputVariants:
    """The data with the features of encoders, and with a usual preprocessing for which a network is within limits."""
    usual, encoded = variants.usual, variants.encoded
    variants.read_encoded()
    if options.start is not None:
        taken = "inputs are made as those of"
        if variants.start_weights:
            taken = "the first network is that of"
        elif variants.weights is not None:
            taken = "all networks begin with"
        options.say(f"{taken} '{writable(str(options.start))}', on {describe_shape(usual.task.shape)}.")
    elif not encoded and options.limits.given:
        variants = variants.fitting()
        if variants.usual.label != usual.label:
            options.say(f"no network for {usual.label} is within the limits: begins with {variants.usual.label}.")
    return variants


def _reading(options: AutoOptions, output: Path | None, began: float) -> FileReading:
    """What reads files: all, or with minutes as many as there is time for."""
    share, seconds = options.sample, 60 * (options.minutes or inf)
    if share is None and output is not None:  # a search that goes on reads what it has read before
        share = kept_sample(output)
    memory = ExampleMemory(options.memory_bytes, output)
    return FileReading(memory, share, until=began + SHARES.reading * seconds, least=SHARES.least_reading * seconds)


def _read_task(
    options: AutoOptions, reading: FileReading, start: TaskStart | ModelStart | None
) -> tuple[Task, AutoOptions]:
    """The task, and the options with the share of the files that was read, if that was chosen."""
    before = None if start is None else start.made_before
    task = read_given(options.data, **options.read_as, start=before, reading=reading)
    if reading.sampled:
        end = f"; {option_words('sample', 1)} reads all, and takes longer" * (options.sample is None)
        options.say(f"reads {len(reading.sampled):,} of {reading.found:,} files, the same share of each class{end}.")
        return task, replace(options, sample=reading.share)
    if options.sample not in (None, 1):
        raise ValueError(
            f"auto: sample = {options.sample:g} is a share of files of images or sounds, and the data are none: leave "
            "it out, or give fewer examples."
        )
    return task, options


def _describe(task: Task, options: AutoOptions) -> Kind:
    """Check a task, report what it is, and warn of copies; returns the kind of its data."""
    check_task(task)
    kind = kind_of(task, options.kind)
    if not kind.holds(task):
        raise ValueError(f"The data are of the kind '{kind_of(task).name}', not '{options.kind}': leave 'kind' out.")
    for sentence in describe_data(task, kind, options.data, options.read_as):
        options.say(sentence)
    warn_of_copies(task, drawn=not has_test_part(options.data, options.test))
    for sentence in kind.caveats(task):
        warn_of_data(sentence)
    return kind


def _settings(
    options: AutoOptions,
    kind: Kind,
    variants: InputVariants,
    linear: InputVariants | None,
    encoders: Mapping[str, Encoder],
    reading: FileReading,
) -> dict[str, Any]:
    """What decides the result, as plain values."""
    sample: dict[str, Any] = {}
    if reading.sampled:
        sample[READ_SHARE] = reading.share
    return sample | {
        "task": task_settings(variants.usual.given),
        READ_DATA: raw_digest(options.data, kind, options.test, options.group, options.exclude, reading),
        "preprocessings": list(variants.labels),
        "space": settings_of(variants.space),
        "start": _start_settings(options.start),
        TEACHER: _start_settings(options.teacher),
        "unlabelled": variants.lesson and variants.lesson.digest,
        "encoders": [one.digest for one in encoders.values()] or None,
        "linear_models": linear and settings_of(linear.space),
        "limits": variants.limits.settings,
        "pareto": options.pareto,
        "minutes": options.minutes,
        "flops": list(options.given_flops),
        "records": [settings_of(record_file(path)) for path in options.records],
        "seed": options.seed,
        "threads": options.threads,
        "precision": options.precision,
    }


def _start_settings(start: str | os.PathLike[str] | None) -> Any:
    if start is not None and os.path.isdir(start):
        start = os.path.join(start, WEIGHTS)
    return settings_of(start and os.fspath(start))


def read_encoders(options: AutoOptions, kind: Kind, task: Task) -> dict[str, Encoder]:
    """The encoders that the user gives, by their labels, without ``none``."""
    found = dict[str, Encoder]()
    for given in options.encoders or ():
        if given == NO_ENCODER:
            continue
        one = given
        if not isinstance(given, Encoder):
            one = read_encoder(given, side=options.shape, download=options.download)
        if kind.name not in one.kinds:
            raise ValueError(
                f"The encoder '{printable(one.name, 60)}' is for {' and '.join(one.kinds)}, and the data are "
                f"{kind.noun}: leave it out."
            )
        one = one.heard_as(task.preprocessing)
        options.limits.check_encoder(one)
        if one.name in found or one.name == NO_ENCODER:
            raise ValueError(f"Two encoders are called '{printable(one.name, 60)}': rename the file of one.")
        if one.about:
            options.say(f"the encoder '{one.name}' was taken for {one.about}.")
        found[one.name] = one
    return found


def with_encoders(
    options: AutoOptions,
    kind: Kind,
    task: Task,
    ways: Ways,
    encoders: Mapping[str, Encoder],
    read: Callable[[Any], Task],
) -> tuple[Kind, Task, Ways]:
    """The kind and the task that a search begins with, and the task of each preprocessing, those of encoders last.

    Without ``none`` among the encoders, networks are searched for their features alone. ``read`` gives the task under
    another preprocessing.
    """

    def encoded(one: Encoder) -> EncodedTask:
        raw = read(one.preprocessing or one.shape)  # images have their shape alone
        own = replace(raw, train=replace(raw.train, weights=task.train.weights), objective=task.objective)
        return encode(own, one, seconds=SHARES.encoding * 60 * (options.minutes or inf))

    made = {label: partial(encoded, one) for label, one in encoders.items()}
    if NO_ENCODER in options.encoders:
        own = {label or NO_ENCODER: way for label, way in ways.items()}
        return kind, task, {**(own or {NO_ENCODER: lambda: task}), **made}
    first = next(iter(made.values()))().trainable()
    return EncodedRows(), first, {**made, first.encoder.name: lambda: first}
