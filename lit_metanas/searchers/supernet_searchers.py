"""Searchers that train a supernet: DARTS and ENAS."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Generic, TypeVar

import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar, ThroughputMonitor, Timer

from lit_metanas.estimators.folds import validation_part
from lit_metanas.estimators.supernet_estimator import SupernetEstimator
from lit_metanas.meta import Head, Parameters
from lit_metanas.objectives.classification import Classification
from lit_metanas.records import Budget, SearchOutcome, Trial
from lit_metanas.relaxations.relaxation import Relaxation, Softmax
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.architecture import Architecture, check_positive
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record
from lit_metanas.tasks.task import Task
from lit_metanas.training.meta_weights import MetaCheckpoint
from lit_metanas.training.trainers import quiet_trainer
from lit_metanas.training.weight_sharing.darts_training import DARTSRates, DARTSTraining, FirstOrder, Hypergradient
from lit_metanas.training.weight_sharing.enas_training import ControllerRates, ENASTraining
from lit_metanas.training.weight_sharing.supernet_training import (
    Minibatches,
    SupernetPlan,
    SupernetTraining,
    WeightRates,
    copy_named,
)

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
            if validates and not isinstance(callback, ProgressBar | ThroughputMonitor | Timer):
                raise ValueError(
                    f"{type(self).__name__}: {type(callback).__name__} waits for a Trainer's validations, and this "
                    "search validates within its steps: leave it out of 'callbacks'."
                )
        self.epochs, self.batch_size = epochs, batch_size
        self.start, self.head = start, head
        self.callbacks = tuple(callbacks)

    def _meta_checkpoint(self) -> MetaCheckpoint | None:
        return MetaCheckpoint.read(self.start) if isinstance(self.start, str) else None

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SearchOutcome:
        """Search one task on the device that it lies on."""
        validation_part(task)
        if self.head is not None and not isinstance(task.goal, Classification):
            raise ValueError(
                f"{type(self.head).__name__} starts from the classes of the train part, and task '{task.id}' is judged "
                f"by {task.goal.metric}: leave 'head' out."
            )
        # A prediction, which may call this, switches gradients off.
        with torch.inference_mode(False), torch.enable_grad():
            epoch = max(1, len(task.train) // self.batch_size)
            plan = SupernetPlan(space, task, budget, self.epochs * epoch, validate_every=epoch, seed=seed)
            device, module = task.train.inputs.device, self._training(plan)
            module.to(device)
            if self.start is not None:
                self._start_from(self.start, module)
            pairs = Minibatches(task.train, module.val, batch_size=self.batch_size, steps=module.steps, seed=seed)
            with quiet_trainer(device, callbacks=self.callbacks) as trainer:
                trainer.fit(module.train(), train_dataloaders=pairs)
            found = self._choose(module.to(device), seed)
            return replace(found, weights=module.inheritance(found.architecture))

    @abstractmethod
    def _training(self, plan: SupernetPlan) -> Module:
        """The training of the supernet, before its first step."""

    @abstractmethod
    def _choose(self, trained: Module, seed: int) -> SearchOutcome:
        """Choose an architecture with the trained weights, which the child will inherit."""

    @torch.no_grad()
    def _start_from(self, start: Parameters | str, module: SupernetTraining) -> None:
        task, space = module.task, module.space
        parameters = start if isinstance(start, Parameters) else MetaCheckpoint.read(start).for_task(space, task)
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


class DARTSSearcher(SupernetSearcher[DARTSTraining]):
    """Trains one supernet on the task, weights and logits in turn, and derives the architecture of the largest logits.

    With the defaults it is first-order DARTS from scratch (Liu et al. 2019). With ``start`` it is the meta-searched
    search. The outcome carries the supernet's weights, its classifier, and the batch-norm statistics of the chosen
    architecture. Each epoch records one trial.

    Args:
        relaxation: logits to mixture.
        gradient: how the logits' gradient is derived: ``FirstOrder`` or ``SecondOrder``.
        rates: learning rates and their like.
        epochs: passes over the train part; the search ends sooner if the budget does.
        batch_size: images of a minibatch.
        start: meta-trained parameters, or the checkpoint that holds them; None starts from scratch.
        head: with ``start``, how the classifier starts from the train part: a head with a weight and a bias. None
            starts from scratch.
        callbacks: Lightning's, of the Trainer that runs the search. They see its logits and its record during the
            search, and may stop it. One callback serves all tasks, one after the other.

    Example:
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> method = lm.DARTSSearcher(epochs=1)
        >>> result = lm.search(task, lm.LayeredSpace(widths=(4,)), method=method, recipe=lm.Recipe(epochs=1))
        >>> len(result.record.trials)
        1
    """

    def __init__(
        self,
        *,
        relaxation: Relaxation | None = None,
        gradient: Hypergradient | None = None,
        rates: DARTSRates | None = None,
        epochs: int = 50,
        batch_size: int = 64,
        start: Parameters | str | None = None,
        head: Head | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        super().__init__(epochs=epochs, batch_size=batch_size, start=start, head=head, callbacks=callbacks)
        self.relaxation = relaxation or Softmax()
        self.gradient = gradient or FirstOrder()
        self.rates = rates or DARTSRates()

    def _training(self, plan: SupernetPlan) -> DARTSTraining:
        return DARTSTraining(plan, relaxation=self.relaxation, gradient=self.gradient, rates=self.rates)

    def _choose(self, trained: DARTSTraining, seed: int) -> SearchOutcome:
        architecture = trained.architecture()
        if (reason := trained.space.violation(architecture)) is not None:
            raise ValueError(
                f"The architecture that the search found cannot be built ({reason}): take another seed, or "
                "ENASSearcher, which keeps only what can be built."
            )
        return SearchOutcome(architecture, None, trained.record)


class ENASSearcher(SupernetSearcher[ENASTraining]):
    """Trains shared weights and a controller in turn, draws children from it, and keeps the best (Pham et al. 2018).

    The outcome carries the supernet's weights, its classifier, and batch-norm statistics. Each epoch records one trial,
    of the controller's likeliest architecture. In the end each drawn child records one, and costs a query unless it was
    drawn before. If the budget pays for none of these, the likeliest architecture is chosen.

    Args:
        controller: how the controller is made and trained.
        rates: how the weights are trained.
        candidates: children that are drawn in the end; the best by validation is chosen.
        epochs: passes over the train part; the training ends sooner if the budget does.
        batch_size: images of a minibatch.
        start: meta-trained parameters, or the checkpoint that holds them, from whose weights the search starts; None
            starts from scratch, as the controller always does.
        head: with ``start``, how the classifier starts from the train part, under the architecture of the meta-trained
            logits: a head with a weight and a bias. None starts from scratch.

    Example:
        >>> lm.searchers.ENASSearcher(epochs=1, candidates=2).batch_size
        64
    """

    def __init__(
        self,
        *,
        controller: ControllerRates | None = None,
        rates: WeightRates | None = None,
        candidates: int = 10,
        epochs: int = 50,
        batch_size: int = 64,
        start: Parameters | str | None = None,
        head: Head | None = None,
    ) -> None:
        check_positive("ENASSearcher", {"candidates": candidates})
        super().__init__(epochs=epochs, batch_size=batch_size, start=start, head=head)
        self.controller = controller or ControllerRates()
        self.rates = rates or WeightRates()
        self.candidates = candidates

    def _training(self, plan: SupernetPlan) -> ENASTraining:
        return ENASTraining(plan, rates=self.rates, controller=self.controller)

    def _choose(self, trained: ENASTraining, seed: int) -> SearchOutcome:
        """The best of the last draws by validation, the earliest of equals."""
        estimator = SupernetEstimator(trained.task, trained.space, seed, trained.weights)
        budget, trials = trained.budget, trained.record.trials
        scores: dict[Architecture, float] = {}
        for _ in range(self.candidates):
            architecture = trained.draw()
            known = architecture in scores
            if not known:
                cost = estimator.cost(architecture, 1.0)
                if not budget.affords(cost):
                    break
                budget.charge(cost)
                scores[architecture] = estimator(architecture, fidelity=1.0).value
            trials.append(Trial(architecture, scores[architecture], budget.spent, duplicate=known))
        if scores:
            return SearchOutcome(max(scores, key=lambda one: scores[one]), None, trained.record)
        if not trials:
            trained.validate()
        return SearchOutcome(trained.derive() or trained.draw(), None, trained.record)
