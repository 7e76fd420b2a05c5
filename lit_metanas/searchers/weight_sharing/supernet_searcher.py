"""The base of searchers that train a supernet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar, ThroughputMonitor, Timer

from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape
from lit_metanas.meta.heads import Head
from lit_metanas.meta.learner import Parameters
from lit_metanas.objectives.classification import Classification
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import SearchOutcome
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint, read_parameters
from lit_metanas.training.trainers import quiet_trainer
from lit_metanas.training.weight_sharing.supernet_training import Minibatches, SupernetTraining, copy_named

Module = TypeVar("Module", bound=SupernetTraining)


class SupernetSearcher(Searcher, Generic[Module]):
    """Trains one supernet on the task, from scratch or from meta-trained parameters, and chooses with its weights."""

    def __init__(
        self,
        *,
        epochs: int,
        batch_size: int,
        start: Parameters | str | None,
        head: Head | None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if epochs < 1 or batch_size < 2:
            raise ValueError(f"A search needs epochs >= 1 and a batch size >= 2, not {epochs} and {batch_size}.")
        for callback in callbacks:
            validates = type(callback).on_validation_end is not Callback.on_validation_end
            if validates and not isinstance(callback, ProgressBar | Timer | ThroughputMonitor):
                raise ValueError(
                    f"{type(self).__name__}: {type(callback).__name__} waits for a Trainer's validations, and this "
                    "search validates within its steps: leave it out of 'callbacks'."
                )
        self.epochs, self.batch_size = epochs, batch_size
        self.start, self.head = start, head
        self.callbacks = tuple(callbacks)

    @property
    def meta_cost(self) -> Cost:
        """The cost of the meta-training, if the search starts from its checkpoint."""
        if isinstance(self.start, str):
            return read_meta_checkpoint(self.start).cost
        return super().meta_cost

    @property
    def input_shape(self) -> Shape | None:
        """The shape of the meta-training's inputs, if the search starts from its checkpoint."""
        if isinstance(self.start, str):
            return read_meta_checkpoint(self.start).shape
        return super().input_shape

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing of the meta-training's inputs, if the search starts from its checkpoint."""
        if isinstance(self.start, str):
            return read_meta_checkpoint(self.start).inputs.preprocessing
        return super().preprocessing

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search one task on the device that it lies on.

        Raises:
            ValueError: the task has no validation part, the initial parameters are not this space's, nothing that can
                be built is found, or a classifier is to start from classes, and the task has none.
        """
        validation_part(task)
        if self.head is not None and not isinstance(task.goal, Classification):
            raise ValueError(
                f"{type(self.head).__name__} starts from the classes of the train part, and task '{task.id}' is judged "
                f"by {task.goal.metric}: leave 'head' out."
            )
        # A prediction, which may call this, switches gradients off.
        with torch.inference_mode(False), torch.enable_grad():
            trained = self._fit(self._training(task, space, budget, seed), seed)
            found = self._choose(trained, seed)
            return replace(found, weights=trained.inheritance(found.architecture))

    @abstractmethod
    def _training(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Module:
        """The training of the supernet, before its first step."""

    @abstractmethod
    def _choose(self, trained: Module, seed: int) -> SearchOutcome:
        """Choose an architecture with the trained weights, which the child will inherit."""

    def _steps_an_epoch(self, task: Task) -> int:
        """Steps of one pass over the train part."""
        return max(1, len(task.train) // self.batch_size)

    def _fit(self, module: Module, seed: int) -> Module:
        """Train a module to the end of its schedule or of its budget, on the device that the task lies on."""
        device = module.task.train.inputs.device
        module = module.to(device)
        if self.start is not None:
            self._start_from(self.start, module)
        pairs = Minibatches(module.task.train, module.val, batch_size=self.batch_size, steps=module.steps, seed=seed)
        with quiet_trainer(device, callbacks=self.callbacks) as trainer:
            trainer.fit(module.train(), train_dataloaders=pairs)
        return module.to(device)

    @torch.no_grad()
    def _start_from(self, start: Parameters | str, module: SupernetTraining) -> None:
        """Begin from meta-trained parameters, and make the classifier."""
        task, space = module.task, module.space
        parameters = start if isinstance(start, Parameters) else read_parameters(start, space, task)
        mixture = module.begin(parameters)
        if self.head is None:
            return
        features = torch.empty(0)
        if self.head.starts_from_support:
            weights = dict(module.supernet.named_parameters())
            features, _ = embed_and_record(module.supernet, weights, mixture, task.train.inputs)
        classifier = self.head.start(parameters.head, features, task.train.labels, task.way)
        if set(classifier) != {"weight", "bias"}:
            raise ValueError(
                f"{type(self.head).__name__} is not a linear head, which a weight-sharing search trains: use "
                "PrototypeLinearHead."
            )
        copy_named(dict(module.head.named_parameters()), classifier, space)
