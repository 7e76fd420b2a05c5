"""An exported model as the start of a search on more data, and both models on the same test examples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import same_shape
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.io.text import writable
from lit_metanas.kinds.kind import MadeBefore
from lit_metanas.kinds.stored_preprocessing import InputMeaning
from lit_metanas.kinds.texts.text_tokens import JoinedTokens, joined_task
from lit_metanas.objectives.classification import Classification
from lit_metanas.objectives.objective import NEVER, Objective
from lit_metanas.objectives.regression import Regression
from lit_metanas.objectives.several_labels import SeveralLabels
from lit_metanas.records.budget import Cost
from lit_metanas.records.statistics import percent
from lit_metanas.spaces.any_input import LINEAR_SPACES
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import evidence_of, judge
from lit_metanas.training.export.exported_program import WEIGHTS, Exported, load
from lit_metanas.training.export.network_description import DESCRIPTION, read_description
from lit_metanas.training.meta_weights import TaskStart

# How names of weights begin in ``weights.pt``: of one network, of an ensemble, and of both with a linear model.
BEGINNINGS = ("", "networks.0.", "network.", "network.networks.0.")


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
        before = self.made_before
        made, known = InputMeaning.of(task.preprocessing), InputMeaning.of(before.inputs)
        if not same_shape(before.shape, task.shape) or made.digest != known.digest:
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
        begin = next((one for one in BEGINNINGS if all(f"{one}{name}" in self.weights for name in own)), "")
        found = {name: self.weights.get(f"{begin}{name}") for name in own}
        if any(each is None or each.shape != own[name].shape for name, each in found.items()):
            raise foreign
        child.load_state_dict(found)
        weights = space.supernet_weights(child)
        for name in space.output_weights(1, 1).keys() & weights.keys():
            weights[name] = self._for_classes(weights[name], weights[name].mean(0), task)
            if isinstance(task.goal, Regression) and isinstance(self.objective, Regression):
                weights[name] = task.goal.rescaled(weights[name], self.objective)
        return architecture, weights

    def compare(self, result: SearchResult, task: Task, read: Callable[[Preprocessing], Task]) -> str:
        """The model's test score, and how far the new one is ahead on the same examples, as a sentence."""
        made, known = self.model.preprocessing, task
        if isinstance(made, JoinedTokens):
            joined = joined_task(task, read(made.second))
            assert joined is not None, made
            known = joined

        def scores(inputs: Tensor) -> Tensor:
            own = self.model.scores(inputs).movedim(-1, 0)
            return self._for_classes(own, torch.full_like(own[0], NEVER), task).movedim(0, -1).to(inputs.device)

        assert result.tested is not None
        goal = self.model.objective or self.objective
        if isinstance(goal, Classification):  # of which the metric may compare probabilities
            goal = replace(goal, way=task.way, metric=result.metric, shift=None)
        before = result.objective.judge(evidence_of(scores, known.test, goal), known.test.labels)
        gain = judge(result.network, result.tested, result.objective).ahead_of(before)
        return (
            f"the model in '{self.place}' has {percent(before.value)} % on the same {len(known.test)} test examples; "
            f"this one is {100 * gain.value:+.1f} ± {100 * gain.half:.1f} points ahead, pair by pair. If the earlier "
            "model has learned from some of them, its score is too high: give a test part that it has not seen."
        )

    def _for_classes(self, rows: Tensor, new: Tensor, task: Task) -> Tensor:
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
