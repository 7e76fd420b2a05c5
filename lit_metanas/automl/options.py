"""The options of ``auto``: one dataclass for the signature in Python, the shell's keys, and the help of both."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import KW_ONLY, MISSING, dataclass, field, fields
from functools import partial
from inspect import Parameter
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from lit_metanas.io.quantities import bytes_of, positive, seconds_of, whole_number
from lit_metanas.io.text import plain_number, printable

if TYPE_CHECKING:
    from lit_metanas.kinds.given_pairs import Given
    from lit_metanas.spaces.space import SearchSpace
    from lit_metanas.tasks.labels import Groups

MINUTES = 10.0  # the budget without minutes and FLOPs

# Larger budgets are slips of the pen: two years, and about what the largest networks of all were trained with.
MOST_MINUTES, MOST_FLOPS = 1e6, 1e24

# What precision='auto' means with FLOPs: no clock decides then, so that the same FLOPs repeat a run.
PRECISION_OF_FLOPS = "32-true"

STUDENT_SIZE = "500kB"  # the size of a network with a teacher, if no limit is given
TEACHER = "teacher"  # the folder of a teacher that is trained first, in the output of its student
STUDENT_FOLDER = "student"  # where the verb ``distil`` writes by default: the teacher mostly is where ``auto`` does

# The options that ``distil`` lacks.
NOT_OF_STUDENTS = ("start", "teacher", "student", "pareto", "encoders", "download")

MEASURES = ("parameters", "flops", "latency")  # what accuracy can be traded against

# The options that say how data are read.
READ_AS = ["kind", "test", "group", "label", "min_per_class", "objective", "shape", "window", "test_by", "exclude"]

AUTO_THREADS = "auto"  # the number of threads that is found for a network
NO_ENCODER = "none"  # among encoders, what stands for the networks without one

_NOT_REPEATED = ("teacher", "minutes", "onnx", "workers", "progress", "output", "precision", "wandb")

# How each limit is read; a ValueError names one that is out of its range.
_LIMITS: dict[str, Callable[[Any], float]] = {
    "parameters": partial(positive, "max_parameters"),
    "flops": partial(positive, "max_flops"),
    "latency": seconds_of,
    "size": bytes_of,
}


def option(text: str, default: Any = None, *, shell: Any = None) -> Any:
    """A field of the options; ``shell`` is the type of its key in the shell, None if only Python has it."""
    return field(default=default, metadata={"help": text, "shell": shell})


# A new option may also belong to `READ_AS`, `_NOT_REPEATED` or `NOT_OF_STUDENTS`; one that changes results belongs to
# the settings in `job`, by which a search that goes on is known again.
@dataclass
class AutoOptions:
    """All options of one call of ``auto``.

    Raises:
        ValueError: one is out of its range, or two exclude each other; the sentence names it.

    Example:
        >>> options = lm.automl.AutoOptions("photos", max_latency="5ms")
        >>> options.minutes, options.limits.latency
        (10.0, 0.005)
    """

    data: Given = option(
        "a folder or file, without --data if it stands first; in Python also (X, y), a data frame, records or a task",
        MISSING,
        shell=str,
    )
    _: KW_ONLY
    minutes: float | None = option("how long everything may take; pairs need two; 10 without flops", shell=float | None)
    output: str | os.PathLike[str] | None = option("folder for the network, a report and the records", shell=str)
    kind: str | None = option(
        "images, sounds, transcripts, texts, rows, tables (of both), series, pairs, questions or a class path, "
        "if it is not clear",
        shell=str | None,
    )
    test: Given | None = option("the test part, in the form of the data; by default some of them", shell=str | None)
    test_by: str | None = option(
        "a column with train, val, test, or with dates: the newest are tested", shell=str | None
    )
    exclude: str | Sequence[str] | None = option(
        "columns of a table, or files as old-?.png, to leave out; several as [a,b]", shell=list[str] | str | None
    )
    group: str | Groups | None = option(
        "keeps groups in one part: a column, folder, or (p[0-9]+)_ in files' names", shell=str | None
    )
    label: str | Sequence[str] | None = option(
        "the column of labels or numbers, or several of 0 and 1, as in red,round", shell=list[str] | str | None
    )
    min_per_class: int | None = option(
        "smaller classes are left out; by default those that cannot be divided", shell=int | None
    )
    objective: str | None = option(
        "classification, several labels, regression or a class path, if not clear", shell=str | None
    )
    metric: str | None = option(
        "a metric of torchmetrics or scikit-learn, as f1_macro; balanced accuracy if a class is rare", shell=str | None
    )
    class_weight: Literal["auto", "balanced"] | Mapping[Any, float] | None = option(
        "balanced (classes count alike), null, or auto, by metric", "auto", shell=Literal["auto", "balanced"] | None
    )
    shape: int | None = option("pixels of each side that images begin with; 32 by default", shell=int | None)
    sample: float | None = option(
        "share of the files that is read; by default all that there is time for", shell=float | None
    )
    max_memory: float | str | None = option(
        "most memory of what is read, as in 2GB; more lies on disk", shell=str | None
    )
    window: float | None = option(
        "seconds of sounds that networks hear at once; by default up to 10", shell=float | None
    )
    space: SearchSpace | None = option("what can be built; by default the space of the kind")
    encoders: Any = option("files of pretrained networks in front; none tries networks without", shell=list[str] | None)
    download: bool = option("whether encoders that are given by name are downloaded", False, shell=bool)
    start: str | os.PathLike[str] | None = option(
        "a model, to go on with more data; or a checkpoint of TaskReptile", shell=str | None
    )
    teacher: str | os.PathLike[str] | None = option(
        "an exported model that the network learns from, next to the labels; see ``distil``"
    )
    student: bool = option("learns from a large network that is trained first", False, shell=bool)
    unlabelled: Any = option("a folder or file of examples without labels, which a teacher labels", shell=str | None)
    max_parameters: float | None = option("most trainable parameters", shell=float | None)
    max_flops: float | None = option("most multiply-adds for one input", shell=float | None)
    max_latency: float | str | None = option(
        "most time for one input, as in 5ms, measured on this machine", shell=str | None
    )
    max_size: float | str | None = option("most bytes of the exported program, as in 500kB", shell=str | None)
    pareto: str | None = option(
        "a front of networks that trade accuracy for parameters, flops or latency", shell=str | None
    )
    onnx: bool = option("also writes the network as model.onnx, for onnxruntime", False, shell=bool)
    flops: float | tuple[float, float] | None = option(
        "training FLOPs instead of minutes, as a result reports them: [1e11,2e11]",
        shell=float | tuple[float, float] | None,
    )
    records: Sequence[str] = option("files of searches of other tasks that networks are taken from", ("shipped",))
    seed: int = option("of search and training", 0, shell=int)
    threads: int | Literal["auto"] | None = option(
        "torch's threads in the last training of a single network, and for the latency; auto is one, or with minutes "
        "one for each core if that is faster",
        "auto",
        shell=int | Literal["auto"] | None,
    )
    workers: int | Literal["auto"] = option(
        "processes that train side by side; auto is one a core", "auto", shell=int | Literal["auto"]
    )
    precision: str = option("32-true, bf16-mixed, or auto: with minutes the faster one", "auto", shell=str)
    wandb: str | None = option("project of Weights & Biases for trials and figures (see WANDB_MODE)", shell=str | None)
    progress: bool = option("whether progress is shown on stderr", True)

    def __post_init__(self) -> None:
        # Only here, as it needs torch: the shell's help, which reads the options, is fast.
        from lit_metanas.estimators.limits import NetworkLimits

        if self.minutes is not None and self.flops is not None:
            raise ValueError("auto: give minutes or flops, not both.")
        if self.minutes is None and self.flops is None:
            self.minutes = MINUTES
        if self.minutes is not None:
            self.minutes = positive("auto: minutes", self.minutes, MOST_MINUTES)
        self.given_flops = _given_flops(self.flops)
        self._check_student()
        limits = {name: getattr(self, f"max_{name}") for name in _LIMITS}
        read = {name: _LIMITS[name](value) for name, value in limits.items() if value is not None}
        self.limits = NetworkLimits(**read, threads=self.given_threads)
        if self.shape is not None:
            self.shape = whole_number("auto: shape", self.shape, 1, 4096)
        if self.sample is not None:
            self.sample = positive("auto: sample", self.sample, 1)
        self.memory_bytes = None if self.max_memory is None else bytes_of(self.max_memory, "auto: max_memory = ")
        self.seed = whole_number("auto: seed", self.seed, 0, 2**63 - 1)
        self.exclude = self.exclude and _several(self.exclude)
        self.label = self.label and ",".join(_several(self.label))
        self.records = tuple(map(os.fspath, _several(self.records)))
        self.encoders = self.encoders and _several(self.encoders)
        if self.encoders and self.start is not None:
            raise ValueError("auto: 'start' keeps what makes its inputs: leave 'encoders' out.")
        for name in ("space", "pareto"):
            if getattr(self, name) is not None and NO_ENCODER in (self.encoders or ()):
                raise ValueError(f"auto: '{name}' is for one kind of input: leave 'none' out of 'encoders', or it.")
        if self.pareto is not None and self.pareto not in MEASURES:
            raise ValueError(
                f"auto: no front can be made for pareto = '{printable(str(self.pareto), 40)}': give "
                f"{', '.join(MEASURES[:-1])} or {MEASURES[-1]}."
            )
        if self.wandb is not None and not re.fullmatch(r"[^/\\#?%:]{1,128}", str(self.wandb)):
            raise ValueError(
                f"auto: wandb = '{printable(str(self.wandb), 40)}' must be a project's name, without /\\#?%:."
            )
        if self.onnx and self.output is None:
            raise ValueError("auto: onnx is a file in the output: give 'output', too.")

    def _check_student(self) -> None:
        """Refuse what a student has not, and limit its size if nothing else is limited."""
        if self.teacher is None and not self.student:
            if self.unlabelled is not None:
                raise ValueError("auto: unlabelled examples need a teacher: give 'student', or a teacher to `distil`.")
            return
        foreign = ["start", "pareto", *(["encoders", "student"] * (self.teacher is not None))]
        if wrong := [name for name in foreign if getattr(self, name)]:
            raise ValueError(
                "auto: a student is one network that reads raw inputs, begins with fresh weights, and has one teacher: "
                f"leave '{wrong[0]}' out."
            )
        if self.student and self.output is None:
            raise ValueError("auto: the teacher of a student is kept in the output: give 'output', too.")
        if all(limit is None for limit in (self.max_parameters, self.max_flops, self.max_latency, self.max_size)):
            self.max_size = STUDENT_SIZE

    @property
    def given_threads(self) -> int:
        """The number of threads; 1 if it is to be found, or is that of the caller."""
        if isinstance(self.threads, int):
            return self.threads
        return 1

    @property
    def read_as(self) -> dict[str, Any]:
        """The options that say how the data are read."""
        return {name: getattr(self, name) for name in READ_AS}

    def say(self, text: str) -> None:
        """Report on stderr, if progress is wanted."""
        if self.progress:
            print(f"auto: {printable(text)}", file=sys.stderr, flush=True)

    def repeated(self, budget: tuple[float, float], precision: str, *, from_shell: bool) -> str:
        """The command, or the call in Python, that repeats a result; what lies in memory goes by the option's name."""
        given = {"flops": f"[{','.join(map(plain_number, budget))}]", "seed": str(self.seed)}
        if precision != PRECISION_OF_FLOPS:
            given["precision"] = _word_of("precision", precision, from_shell)
        for one in fields(self)[1:]:
            value = getattr(self, one.name)
            # A user's array has no truth value; where one may be given, the default is None.
            usual = value is one.default or (one.default is not None and value == one.default)
            if not usual and one.name not in (*given, *_NOT_REPEATED):
                given[one.name] = _word_of(one.name, value, from_shell)
        verb, model = "auto", list[str]()
        if self.teacher is not None:
            verb, model = "distil", [os.fspath(self.teacher)]
        if not from_shell:
            words = [*map(repr, model), _word_of("data", self.data, from_shell)]
            return f"lm.{verb}({', '.join([*words, *(f'{name}={value}' for name, value in given.items())])})"
        # Another folder: this one holds a result of other settings, of minutes instead of FLOPs.
        given["output"] = f"{os.path.basename(os.path.abspath(self.output or ''))}_again"
        words = [word for name, value in given.items() for word in _key_words(name, value)]
        first = _word_of("data", self.data, from_shell)
        if first.startswith("-"):
            first = f"--data={first}"
        return shlex.join(["lit-metanas", verb, *(f"--model={one}" for one in model), first, *words])


def shared(name: str) -> Any:
    """The same option as the field of another dataclass, as of scikit-learn's estimators."""
    one = AutoOptions.__dataclass_fields__[name]
    return field(default=one.default, metadata=one.metadata)


def shell_options(without: Collection[str] = (), **defaults: object) -> list[Parameter]:
    """The keys of the shell with type and default, which may be given; an empty one must be given by the user."""
    defaults = {"data": Parameter.empty, **defaults}
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults.get(name, one.default), annotation=kind)
        for name, one in AutoOptions.__dataclass_fields__.items()
        if (kind := one.metadata.get("shell")) and name not in without
    ]


def shell_help(without: Collection[str] = (), **defaults: object) -> dict[str, str]:
    """A line of help for each key of the shell; see ``shell_options``."""
    lines = {one.name: one.metadata["help"] for one in fields(AutoOptions)}
    keys = shell_options(without, **defaults)
    return {one.name: f"{lines[one.name]}{_default_text(one.default)}" for one in keys}


def with_options(text: str, without: Collection[str] = ()) -> str:
    """A docstring with an entry for each option where it says ``{options}``."""
    lines = [f"{one.name}: {one.metadata['help']}." for one in fields(AutoOptions) if one.name not in without]
    # Python 3.13 takes the indent off docstrings.
    return re.sub(r"(\n *)\{options\}", lambda found: "".join(found[1] + line for line in lines), text)


def _given_flops(flops: object) -> tuple[float, ...]:
    """The FLOPs of search and training, or of both together; none with minutes."""
    if flops is None:
        return ()
    numbers = _several(flops)
    if len(numbers) > 2:
        raise ValueError("auto: flops are one number, or two: of the search, and of the training after it.")
    return tuple(positive("auto: flops", number, MOST_FLOPS) for number in numbers)


def _several(given: Any) -> tuple[Any, ...]:
    """One value or several."""
    if isinstance(given, Sequence) and not isinstance(given, str):
        return tuple(given)
    return (given,)


def _default_text(default: object) -> str:
    """The end of a line of help."""
    if default is Parameter.empty:
        return " (must be given)"
    if default is None:
        return ""
    return f" (default: {str(default).lower()})"


def _word_of(name: str, value: object, from_shell: bool) -> str:
    """The value of an option in a command or a call."""
    if name == "records":
        return repr(value)
    if name in ("encoders", "exclude") and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        return f"[{','.join(value)}]" if from_shell else repr([*value])
    if isinstance(value, float):
        return plain_number(value)
    if value is None:
        return "null" if from_shell else "None"  # the shell takes None for a text
    if isinstance(value, Integral):
        return str(value)
    if not isinstance(value, str | os.PathLike):
        return name
    return os.fspath(value) if from_shell else repr(os.fspath(value))


def _key_words(name: str, value: str) -> list[str]:
    """A key and its value as words of a command; one word if the value looks like a key."""
    if value.startswith("-"):
        return [f"--{name}={value}"]
    return [f"--{name}", value]
