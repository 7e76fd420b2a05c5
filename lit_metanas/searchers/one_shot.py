"""Search with the weights of a supernet that was trained by single paths."""

from __future__ import annotations

from dataclasses import replace

import torch
from optuna.samplers import BaseSampler, RandomSampler

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.supernet import SupernetEstimator
from lit_metanas.estimators.training import validation_part
from lit_metanas.modules.minibatches import Minibatches
from lit_metanas.modules.quiet_trainer import quiet_trainer
from lit_metanas.modules.shared_weights import WeightRates
from lit_metanas.modules.single_path import SinglePath
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import Found
from lit_metanas.searchers.query import QuerySearcher
from lit_metanas.searchers.searcher import Searcher
from lit_metanas.spaces.space import SearchSpace


class OneShot(Searcher):
    """Trains a supernet by uniformly drawn architectures, then ranks candidates by their accuracy with its weights.

    With a random sampler it is random search with weight sharing (Li and Talwalkar 2019), with an evolutionary one
    single-path one-shot (Guo et al. 2020). The budget's FLOPs go into the training; a candidate costs a query. What it
    finds carries the supernet's weights, its classifier, and batch-norm statistics. One trial is recorded a candidate.

    Args:
        sampler: any of Optuna's samplers, seeded anew for each candidate; None draws at random.
        candidates: trials of the ranking, those at no cost counted; the ranking ends sooner where the budget does.
        constraints: largest values of ``parameters``, ``flops`` or ``latency`` of a candidate.
        rates: how the weights are trained.
        epochs: passes over the train part; the training ends sooner where the budget does.
        batch_size: images of a minibatch.
    """

    def __init__(
        self,
        *,
        sampler: BaseSampler | None = None,
        candidates: int = 100,
        constraints: dict[str, float] | None = None,
        rates: WeightRates | None = None,
        epochs: int = 50,
        batch_size: int = 64,
    ) -> None:
        if candidates < 1 or epochs < 1 or batch_size < 2:
            raise ValueError(
                f"OneShot needs candidates and epochs >= 1 and a batch size >= 2, not {candidates}, {epochs} and "
                f"{batch_size}."
            )
        self.sampler = sampler or RandomSampler()
        self.candidates = candidates
        self.constraints = constraints or {}
        self.rates = rates or WeightRates()
        self.epochs = epochs
        self.batch_size = batch_size

    def search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        """Search one task on the device that it lies on.

        Raises:
            ValueError: the task has no validation part, or no candidate was scored.
        """
        # Also where it is called from a prediction, which has gradients switched off.
        with torch.inference_mode(False), torch.enable_grad():
            trained = self._train(task, space, budget, seed)
            weights = {name: tensor.detach() for name, tensor in trained.weights.items()}
            ranking = QuerySearcher(sampler=self.sampler, trials=self.candidates, constraints=self.constraints)
            estimator = SupernetEstimator(task, space, seed, weights)
            found = ranking.run(estimator, space, budget, seed, problem=task.id)
            return replace(found, weights=trained.inherited(found.architecture))

    def _train(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> SinglePath:
        val = validation_part(task)
        device = task.train.inputs.device
        steps = self.epochs * max(1, len(task.train) // self.batch_size)
        module = SinglePath(space=space, task=task, rates=self.rates, budget=budget, steps=steps, seed=seed).to(device)
        pairs = Minibatches(task.train, val, batch_size=self.batch_size, steps=steps, seed=seed)
        with quiet_trainer(device) as trainer:
            trainer.fit(module.train(), train_dataloaders=pairs)
        return module.to(device)
