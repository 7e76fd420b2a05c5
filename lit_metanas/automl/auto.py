"""Data in, a searched and trained network out, within minutes, sizes and a latency that a person names."""

from __future__ import annotations

import os
import shlex
import signal
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

from lit_metanas.automl.steps.auto_steps import AutoSteps
from lit_metanas.automl.steps.front_steps import FrontSteps, check_pareto
from lit_metanas.automl.steps.limits import NetworkLimits, NoNetworkWithinError, Wishes, linear_within
from lit_metanas.automl.steps.output_folder import READ_DATA, STATE, OutputFolder
from lit_metanas.automl.steps.repeated_call import repeated_call
from lit_metanas.automl.steps.views import Views
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import undisturbed
from lit_metanas.comparisons.target_search import task_settings
from lit_metanas.inputs.shapes import describe_shape
from lit_metanas.io.files import own_path
from lit_metanas.io.locks import directory_lock
from lit_metanas.io.settings import settings_of
from lit_metanas.io.text import writable
from lit_metanas.kinds.given_data import (
    Given,
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
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.records.record_lines import SHIPPED, record_file
from lit_metanas.spaces.any_input import LinearSpace
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.labels import Groups
from lit_metanas.tasks.splits import warn_of_copies
from lit_metanas.tasks.task import Task, check_task
from lit_metanas.training.export.exported_model import predict_command
from lit_metanas.training.export.exported_program import PROGRAM
from lit_metanas.training.export.onnx_program import INT8, check_onnx_installed
from lit_metanas.training.task_start import TaskStart, read_task_start

MANY_FILES, MANY_BYTES = 5_000, 4_000_000
"""So many files of a folder, or bytes of a table, take a while to read, which is told."""


def auto(
    data: Given,
    *,
    minutes: float | None = None,
    flops: float | tuple[float, float] | None = None,
    kind: str | None = None,
    test: Given | None = None,
    group: str | Groups | None = None,
    min_per_class: int | None = None,
    objective: str | None = None,
    space: SearchSpace | None = None,
    start: str | os.PathLike[str] | None = None,
    max_parameters: float | None = None,
    max_flops: float | None = None,
    max_latency: float | str | None = None,
    latency_batch: int = 1,
    max_size: float | str | None = None,
    pareto: str | None = None,
    output: str | os.PathLike[str] | None = None,
    onnx: bool = False,
    int8: bool = False,
    records: Sequence[str] = (SHIPPED,),
    seed: int = 0,
    threads: int | None = 1,
    progress: bool = True,
) -> SearchResult:
    """Search and train a network for data of any kind, within minutes and hard limits of its size and speed.

    It finds out what the data are, and divides them into a part to learn from, one to choose by and one to test, as the
    task classes do (``FolderTask``, ``AudioFolderTask``, ``TextTask``, ``ParallelTask``, ``SquadTask`` …). Images
    and sounds in class folders that cannot be read are left out, with a warning.

    It begins with the networks and recipes that cover the tasks of ``records``. Where these leave a choice, or nothing
    is known, about half of the budget is for a search by ``EvolvingHalving``, of an architecture and of learning rate,
    weight decay, label smoothing and augmentation (``Recipe``); of questions the last two are left out, of transcripts
    the label smoothing. Where one network is nearly the best on all of them, that one is trained, and the search gets
    what the training no longer gains from, if anything; a line says so. Where records name a network, a change of the
    best so far has to lead by a standard error.

    What was found is trained for the rest, on all but the test part, which is read once, in the end. Of images, sounds
    and texts in classes an ensemble is trained, where the rest pays for more epochs than one network gains from: up to
    five networks of the architecture, as many as are within the limits together, one with ``max_latency`` or
    ``pareto``. The mean of their scores is the result (``ensemble``; Lakshminarayanan et al. 2017). Networks whose
    training diverges are left out; where all do, the network is as the search trained it. A warning says so.

    A search chooses among preprocessings of the same examples, too: images at half and twice the size or grey; more
    and fewer bands of sounds, and longer windows; characters, byte pairs, more words of long texts, or fewer different
    ones; columns of numbers by quantiles, or standardised together. The first six networks have the usual one, or half
    of all with ``pareto``. Where the budget pays for more, the best so far is tried with another one in each further
    rung. Texts are read in each of these ways by the first network; where that is known to be nearly the best, this is
    all of the search, for a fifth of the budget. Costs and limits are those of the inputs that a network has, and the
    chosen one, ``view`` of the result, is part of an export.
    A task, pairs of texts and questions have the usual one alone. A preprocessing under which the data would take over
    1 GiB of memory is left out, unless they usually take as much.

    Where classes are told apart, without ``space``, linear models of plain features (``LinearSpace``) are trained, too:
    of average pixels and edges, mean spectra, columns, or counts of up to four neighbouring characters (of words, where
    these are too many for a limit or what is left; of both, where a thousand texts or more choose). These are up to
    four short trainings; there are fewer of them where they would take more than about a fifth of what the search has
    left. They learn from the same examples as the networks of the search, and are compared with the best of these on
    the part to choose by. As the search may have trained that one too briefly, it is first trained on with half of what
    is left, where a linear model is better, and with most of the rest if it still is. If it is better then, too, it is
    what is returned, and the result says so (``linear_model``); where its last training, on all but the test part,
    fails, the network is. But for those characters their inputs are preprocessed as usual: of a task that is given, and
    with a ``start``, neighbouring words are counted, or whatever tokens texts are read as.

    Where no network is within the limits, but linear models are, they alone are trained.

    Of texts it is both: the mean of their scores (``linear`` of the result). One alone is returned, as above, where it
    is better than that mean by a standard error on the part to choose by, where both together are above a limit or do
    not fit into one input, and with ``max_latency``, ``max_size`` or ``pareto``.

    Seconds decide how large the budget is, and nothing else: some networks are trained for a moment, and the pace of
    this machine makes training FLOPs of the minutes. The result tells them, and given as ``flops`` they repeat it.

    Ctrl-C ends the search or the training, and the best so far is tested and returned: a network, which may be trained
    for a few seconds more, or a linear model where that is better. With an ``output`` it is exported, and the same call
    goes on from what was finished.

    Args:
        data: a folder with a sub-folder of images, sounds or text files for each class, or with ``train`` and ``test``
            folders of such; sounds with a table of transcripts; a table (CSV, TSV, JSON lines) of texts or numbers and
            labels, or of pairs of texts; questions in SQuAD's format (JSON); a pair ``(X, y)`` of images, texts or rows
            of numbers, and labels; a map-style data set of torch; or a task.
        minutes: how long all may take; 10 where neither these nor ``flops`` are given.
        flops: training FLOPs (3 x forward multiply-adds x examples) instead: of the search and of the training after
            it, or one number for both, of which a small network may not need all. The two that the result tells of one
            number may sum to more, and repeat it: of its own the search need not spend all.
        kind: what the examples are, where a path does not tell: ``images``, ``sounds``, ``transcripts``, ``texts``,
            ``rows``, ``pairs`` or ``questions``.
        test: the test part, given as ``data`` is, and taken as it is. None takes some of ``data``.
        group: which examples belong together, such as the photographs of a patient or the recordings of a speaker: they
            go into one part, train, val or test, lest the test score be too good. The name of a column of a table;
            ``folder`` for the folder that a file lies in, below its class's (``class/group/file``); or a regular
            expression with one bracket that finds the group in a file's path there, such as ``(patient[0-9]+)_``. For
            examples in memory a sequence of one group for each. Each part gets its share of each class as well as whole
            groups allow. Groups that a ``test`` part has, too, are told where it is a path; those of one in memory are
            not known. None deals examples out one by one.
        objective: what a network is wanted for of examples with labels, by the path of an ``Objective``'s class, such
            as ``grades.Ordinal``; None tells classes apart.
        min_per_class: classes with fewer examples are left out, and named in a warning. None leaves out those that are
            too small to be divided: of fewer than three examples, or two where the test part is given.
        space: what can be built; None takes one that suits the kind of data.
        start: a checkpoint that ``fit`` of ``TaskReptile`` wrote on other tasks of this space; all networks begin with
            its weights, but for a classifier of another number of classes. Inputs are made as those of the checkpoint
            were, of its shape of images, its features of sounds or its vocabularies of texts and pairs, and in no other
            way; a task and other data must have its shape and preprocessing. ``meta_cost`` of the result tells what it
            cost. None begins with fresh weights.
        max_parameters: most trainable parameters.
        max_flops: most forward multiply-adds for one input.
        max_latency: most seconds for one input, or a text such as ``5ms``: the median of several forward passes of the
            network in PyTorch on this machine, with ``threads``.
        latency_batch: inputs at once that ``max_latency``, and the latency of the result, are for.
        max_size: most bytes of the exported program, ``model.pt2``, weights included; or a text such as ``500kB``. Each
            network that may be trained is exported first to find out.
        pareto: what accuracy is traded against: ``parameters``, ``flops`` or ``latency``. Then a whole front is looked
            for, from small networks to the most accurate one within the limits, which is the result; the others are in
            its ``front``. A linear model that nothing as small is as good as is among them. None looks for the most
            accurate one alone.
        output: a folder for the exported network, a report and the records of the search; made if absent. The networks
            of a front are in folders of ``front`` there. Where it cannot be written at the end, as on a full disk, a
            warning says so.
        onnx: whether the output gets the network as ``model.onnx``, too, for onnxruntime. The time for that is not part
            of the minutes. A finished search gets it without another search.
        int8: the same, and ``model_int8.onnx`` with weights of 8 bits; what these cost is told, and is in the model
            card.
        records: files of searches of other tasks, from which the networks to begin with are taken; ``shipped`` is the
            package's. What is of another space is left out.
        seed: of search and training; the data are divided in the same way whatever it is.
        threads: torch's threads meanwhile, on a CPU; None leaves them as they are.
        progress: whether what was found out, and how much of the budget is spent, is told on stderr.

    Raises:
        FileNotFoundError: there are no such data, or no such start.
        ValueError: it cannot be told what they are, or they are malformed; nothing is within the limits; the minutes
            are too few; another process is at work in the output, it holds something else, or it lies in the data; the
            start is damaged, or of another space, shape or vocabulary; ONNX files are asked for without an output or
            their packages, or none can be made of the network, whose search is then finished all the same.
        KeyboardInterrupt: Ctrl-C came before there was any network.
        RuntimeError: all trainings fail. Of a failure of the last one alone a warning tells, and the result is the best
            so far.

    Example:
        >>> import numpy as np
        >>> import lit_metanas as lm
        >>> X, y = np.random.rand(40, 8, 8), ["cat", "dog"] * 20
        >>> result = lm.auto((X, y), flops=1e8, max_parameters=20_000, progress=False)
        >>> result.parameters <= 20_000, sorted(result.predict(X[:1])[0])
        (True, ['cat', 'dog'])
    """
    return AutoSearch(
        data=data,
        kind=kind,
        test=test,
        group=group,
        min_per_class=min_per_class,
        objective=objective,
        space=space,
        wishes=Wishes(minutes, flops, seed=seed, threads=threads, progress=progress, records=records),
        limits=NetworkLimits.told(max_parameters, max_flops, max_latency, max_size, latency_batch),
        pareto=pareto,
        output=None if output is None else own_path(output, "output"),
        onnx=onnx,
        int8=int8,
        start=None if start is None else os.fspath(start),
    ).run()


@dataclass
class AutoSearch:
    """One call of ``auto``, whose arguments are told there.

    Attributes:
        data: what was given.
        kind: what it is, if that was said.
        test: the test part, if it was given.
        space: what can be built, if that was said.
        wishes: budget, seed, threads, and whether progress is shown.
        limits: of the network.
        pareto: what accuracy is traded against; None looks for no front.
        output: the folder for what was found.
        began: the clock when the minutes began; None for when it is run.
        group: which examples belong together, if that was said.
        min_per_class: the fewest examples of a class, if that was said.
        objective: the path of its class, if that was said.
        start: the checkpoint that all networks begin with; None for fresh weights.
        onnx: whether the output gets ``model.onnx``.
        int8: whether it gets ``model_int8.onnx``, too.
        from_shell: whether it is the verb ``auto``, so that a command repeats it; else a call in Python.
    """

    data: Given
    kind: str | None
    test: Given | None
    space: SearchSpace | None
    wishes: Wishes
    limits: NetworkLimits
    pareto: str | None
    output: Path | None
    began: float | None = None
    group: str | Groups | None = None
    min_per_class: int | None = None
    objective: str | None = None
    start: str | None = None
    onnx: bool = False
    int8: bool = False
    from_shell: bool = False

    def run(self) -> SearchResult:
        """Search, train, test and, where there is an output, write."""
        began = perf_counter() if self.began is None else self.began
        check_pareto(self.pareto)
        if self.onnx or self.int8:
            if self.output is None:
                raise ValueError("auto: onnx and int8 are files in the output: give 'output', too.")
            check_onnx_installed()
        start = None if self.start is None else read_task_start(self.start)
        self._look_at_paths()
        with ExitStack() as held:
            if self.output is not None:
                held.enter_context(directory_lock(self.output, "auto", "output"))
            begin = perf_counter()
            task = read_given(self.data, **self._read_as, start=None if start is None else start.made_before)
            reading = perf_counter() - begin
            kind = self._describe(task)
            space = self.space or kind.space(task.shape, task.goal)
            space.check_shape(task.shape)
            space.check_objective(task.goal)
            with undisturbed(task, self.wishes.threads):
                task = task.trainable()
                views = self._views(task, space, start)
                own = self.space is None and isinstance(task.goal, Classification)
                linear = LinearSpace() if own and kind.features else None
                folder = None if self.output is None else OutputFolder(self.output, self._settings(views, linear))
                known = None if folder is None else folder.finished(views)
                result = known
                if result is None:
                    steps = AutoSteps if self.pareto is None else partial(FrontSteps, measure=self.pareto)
                    made = partial(steps, kind=kind, wishes=self.wishes, folder=folder, began=began, reading=reading)
                    result = self._steps(made, views, linear).result()
                result = self._with_command(result)
            if folder is not None:
                if known is None:
                    self.wishes.say("writing the network and the report.")
                    task = views.labelled(result.view).task
                    if not self._written(folder, lambda: folder.write(task, result, seed=self.wishes.seed)):
                        return result
                added = (self.onnx or self.int8) and self._written(folder, lambda: self._add_onnx(folder, result))
                if known is not None:
                    what = "missing ONNX files were added" if added else "nothing was done"
                    self.wishes.say(f"the search in '{folder.path}' was already finished: {what}.")
        return result

    @property
    def _read_as(self) -> dict[str, Any]:
        """What says how the data are read."""
        names = ("kind", "test", "group", "min_per_class", "objective")
        return {name: getattr(self, name) for name in names}

    def _written(self, folder: OutputFolder, write: Callable[[], bool | None]) -> bool:
        """Write something, and tell whether that was done: a call in Python loses no result by a full disk.

        Args:
            folder: for messages.
            write: writes it; False where there was nothing to write.

        Raises:
            OSError: it cannot be written, and nobody else would have it.
        """
        try:
            return write() is not False
        except OSError as error:
            if self.from_shell:
                raise
            told = f"The output '{writable(str(folder.path))}' is incomplete ({error}): free some space or export"
            warnings.warn(f"{told} the result elsewhere; the same call writes what is missing.", stacklevel=4)
            return False

    def _look_at_paths(self) -> None:
        """Refuse data that are not there, and an output among them, before it is made, and tell of much to read.

        Raises:
            FileNotFoundError: there are none.
            ValueError: the output would be read as a part of them.
        """
        output = self.output
        for key, given in (("data", self.data), ("test", self.test)):
            if isinstance(given, str | os.PathLike):
                path = existing_path(given, key)
                if output is not None and path.resolve() in output.resolve().parents and not (output / STATE).exists():
                    inner, outer = writable(str(output)), writable(str(given))
                    raise ValueError(
                        f"The output '{inner}' would lie in the data, '{outer}', and may be read with them: give "
                        f"another {'--output' if self.from_shell else 'output='}."
                    )
                if (files := sum(len(names) for _, _, names in os.walk(path))) >= MANY_FILES:
                    self.wishes.say(f"reading {files:,} files in '{writable(str(given))}'.")
                if path.is_file() and (size := path.stat().st_size) >= MANY_BYTES:
                    self.wishes.say(f"reading {size / 1e6:.1f} MB of '{writable(str(given))}'.")

    def _describe(self, task: Task) -> Kind:
        """Check a task, tell what it is, and warn of copies.

        Returns:
            The kind of its data.

        Raises:
            ValueError: it is malformed, or of another kind than was said.
        """
        check_task(task)
        kind = kind_of(task, self.kind)
        if not kind.holds(task):
            raise ValueError(f"The data are of the kind '{kind_of(task).name}', not '{self.kind}': leave 'kind' out.")
        told = describe_given(task, kind, grouped=self.group is not None)
        self.wishes.say(told + describe_columns(self.data, kind, self.group))
        warn_of_copies(task, drawn=not has_test_part(self.data, self.test))
        return kind

    def _steps(self, made: Callable[..., AutoSteps], views: Views, linear: SearchSpace | None) -> AutoSteps:
        """The search of networks; of linear models alone where these alone are within the limits.

        Args:
            made: makes it of views and a space of linear models.
            views: the preprocessings.
            linear: the linear models that are compared with networks; None for none.

        Raises:
            NoNetworkWithinError: nothing is within the limits.
        """
        try:
            return made(views, linear=linear)
        except NoNetworkWithinError as error:
            if linear is None or self.start is not None:
                raise
            alone = views.in_space(linear)
            linear_within(error, alone.usual.limited)
            self.wishes.say(f"{error.reason} Linear models are, so they alone are trained.")
            return made(alone)

    def _add_onnx(self, folder: OutputFolder, result: SearchResult) -> bool:
        """Add the ONNX files that are missing, and tell what weights of 8 bits cost; whether there was one to add."""
        if result.stopped:
            self.wishes.say("stopped: there are no ONNX files yet; the same call adds them once it has finished.")
            return False
        if not (lacking := folder.without_onnx(result, int8=self.int8)):
            return False
        self.wishes.say("translating the network to ONNX, which may take minutes.")
        loss = folder.add_onnx(lacking, int8=self.int8)
        if loss is not None:
            self.wishes.say(f"with weights of 8 bits ({INT8}) the test {loss.metric} is {loss.told}.")
        return True

    def _with_command(self, result: SearchResult) -> SearchResult:
        """The result, and each of its front, with what repeats it; as it is where it was stopped."""
        if result.budget is None:
            return result
        given: dict[str, object] = {**self._read_as, "space": self.space, "start": self.start, "pareto": self.pareto}
        if self.from_shell and self.output is not None:
            # Another folder, since this one holds a result of other settings: of minutes, not of FLOPs.
            given["output"] = f"{self.output.resolve().name}_again"
        shell = self.from_shell
        command = repeated_call(self.data, given, result.budget, self.limits, self.wishes, from_shell=shell)
        return replace(result, command=command, front=tuple(replace(one, command=command) for one in result.front))

    def _views(self, task: Task, space: SearchSpace, start: TaskStart | None) -> Views:
        """The preprocessings to choose from: where there is a start that of its inputs alone."""
        if start is None:
            ways = other_ways(self.data, task, **self._read_as)
            return Views(task, ways, space, self.limits)
        views = Views(task, {}, space, self.limits, start)
        self.wishes.say(f"all networks begin with '{writable(str(self.start))}', on {describe_shape(task.shape)}.")
        return views

    def _settings(self, views: Views, linear: SearchSpace | None) -> dict[str, Any]:
        """What decides the result, as plain values."""
        wishes, space = self.wishes, views.space
        return {
            "task": task_settings(views.usual.task),
            READ_DATA: raw_digest(self.data, kind_of(views.usual.task, self.kind), self.test, self.group),
            "preprocessings": list(views.labels),
            "space": settings_of(space),
            "start": None if self.start is None else settings_of(self.start),
            "linear_models": None if linear is None else settings_of(linear),
            "limits": self.limits.settings,
            "pareto": self.pareto,
            "minutes": wishes.minutes,
            "flops": list(wishes.flops),
            "records": [settings_of(record_file(path)) for path in wishes.records],
            "seed": wishes.seed,
            "threads": wishes.threads,
        }


def auto_verb(
    data: str,
    minutes: float | None = None,
    output: str = "model",
    kind: str | None = None,
    test: str | None = None,
    group: str | None = None,
    min_per_class: int | None = None,
    objective: str | None = None,
    start: str | None = None,
    max_parameters: float | None = None,
    max_flops: float | None = None,
    max_latency: str | None = None,
    latency_batch: int = 1,
    max_size: str | None = None,
    pareto: str | None = None,
    onnx: bool = False,
    int8: bool = False,
    flops: float | tuple[float, float] | None = None,
    seed: int = 0,
    threads: int = 1,
    *,
    began: float,
) -> None:
    """Search and train a network for data of any kind, export it, and tell how to predict with it.

    Args:
        data: see ``auto``, as all others.
        minutes: how long all may take.
        output: a folder for the exported network.
        kind: what the examples are.
        test: the test part.
        group: which examples belong together.
        min_per_class: the fewest examples of a class.
        objective: the path of an objective's class.
        start: a checkpoint that networks begin with.
        max_parameters: most trainable parameters.
        max_flops: most forward multiply-adds for one input.
        max_latency: most time for one input.
        latency_batch: inputs at once that the time is for.
        max_size: most bytes of the exported program.
        pareto: what accuracy is traded against.
        onnx: whether the output gets an ONNX file, too.
        int8: and one with weights of 8 bits.
        flops: training FLOPs instead of minutes.
        seed: of search and training.
        threads: torch's threads.
        began: the clock when the command began.

    Raises:
        FailedWorkError: the last training failed; the message says what there is.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the message says what there is.
    """
    search = AutoSearch(
        data=data,
        kind=kind,
        test=test,
        group=group,
        min_per_class=min_per_class,
        objective=objective,
        space=None,
        wishes=Wishes(minutes, flops, seed=seed, threads=threads, progress=True),
        limits=NetworkLimits.told(max_parameters, max_flops, max_latency, max_size, latency_batch),
        pareto=pareto,
        output=own_path(output, "output"),
        began=began,
        start=start,
        onnx=onnx,
        int8=int8,
        from_shell=True,
    )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = search.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    print(found)
    kept = f"the best so far is in '{output}', and"
    if found.failure:
        raise FailedWorkError(f"the last training failed; {kept} once the cause is fixed the same command goes on.")
    if found.stopped:
        raise KeyboardInterrupt(f"stopped; {kept} the same command goes on.")
    program = Path(output) / PROGRAM
    size = f" ({PROGRAM}, {program.stat().st_size:,} bytes)" if program.is_file() else ""
    print(f"The network{size}, a report and what was tried are in '{output}'.")
    print(f"Next: {shlex.join(['lit-metanas', *predict_command(output, kind)])}", flush=True)
