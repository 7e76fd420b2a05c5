"""The base of searchers that train a supernet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TypeVar

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
from lit_metanas.training.weight_sharing.minibatches import Minibatches
from lit_metanas.training.weight_sharing.supernet_training import SupernetTraining, copy_named

Module = TypeVar("Module", bound=SupernetTraining)


class SupernetSearcher(Searcher):
    """Trains one supernet on the task, from scratch or from meta-trained parameters, and chooses with its weights.

    Args:
        epochs: passes over the train part; the training ends sooner where the budget does.
        batch_size: images of a minibatch.
        start: meta-trained parameters, or the checkpoint that holds them; None starts from scratch.
        head: with ``start``, how the classifier starts from the train part: a head with a weight and a bias. None
            starts from scratch.
        callbacks: Lightning's, of the Trainer that trains the supernet. It never validates: searches do so themselves.

    Raises:
        ValueError: a number is out of its range, or a callback waits for a Trainer's validation.
    """

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
        self.epochs = epochs
        self.batch_size = batch_size
        self.start = start
        self.head = head
        self.callbacks = tuple(callbacks)

    @property
    def meta_cost(self) -> Cost:
        """Of the meta-training, where the search starts from its checkpoint."""
        return read_meta_checkpoint(self.start).cost if isinstance(self.start, str) else Cost()

    @property
    def input_shape(self) -> Shape | None:
        """Of the images of the meta-training, where the search starts from its checkpoint."""
        return read_meta_checkpoint(self.start).shape if isinstance(self.start, str) else None

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Of the inputs of the meta-training, where the search starts from its checkpoint."""
        return read_meta_checkpoint(self.start).inputs.preprocessing if isinstance(self.start, str) else None

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
        # Also where it is called from a prediction, which has gradients switched off.
        with torch.inference_mode(False), torch.enable_grad():
            return self._search(task, space, budget, seed)

    @abstractmethod
    def _search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search a task that has a validation part."""

    def _an_epoch(self, task: Task) -> int:
        """Steps of one pass over the train part."""
        return max(1, len(task.train) // self.batch_size)

    def _fit(self, module: Module, seed: int) -> Module:
        """Train a module to the end of its schedule or of its budget, on the device that the task lies on."""
        device = module.task.train.inputs.device
        module = module.to(device)
        if self.start is not None:
            self._start_from(module)
        pairs = Minibatches(module.task.train, module.val, batch_size=self.batch_size, steps=module.steps, seed=seed)
        with quiet_trainer(device, callbacks=self.callbacks) as trainer:
            trainer.fit(module.train(), train_dataloaders=pairs)
        return module.to(device)

    @torch.no_grad()
    def _start_from(self, module: SupernetTraining) -> None:
        """Begin from meta-trained parameters, and make the classifier."""
        task, space = module.task, module.space
        start = self.start
        assert start is not None
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
