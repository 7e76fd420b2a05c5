"""A teacher: an exported model, and what it says of the examples that a student learns from."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lit_metanas.automl.options import TEACHER, AutoOptions
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.estimators.estimator import latency
from lit_metanas.inputs.shapes import ImageShape, as_shape, same_shape
from lit_metanas.inputs.tokens import split_words
from lit_metanas.io.files import own_path
from lit_metanas.io.own_folder import own_folder
from lit_metanas.io.settings import tensor_digest
from lit_metanas.io.text import first_few, number_of, printable, writable
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.read_examples import read_new_examples
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.kinds.texts.joined_tokens import JoinedTokens, joined_task
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.distillation import Distillation
from lit_metanas.records.budget import Cost
from lit_metanas.records.teacher_comparison import TeacherComparison
from lit_metanas.tasks.splits import digests
from lit_metanas.tasks.task import Split, Task, join_parts
from lit_metanas.training.child import evidence_of, scores_of
from lit_metanas.training.encoders.encoder import multiply_adds
from lit_metanas.training.export.exported_program import PROGRAM, Exported, load, network_inputs

PART = (0.3, 0.7)
"""The least and the largest share of a text in a recombined one."""

SHARE = 0.6
"""The teacher's share of the budget, where one call searches for both."""

TEXTS = "texts"
"""The kind of data of which examples are recombined."""

ReadUnder = Callable[[Any], Task]
"""Reads the data by another preprocessing, or images by another shape."""


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Examples without targets."""

    examples: Any  # as a preprocessing takes them
    digest: str  # of these, as the teacher takes them
    outputs: Tensor  # what the teacher says of them, shape (n, outputs)
    recombined: int  # the last ones, which were made of others

    def describe(self) -> str:
        """How many of each there are."""
        found = {"unlabelled example": len(self.outputs) - self.recombined, "recombined text": self.recombined}
        return " and ".join(number_of(number, noun) for noun, number in found.items() if number)

    def split(self, task: Task, objective: Distillation) -> Split:
        """The examples under the preprocessing of a task."""
        inputs = _inputs(task, self.examples)
        return Split(inputs, objective.targets(None, self.outputs.to(inputs.device)))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of the examples of a task, in their order."""

    objective: Distillation
    train: Tensor  # shape (n, outputs)
    val: Tensor | None
    test: Tensor  # only for reports
    cost: Cost
    unlabelled: Unlabelled | None = None

    @property
    def digest(self) -> str | None:
        """Of the unlabelled examples, if there are any."""
        return None if self.unlabelled is None else self.unlabelled.digest

    def describe(self, place: str) -> str:
        """What is learned of whom, as a sentence."""
        text = f"learns from '{place}'"
        if self.unlabelled is not None:
            text += f", also what it says of {self.unlabelled.describe()}"
        return f"{text}."

    def taught(self, task: Task) -> Task:
        """The task, under whatever preprocessing, with what the teacher says of the examples that are learned from."""
        train, val = self._with(task.train, self.train), task.val
        if val is not None and self.val is not None:
            val = self._with(val, self.val)
        return replace(task, objective=self.objective, train=train, val=val)

    def further(self, task: Task) -> Task:
        """The task with the unlabelled examples among those to learn from."""
        if self.unlabelled is None:
            return task
        return replace(task, train=join_parts(task.train, self.unlabelled.split(task, self.objective)))

    def _with(self, part: Split, outputs: Tensor) -> Split:
        return replace(part, labels=self.objective.targets(part.labels, outputs.to(part.labels.device)))


@dataclass(frozen=True, eq=False)
class Teacher:
    """An exported model."""

    place: str
    model: Exported
    size: int  # bytes of its program

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Teacher:
        """Read an exported model; no code in it is executed.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is damaged.
        """
        folder, place = Path(path), writable(os.fspath(path))
        if not folder.exists():
            raise FileNotFoundError(f"There is no model '{place}' to learn from: give the folder of an exported model.")
        return cls(place, load(folder), (folder / PROGRAM).stat().st_size)

    def lesson(
        self, task: Task, kind: Kind, read: ReadUnder, *, data: Any = None, unlabelled: Any = None, seed: int = 0
    ) -> Lesson:
        """What it says of the examples of a task; of those to test only for reports.

        Args:
            task: the data under any preprocessing.
            kind: of the data.
            read: reads the same data by another preprocessing.
            data: as a user gave them; texts to learn from are recombined, too.
            unlabelled: examples without targets: a path, or what a preprocessing takes.
            seed: of recombined texts.

        Raises:
            FileNotFoundError: there is no such path of unlabelled examples.
            ValueError: the model is for other data, classes or numbers, or there are no unlabelled examples.
        """
        objective = Distillation(task.goal)
        columns, begin = self._columns(task, kind), perf_counter()
        known = self._as_taken(task, kind, read)
        train, test = (self._outputs(part, columns) for part in (known.train, known.test))
        val, further = None, None
        if known.val is not None:
            val = self._outputs(known.val, columns)
        examples = [] if unlabelled is None else self._new_ones(unlabelled, kind, known)
        texts = recombined(self._texts(data, kind, known), seed)
        if texts or len(examples):
            examples = [*examples, *texts] if texts else examples
            inputs = _inputs(known, examples)
            said = self._outputs(Split(inputs, torch.zeros(len(inputs))), columns)
            further = Unlabelled(examples, tensor_digest(inputs), said, len(texts))
        outputs = (train, val, test, None if further is None else further.outputs)
        number = sum(len(one) for one in outputs if one is not None)
        cost = Cost(
            images=number,
            flops=number * multiply_adds(self.model.network, self.model.shape),
            seconds=perf_counter() - begin,
        )
        return Lesson(objective, train, val, test, cost, further)

    def compare(self, result: SearchResult, lesson: Lesson) -> TeacherComparison:
        """This model and its student on the same test examples."""
        assert result.tested is not None
        goal = result.objective
        agreement = Distillation(goal)
        by_teacher = agreement.targets(None, lesson.test)
        own = evidence_of(result.network, result.tested, goal)
        after = goal.judge(own, result.tested.labels)
        said = agreement.answers(by_teacher)
        if isinstance(goal, Classification):  # of which the metric may compare probabilities
            said = replace(goal, temperature=1.0).evidence(lesson.test)
        before = goal.judge(said, result.tested.labels)
        gain = after.ahead_of(before)
        return TeacherComparison(
            place=self.place,
            score=before.value,
            ahead=gain.value,
            half=gain.half,
            agreement=agreement.judge(own, by_teacher).value,
            sizes=(program_bytes(result), self.size),
            latencies=(result.latency, latency(self.model.network, self.model.shape)),
            cost=lesson.cost,
            further="" if lesson.unlabelled is None else lesson.unlabelled.describe(),
        )

    def _columns(self, task: Task, kind: Kind) -> list[int]:
        """The place of each of a task's outputs among the model's."""
        model, names = self.model, task.goal.names(task.classes)
        wanted = model.goal.kind
        if wanted != task.goal.kind or model.noun not in (kind.noun, "examples"):
            raise ValueError(
                f"The model in '{self.place}' is for {wanted} of {model.noun}, and task '{task.id}' is {task.goal.kind}"
                f" of {kind.noun}: give a model that was trained on such data."
            )
        others = [*(set(names) - {*model.classes}), *({*model.classes} - set(names))]
        if others:
            shown = first_few([f"'{printable(name, 40)}'" for name in sorted(others)])
            raise ValueError(
                f"The model in '{self.place}' and task '{task.id}' have not the same {task.goal.named}: {shown} only "
                f"one of them has; give a model of these data, or leave the examples of other {task.goal.named} out."
            )
        return [model.classes.index(name) for name in names]

    def _as_taken(self, task: Task, kind: Kind, read: ReadUnder) -> Task:
        """The task as the model takes it."""
        made, shape = self.model.preprocessing, as_shape(self.model.shape)
        if isinstance(made, JoinedTokens):
            known = joined_task(read(made.first), read(made.second)) or task
        elif isinstance(shape, ImageShape):
            known = read(shape)
        else:
            known = task if made is None else read(made)
        other = InputMeaning.of(known.preprocessing).digest != InputMeaning.of(made).digest
        if other or not same_shape(known.shape, shape):
            raise ValueError(
                f"The model in '{self.place}' takes other inputs than task '{task.id}' has: give the data as paths or "
                "raw examples, which its preprocessing reads."
            )
        for own, usual in ((known.train, task.train), (known.val, task.val), (known.test, task.test)):
            if own is not None and usual is not None and not torch.equal(own.labels, usual.labels):
                raise ValueError(
                    f"The data of '{task.id}' have changed since they were first read: leave them as they are."
                )
        return known

    def _outputs(self, part: Split, columns: list[int]) -> Tensor:
        """Scores of classes, or numbers, in the order of the task's outputs, shape ``(n, outputs)``, on the CPU."""
        goal = self.model.goal

        def own(inputs: Tensor) -> Tensor:
            scores = self.model.scores(inputs)
            if isinstance(goal, Classification):
                return scores
            return goal.values(scores)

        return scores_of(own, part, goal)[:, columns].float()

    def _texts(self, data: Any, kind: Kind, known: Task) -> list[str]:
        """The texts to learn from as they were given; none of other data, and where they cannot be found again."""
        given = list[str]()
        if kind.name == TEXTS and isinstance(data, str | os.PathLike):
            with suppress(OSError, ValueError), warnings.catch_warnings():  # a table's column of another name
                warnings.simplefilter("ignore")  # the task has warned of texts that are left out
                given = [example for _, example in read_new_examples([os.fspath(data)], kind.name).examples]
        elif kind.name == TEXTS and isinstance(data, tuple | list):
            given = list(map(str, data[0]))
        if not given:
            return []
        # There are texts to choose by and to test with among them.
        learned = set(digests(known.train.inputs))
        return [text for text, one in zip(given, digests(_inputs(known, given)), strict=True) if one in learned]

    def _new_ones(self, given: Any, kind: Kind, known: Task) -> Any:
        """Unlabelled examples without those that are chosen by or tested with."""
        if isinstance(given, str | os.PathLike):
            given = [example for _, example in read_new_examples([os.fspath(given)], kind.name).examples]
        if not len(given):
            raise ValueError(f"There are no unlabelled {kind.noun}: give some, or leave 'unlabelled' out.")
        judged = {one for part in (known.val, known.test) if part is not None for one in digests(part.inputs)}
        kept = [place for place, one in enumerate(digests(_inputs(known, given))) if one not in judged]
        if not kept:
            raise ValueError(
                f"All unlabelled {kind.noun} are chosen by or tested with: give others, or leave 'unlabelled' out."
            )
        if isinstance(given, Tensor | np.ndarray):
            return given[kept]
        return [given[place] for place in kept]


def program_bytes(result: SearchResult) -> int:
    """The size of the program that a result is exported as."""
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the export itself warns
        result.export(folder)
        return (Path(folder) / PROGRAM).stat().st_size


def recombined(texts: Sequence[str], seed: int) -> list[str]:
    """As many new texts, and their most frequent words, each as a text: at most as many again.

    A new text is a part of one and a part of another, each of 30 to 70 % of its words, from anywhere in it. A teacher
    is sure of what it has learned from, and less so of these: there is more to learn from what it says of them (Tang et
    al. 2019, whose parts are of single texts). Of words alone a pretrained teacher knows more than the texts say.
    """
    draw, words = np.random.default_rng(seed), [text.split() for text in texts]

    def part() -> list[str]:
        whole = words[draw.integers(len(words))]
        number = max(1, round(len(whole) * draw.uniform(*PART)))
        begin = draw.integers(max(1, len(whole) - number + 1))
        return whole[begin : begin + number]

    frequent = Counter(word for text in texts for word in split_words(text)).most_common(len(texts))
    return [*(" ".join([*part(), *part()]) for _ in texts), *(word for word, _ in frequent)]


def _inputs(task: Task, examples: Any) -> Tensor:
    """Examples as the inputs of a task are, on its device; images of 8 bits if its are."""
    inputs, like = network_inputs(examples, task.shape, task.preprocessing), task.train.inputs
    if like.dtype == torch.uint8:
        inputs = (inputs * 255).round().to(torch.uint8)
    return inputs.to(like.device)


def teacher_and_student(
    options: AutoOptions, run: Callable[..., SearchResult], *, began: float, from_shell: bool
) -> SearchResult:
    """The result of the student; the teacher is in a folder of the output, where an interrupted call finds it again.

    A search of the teacher that is stopped early gives its own result, and the same call goes on.

    Args:
        options: of both; the limits are those of the student.
        run: runs one of them, as ``run_auto``.
        began: the clock when the minutes began.
        from_shell: whether a command repeats the result.
    """
    assert options.output is not None
    output = own_path(options.output, "output")
    teacher = own_folder(output, TEACHER)
    options.say(f"first a teacher without limits, in '{teacher}', and then its student.")
    found = run(_of_teacher(options, teacher), began=began, from_shell=from_shell)
    if found.stopped:
        return found
    return run(_of_student(options, teacher), began=perf_counter(), from_shell=from_shell)


def _of_teacher(options: AutoOptions, output: Path) -> AutoOptions:
    """The options of the teacher."""
    own = replace(
        options,
        student=False,
        unlabelled=None,
        output=output,
        onnx=False,
        max_parameters=None,
        max_flops=None,
        max_latency=None,
        max_size=None,
    )
    return _part(own, SHARE)


def _of_student(options: AutoOptions, teacher: Path) -> AutoOptions:
    """The options of the student, which reads raw inputs."""
    return _part(replace(options, student=False, encoders=None, teacher=teacher), 1 - SHARE)


def _part(options: AutoOptions, share: float) -> AutoOptions:
    """The same with a share of the budget."""
    if options.minutes is not None:
        return replace(options, minutes=share * options.minutes)
    return replace(options, flops=tuple(share * flops for flops in options.parts))  # type: ignore[arg-type]
