"""Weight-sharing search: DARTS from scratch, or from meta-trained parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.pytorch import Callback
from torch import Tensor

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.training import validation_part
from lit_metanas.meta.head import Head
from lit_metanas.meta.parameters import Parameters
from lit_metanas.modules.architecture_gradient import ArchitectureGradient, FirstOrder
from lit_metanas.modules.meta_checkpoint import read_meta_checkpoint, read_parameters
from lit_metanas.modules.minibatches import Minibatches
from lit_metanas.modules.quiet_trainer import quiet_trainer
from lit_metanas.modules.statistics import embed_and_record
from lit_metanas.modules.weight_sharing import Rates, WeightSharing
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Found
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.relaxations.softmax import Softmax
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace


class WeightSharingSearcher(Searcher):
    """Trains one supernet on the task, weights and logits in turn, and derives the architecture of the largest logits.

    With the defaults it is first-order DARTS from scratch (Liu et al. 2019). Started from meta-trained parameters it
    is the meta-searched search. What it finds carries the supernet's weights, its classifier, and the
    batch-norm statistics of the chosen architecture. One trial is recorded an epoch.

    Args:
        relaxation: logits to mixture.
        gradient: how the logits' gradient is derived: ``FirstOrder`` or ``SecondOrder``.
        rates: learning rates and their like.
        epochs: passes over the train part; the search ends sooner where the budget does.
        batch_size: images of a minibatch.
        start: meta-trained parameters, or the checkpoint that holds them; None starts anew.
        head: with ``start``, how the classifier starts from the train part: a head with a weight and a bias. None
            starts anew.
        callbacks: Lightning's, of the Trainer that runs the search: they see its logits and its record as it goes on,
            and may stop it. One callback serves all tasks, one after the other.
    """

    def __init__(
        self,
        *,
        relaxation: Relaxation | None = None,
        gradient: ArchitectureGradient | None = None,
        rates: Rates | None = None,
        epochs: int = 50,
        batch_size: int = 64,
        start: Parameters | str | None = None,
        head: Head | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        if epochs < 1 or batch_size < 2:
            raise ValueError(f"A search needs epochs >= 1 and a batch size >= 2, not {epochs} and {batch_size}.")
        self.relaxation = relaxation or Softmax()
        self.gradient = gradient or FirstOrder()
        self.rates = rates or Rates()
        self.epochs = epochs
        self.batch_size = batch_size
        self.start = start
        self.head = head
        self.callbacks = tuple(callbacks)

    @property
    def meta_cost(self) -> Cost:
        """Of the meta-training, where the search starts from its checkpoint."""
        return read_meta_checkpoint(self.start).cost if isinstance(self.start, str) else Cost()

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Search one task on the device that it lies on.

        Raises:
            ValueError: the task has no validation part, or the initial parameters are not this space's.
        """
        # Also where it is called from a prediction, which has gradients switched off.
        with torch.inference_mode(False), torch.enable_grad():
            return self._search(task, space, budget, seed)

    def _search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        val = validation_part(task)
        device = task.train.inputs.device
        an_epoch = max(1, len(task.train) // self.batch_size)
        module = WeightSharing(
            space=space,
            task=task,
            relaxation=self.relaxation,
            gradient=self.gradient,
            rates=self.rates,
            budget=budget,
            steps=self.epochs * an_epoch,
            validate_every=an_epoch,
            seed=seed,
        ).to(device)
        if self.start is not None:
            self._start_from(module, task, self._initial(space, task))
        pairs = Minibatches(task.train, val, batch_size=self.batch_size, steps=self.epochs * an_epoch, seed=seed)
        with quiet_trainer(device, callbacks=self.callbacks) as trainer:
            trainer.fit(module.train(), train_dataloaders=pairs)
        module.to(device)
        architecture = module.architecture()
        return Found(architecture, module.inherited(architecture), module.record)

    def _initial(self, space: SearchSpace, task: Task) -> Parameters:
        if isinstance(self.start, Parameters):
            return self.start
        assert self.start is not None
        return read_parameters(self.start, space, task.shape)

    @torch.no_grad()
    def _start_from(self, module: WeightSharing, task: Task, parameters: Parameters) -> None:
        """Copy meta-trained parameters into the search."""
        _copy(dict(module.supernet.named_parameters()), parameters.weights, module.space)
        _copy(module.logits, parameters.logits, module.space)
        if self.head is None:
            return
        mixture = self.relaxation(module.logits, module.draw_noise(1).relaxation, 0.0)
        features = torch.empty(0)
        if self.head.starts_from_support:
            weights = dict(module.supernet.named_parameters())
            features, _ = embed_and_record(module.supernet, weights, mixture, task.train.inputs)
        start = self.head.start(parameters.head, features, task.train.labels, task.way)
        if set(start) != {"weight", "bias"}:
            raise ValueError(
                f"{type(self.head).__name__} is not a linear head, which a weight-sharing search trains: use "
                "PrototypeLinearHead."
            )
        _copy(dict(module.head.named_parameters()), start, module.space)


def _copy(own: dict[str, Tensor], given: dict[str, Tensor], space: SearchSpace) -> None:
    for name, tensor in own.items():
        if name not in given or given[name].shape != tensor.shape:
            raise ValueError(
                f"The initial parameters do not fit {space.name}: '{name}' is missing or has another shape; give "
                "those that were meta-trained in this space for this input shape."
            )
        tensor.data.copy_(given[name])
