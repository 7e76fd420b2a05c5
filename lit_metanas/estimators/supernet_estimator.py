"""Performance estimation with the weights of a supernet, without training."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from lit_metanas.estimators.estimator import Estimator, Measure, Score, network_measures
from lit_metanas.estimators.folds import validation_part
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.io.settings import tensor_digest
from lit_metanas.meta.heads import PrototypeHead
from lit_metanas.objectives.classification import Classification
from lit_metanas.records.record import Cost, RecipeFields
from lit_metanas.spaces import Architecture, SearchSpace, one_hot
from lit_metanas.spaces.supernet import embed_and_record, score_with
from lit_metanas.tasks.task import Task
from lit_metanas.training.child import judge
from lit_metanas.training.meta_weights import MetaCheckpoint


class SupernetEstimator(Estimator):
    """Validation score of the one-hot child of a trained supernet (Bender et al. 2018).

    Batch-norm statistics are those of the task's train part. If the supernet has a classifier for the task's number of
    classes, that classifier is used, otherwise the nearest class mean of the train features. Objectives other than
    classification need the supernet's own. An estimate costs one query and no training, at any fidelity.

    Args:
        task: gives the train and validation parts.
        space: the space that the supernet was built from.
        seed: unused: nothing is random.
        weights: the supernet's parameters by name, or a file of them.
        start: instead of weights a checkpoint of meta-training, on a space that is as large or larger.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the task has no validation part, the supernet cannot be computed, the weights do not fit the space
            or the task, or both or neither of ``weights`` and ``start`` are given.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> space = lm.LayeredSpace(widths=(4,))
        >>> weights = dict(space.supernet(task.shape).named_parameters())
        >>> estimator = lm.estimators.SupernetEstimator(task, space, seed=0, weights=weights)
        >>> 0 <= estimator(space.sample(torch.Generator().manual_seed(0)), fidelity=1.0).value <= 1
        True
    """

    def __init__(
        self,
        task: Task,
        space: SearchSpace,
        seed: int,
        weights: Mapping[str, Tensor] | str | os.PathLike[str] | None = None,
        start: str | None = None,
    ) -> None:
        space.check_objective(task.goal)
        self.task = task
        self.space = space
        self.val = validation_part(task)
        device = self.val.inputs.device
        given, self._meta_cost = _find_parameters(weights, start, space, task)
        self.weights = {name: tensor.detach().to(device) for name, tensor in given.items()}
        with torch.random.fork_rng(devices=[]):
            self.supernet = space.supernet(task.shape).to(device)
            outputs = space.output_weights(self.supernet.features, task.way)
        if self.supernet.refusal:
            raise ValueError(self.supernet.refusal)
        own = dict(self.supernet.named_parameters())
        wanted = {**own, **outputs}
        fitting = {
            name for name, tensor in self.weights.items() if name in wanted and wanted[name].shape == tensor.shape
        }
        if missing := sorted(own.keys() - fitting):
            raise ValueError(
                f"The supernet's weights do not fit {space.name} on task '{task.id}': '{missing[0]}' is missing or has "
                "another shape; give the weights of this space and input shape."
            )
        self.parameters = {name: self.weights[name] for name in own}
        missing = sorted(outputs.keys() - fitting)
        if missing and not isinstance(task.goal, Classification):
            raise ValueError(
                f"The supernet's weights lack {', '.join(missing)} for the {task.way} outputs of task "
                f"'{task.id}': give those of a supernet that was trained on it."
            )
        self._outputs = {name: self.weights[name] for name in outputs if not missing}

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query; there is no training to charge."""
        return Cost(queries=1)

    @property
    def meta_cost(self) -> Cost:
        """Cost of the meta-training, if the weights come from its checkpoint."""
        return self._meta_cost

    @property
    def settings(self) -> RecipeFields:
        """A digest of the weights, the classifier included."""
        return {"weights": tensor_digest(*(self.weights[name] for name in sorted(self.weights)))}

    @property
    def measures(self) -> Mapping[str, Measure]:
        """Parameters, flops and latency of the child."""
        return network_measures(self.space, self.task.shape, self.task.way, self.val.inputs.device)

    @torch.no_grad()
    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Validate a child; ``start`` replaces weights of the supernet."""
        parameters = {**self.parameters, **{k: v for k, v in (start or {}).items() if k in self.parameters}}
        mixture = one_hot(self.space.choices, architecture)
        train = self.task.train
        features, statistics = embed_and_record(self.supernet, parameters, mixture, train.inputs)

        def scores(inputs: Tensor) -> Tensor:
            if self._outputs:
                return score_with(self.supernet, parameters, self._outputs, inputs, mixture, statistics=statistics)
            embedded = functional_call(
                self.supernet, parameters, (inputs, mixture), {"statistics": statistics}, tie_weights=False
            )
            return PrototypeHead().scores({}, embedded, features, train.labels, self.task.way)

        return Score(judge(scores, self.val, self.task.goal).value, self.cost(architecture, fidelity))


def _find_parameters(
    weights: Mapping[str, Tensor] | str | os.PathLike[str] | None, start: str | None, space: SearchSpace, task: Task
) -> tuple[Mapping[str, Tensor], Cost]:
    """The supernet's parameters from either argument, and the cost of their meta-training, if known."""
    if start is not None and weights is None:
        checkpoint = MetaCheckpoint.read(start)
        return checkpoint.for_task(space, task).weights, checkpoint.cost
    if weights is None or start is not None:
        raise ValueError(
            "SupernetEstimator takes either the supernet's weights or, as its start, a checkpoint of meta-training: "
            "give one of the two."
        )
    if not isinstance(weights, Mapping):
        weights = read_weights(weights)
    return weights, Cost()
