"""An exported model that a user gives: the start of a search on more data, or a teacher of the examples of a task."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import ImageShape, Shape, as_shape, same_shape
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.io.settings import tensor_digest
from lit_metanas.io.text import first_few, number_of, printable, writable
from lit_metanas.kinds.kind import Kind, MadeBefore
from lit_metanas.kinds.read_examples import read_new_examples
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.kinds.texts.text_kind import recombined
from lit_metanas.kinds.texts.text_tokens import JoinedTokens, joined_task
from lit_metanas.objectives import Classification, Distillation, Regression, SeveralLabels
from lit_metanas.objectives.objective import Objective
from lit_metanas.records.record import Cost
from lit_metanas.spaces import Architecture, SearchSpace
from lit_metanas.spaces.any_input import LINEAR_SPACES
from lit_metanas.tasks.splits import digests
from lit_metanas.tasks.task import Split, Task, join_parts
from lit_metanas.training.child import scores_of
from lit_metanas.training.encoders.encoder import multiply_adds
from lit_metanas.training.export.exported_program import PROGRAM, WEIGHTS, Exported, load, network_inputs
from lit_metanas.training.export.network_description import DESCRIPTION, read_description
from lit_metanas.training.meta_weights import TaskStart

TEXTS = "texts"  # the kind of data of which examples are recombined

# Prefixes of names of weights in ``weights.pt``: of one network, of an ensemble, and of both with a linear model.
WEIGHT_PREFIXES = ("", "networks.0.", "network.", "network.networks.0.")

ReadUnder = Callable[[Any], Task]  # reads the data by another preprocessing, or images by another shape


@dataclass(frozen=True)
class ModelStart:
    """An exported model whose network is the first candidate, with its weights, on inputs that it knows."""

    place: str
    model: Exported
    weights: Mapping[str, Tensor]  # of ``weights.pt``
    objective: Objective  # that its network, without what the program adds, was trained for
    cost: ClassVar[Cost] = Cost()  # of meta-training: none

    @property
    def made_before(self) -> MadeBefore:
        """What made the network's inputs."""
        made = self.model.preprocessing
        if isinstance(made, JoinedTokens):
            return MadeBefore(made.first.shape, made.first, self.objective.written_by)
        return MadeBefore(self.model.shape, made, self.objective.written_by)

    def network(self, space: SearchSpace, task: Task) -> tuple[Architecture, dict[str, Tensor]] | None:
        """The architecture, and its weights under the names by which children of the space inherit them.

        None for a linear model, of which no network can begin.

        A class that the model knows keeps its outputs, and a new class begins with the mean of all.
        """
        if task.goal.kind != self.objective.kind:
            raise ValueError(
                f"The model in '{self.place}' is for {self.objective.kind}, and task '{task.id}' for "
                f"{task.goal.kind}: leave 'start' out."
            )
        if not _has_inputs(task, self.made_before.shape, self.made_before.inputs):
            raise ValueError(
                f"The model in '{self.place}' takes other inputs than task '{task.id}' has: give the data as paths, "
                "which its preprocessing reads, or leave 'start' out."
            )
        if frozenset(self.model.architecture) in LINEAR_SPACES:
            return None
        foreign = ValueError(
            f"The network in '{self.place}' is none of {space.name}: give the space that it was found in, or leave "
            "'start' out."
        )
        try:
            architecture = space.canonical(self.model.architecture)
            child = space.child(architecture, task.shape, self.objective.outputs)
        except ValueError:
            raise foreign from None
        own = child.state_dict()
        prefix = next((one for one in WEIGHT_PREFIXES if all(f"{one}{name}" in self.weights for name in own)), "")
        found = {name: self.weights.get(f"{prefix}{name}") for name in own}
        if any(each is None or each.shape != own[name].shape for name, each in found.items()):
            raise foreign
        child.load_state_dict(found)
        weights = space.supernet_weights(child)
        for name in space.output_weights(1, 1).keys() & weights.keys():
            weights[name] = self.for_classes(weights[name], weights[name].mean(0), task)
            if isinstance(task.goal, Regression) and isinstance(self.objective, Regression):
                weights[name] = task.goal.rescaled(weights[name], self.objective)
        return architecture, weights

    def for_classes(self, rows: Tensor, new: Tensor, task: Task) -> Tensor:
        """A row for each output of the model as a row for each of a task's; ``new`` is that of a new class."""
        known, names = self.model.classes, task.goal.names(task.classes)
        if names == known:
            return rows
        if not isinstance(task.goal, Classification | SeveralLabels):
            raise ValueError(
                f"The model in '{self.place}' has other outputs than task '{task.id}' ({task.goal.noun}): leave "
                "'start' out."
            )
        places = {name: place for place, name in enumerate(known)}
        return torch.cat([rows, new[None]])[[places.get(name, len(known)) for name in names]]


def read_start(path: str | os.PathLike[str]) -> TaskStart | ModelStart:
    """An exported model if the path is a folder, or else meta-trained weights; no code in it is executed."""
    if not Path(path).exists():
        raise FileNotFoundError(
            f"There is no start '{writable(os.fspath(path))}': give the folder of an exported model, or a checkpoint "
            "that `fit` of TaskReptile wrote."
        )
    if Path(path).is_file():
        return TaskStart.read(path)
    model, weights = load(path), read_weights(Path(path) / WEIGHTS)
    return ModelStart(writable(os.fspath(path)), model, weights, read_description(Path(path) / DESCRIPTION).objective)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a teacher says of the examples of a task, in their order, and of further ones without targets."""

    objective: Distillation
    parts: Mapping[str, Tensor]  # of train, val and test, shape (n, outputs) each; the last one is only for reports
    cost: Cost
    further: Any = ()  # examples without targets, as a preprocessing takes them
    digest: str | None = None  # of these, as the teacher takes them; None without any
    outputs: Tensor | None = None  # what the teacher says of them, shape (n, outputs)
    recombined: int = 0  # the last ones, which were made of others

    def describe(self, begin: str = "") -> str:
        """How many examples without targets there are of each kind, after such words; empty without any."""
        found = {"unlabelled example": len(self.further) - self.recombined, "recombined text": self.recombined}
        text = " and ".join(number_of(number, noun) for noun, number in found.items() if number)
        return text and f"{begin}{text}"

    def taught(self, task: Task) -> Task:
        """The task, under whatever preprocessing, with what the teacher says of the examples that are learned from."""
        train, val = self._with(task.train, "train"), task.val and self._with(task.val, "val")
        return replace(task, objective=self.objective, train=train, val=val)

    def with_further(self, task: Task) -> Task:
        """The task with the examples without targets among those to learn from."""
        if self.outputs is None:
            return task
        inputs = _inputs(task, self.further)
        more = Split(inputs, self.objective.targets(None, self.outputs.to(inputs.device)))
        return replace(task, train=join_parts(task.train, more))

    def _with(self, part: Split, name: str) -> Split:
        return replace(part, labels=self.objective.targets(part.labels, self.parts[name].to(part.labels.device)))


@dataclass(frozen=True, eq=False)
class Teacher:
    """An exported model."""

    place: str
    model: Exported
    size: int  # bytes of its program

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Teacher:
        """Read an exported model; no code in it is executed."""
        folder, place = Path(path), writable(os.fspath(path))
        if not folder.exists():
            raise FileNotFoundError(f"There is no model '{place}' to learn from: give the folder of an exported model.")
        return cls(place, load(folder), (folder / PROGRAM).stat().st_size)

    def lesson(
        self, task: Task, kind: Kind, read: ReadUnder, *, data: Any = None, unlabelled: Any = None, seed: int = 0
    ) -> Lesson:
        """What it says of the examples of a task."""
        columns, begin = self._columns(task, kind), perf_counter()
        known = self._as_taken(task, kind, read)
        named = {"train": known.train, "val": known.val, "test": known.test}
        parts = {name: self._outputs(part, columns) for name, part in named.items() if part is not None}
        further: Any = []
        if unlabelled is not None:
            further = self._new_ones(unlabelled, kind, known)
        if texts := recombined(self._texts(data, kind, known), seed):
            further = [*further, *texts]
        digest, outputs = None, None
        if len(further):
            inputs = _inputs(known, further)
            digest = tensor_digest(inputs)
            outputs = self._outputs(Split(inputs, torch.zeros(len(inputs))), columns)
        number, each = sum(map(len, parts.values())) + len(further), multiply_adds(self.model.network, self.model.shape)
        cost = Cost(images=number, flops=number * each, seconds=perf_counter() - begin)
        return Lesson(Distillation(task.goal), parts, cost, further, digest, outputs, len(texts))

    def _columns(self, task: Task, kind: Kind) -> list[int]:
        """The place of each of a task's outputs among the model's."""
        model, names = self.model, task.goal.names(task.classes)
        if model.goal.kind != task.goal.kind or model.noun not in (kind.noun, "examples"):
            raise ValueError(
                f"The model in '{self.place}' is for {model.goal.kind} of {model.noun}, and task '{task.id}' is "
                f"{task.goal.kind} of {kind.noun}: give a model that was trained on such data."
            )
        if others := {*names} ^ {*model.classes}:
            shown = first_few([f"'{printable(name, 40)}'" for name in sorted(others)])
            raise ValueError(
                f"The model in '{self.place}' and task '{task.id}' have not the same {task.goal.named}: {shown} only "
                f"one of them has; give a model of these data, or leave the examples of other {task.goal.named} out."
            )
        return [model.classes.index(name) for name in names]

    def _as_taken(self, task: Task, kind: Kind, read: ReadUnder) -> Task:
        made, shape, known = self.model.preprocessing, as_shape(self.model.shape), task
        if isinstance(made, JoinedTokens):
            known = joined_task(read(made.first), read(made.second)) or task
        elif isinstance(shape, ImageShape):
            known = read(shape)
        elif made is not None:
            known = read(made)
        if not _has_inputs(known, shape, made):
            raise ValueError(
                f"The model in '{self.place}' takes other inputs than task '{task.id}' has: give the data as paths or "
                "raw examples, which its preprocessing reads."
            )
        check_unchanged(known, task)
        return known

    def _outputs(self, part: Split, columns: list[int]) -> Tensor:
        """Scores of classes, or numbers, in the order of the task's outputs, shape ``(n, outputs)``, on the CPU."""
        goal, scores = self.model.goal, self.model.scores
        said = scores if isinstance(goal, Classification) else lambda inputs: goal.values(scores(inputs))
        return scores_of(said, part, goal)[:, columns].float()

    def _texts(self, data: Any, kind: Kind, known: Task) -> list[str]:
        """The texts to learn from as they were given; none of other data, and where they cannot be found again."""
        given = list[str]()
        if kind.name == TEXTS and isinstance(data, str | os.PathLike):
            # Tables may have a column of another name, and the task has warned of texts that are left out.
            with suppress(OSError, ValueError), warnings.catch_warnings(action="ignore"):
                given = _read(data, kind)
        elif kind.name == TEXTS and isinstance(data, tuple | list):
            given = list(map(str, data[0]))
        if not given:
            return []
        # There are texts to choose by and to test with among them.
        learned = {*digests(known.train.inputs)}
        return [text for text, one in zip(given, digests(_inputs(known, given)), strict=True) if one in learned]

    def _new_ones(self, given: Any, kind: Kind, known: Task) -> Any:
        """Unlabelled examples without those that are chosen by or tested with."""
        if isinstance(given, str | os.PathLike):
            given = _read(given, kind)
        judged = {one for part in (known.val, known.test) if part is not None for one in digests(part.inputs)}
        own = digests(_inputs(known, given)) if len(given) else []
        kept = [place for place, one in enumerate(own) if one not in judged]
        if not kept:
            raise ValueError(
                f"There are no unlabelled {kind.noun} but those that are chosen by or tested with: give others, or "
                "leave 'unlabelled' out."
            )
        if isinstance(given, Tensor | np.ndarray):
            return given[kept]
        return [given[place] for place in kept]


def _read(path: str | os.PathLike[str], kind: Kind) -> list[Any]:
    return [example for _, example in read_new_examples([os.fspath(path)], kind.name).examples]


def _has_inputs(task: Task, shape: Shape, made: Preprocessing | None) -> bool:
    """Whether a task has inputs of a shape, made by a preprocessing of the same meaning."""
    return same_shape(shape, task.shape) and InputMeaning.of(task.preprocessing).digest == InputMeaning.of(made).digest


def check_unchanged(task: Task, before: Task) -> None:
    """Refuse data that have changed since they were read under another preprocessing."""
    now, then = ([part.labels for part in (one.train, one.val, one.test) if part is not None] for one in (task, before))
    same = len(now) == len(then) and all(map(torch.equal, now, then))
    if (task.way, task.classes) != (before.way, before.classes) or not same:
        raise ValueError(f"The data of '{before.id}' have changed since they were first read: leave them as they are.")


def _inputs(task: Task, examples: Any) -> Tensor:
    """Examples as the inputs of a task are, on its device; images of 8 bits if its are."""
    inputs, like = network_inputs(examples, task.shape, task.preprocessing), task.train.inputs
    if like.dtype == torch.uint8:
        inputs = (inputs * 255).round().to(torch.uint8)
    return inputs.to(like.device)
