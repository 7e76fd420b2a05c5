"""Search with the weights of a supernet that was trained by single paths."""

from __future__ import annotations

from dataclasses import replace

from optuna.samplers import BaseSampler, RandomSampler

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.supernet import SupernetEstimator
from lit_metanas.meta.head import Head
from lit_metanas.meta.parameters import Parameters
from lit_metanas.modules.shared_weights import WeightRates
from lit_metanas.modules.single_path import SinglePath
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Found
from lit_metanas.searchers.query import QuerySearcher
from lit_metanas.searchers.shared_weights import SharedWeightsSearcher
from lit_metanas.spaces.space import SearchSpace


class OneShot(SharedWeightsSearcher):
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
        start: meta-trained parameters, or the checkpoint that holds them, whose weights the training starts from; None
            starts anew.
        head: with ``start``, how the classifier starts from the train part, under the architecture of the meta-trained
            logits: a head with a weight and a bias. None starts anew.
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
        start: Parameters | str | None = None,
        head: Head | None = None,
    ) -> None:
        if candidates < 1:
            raise ValueError(f"OneShot: candidates is {candidates}; give at least 1.")
        super().__init__(epochs=epochs, batch_size=batch_size, start=start, head=head)
        self.sampler = sampler or RandomSampler()
        self.candidates = candidates
        self.constraints = constraints or {}
        self.rates = rates or WeightRates()
        self._ranking = QuerySearcher(sampler=self.sampler, trials=candidates, constraints=self.constraints)

    @property
    def meta_cost(self) -> Cost:
        """Of the meta-training that the weights start from, and of the searches that the sampler learned from."""
        return super().meta_cost + self._ranking.meta_cost

    def _search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        steps = self.epochs * self._an_epoch(task)
        module = SinglePath(space=space, task=task, rates=self.rates, budget=budget, steps=steps, seed=seed)
        trained = self._fit(module, seed)
        weights = {name: tensor.detach() for name, tensor in trained.weights.items()}
        estimator = SupernetEstimator(task, space, seed, weights)
        found = self._ranking.run(estimator, space, budget, seed, problem=task.id)
        return replace(found, weights=trained.inherited(found.architecture))
