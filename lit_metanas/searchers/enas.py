"""ENAS: a controller learns which children of a supernet are good."""

from __future__ import annotations

from lit_metanas.episodes.task import Task
from lit_metanas.estimators.supernet import SupernetEstimator
from lit_metanas.meta.head import Head
from lit_metanas.meta.parameters import Parameters
from lit_metanas.modules.controller_sharing import ControllerRates, ControllerSharing
from lit_metanas.modules.shared_weights import WeightRates
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import Found, Trial
from lit_metanas.searchers.shared_weights import SharedWeightsSearcher
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace


class ENAS(SharedWeightsSearcher):
    """Trains shared weights and a controller in turn, draws children from it, and keeps the best (Pham et al. 2018).

    What it finds carries the supernet's weights, its classifier, and batch-norm statistics. One trial is recorded an
    epoch, of the controller's likeliest architecture, and one for each child of the end, which costs a query unless it
    was drawn there before. Where the budget pays for none of these, the likeliest architecture is found.

    Args:
        controller: how the controller is made and trained.
        rates: how the weights are trained.
        candidates: children that are drawn in the end, of which the best by validation is found.
        epochs: passes over the train part; the training ends sooner where the budget does.
        batch_size: images of a minibatch.
        start: meta-trained parameters, or the checkpoint that holds them, whose weights the search starts from; the
            controller starts anew. None starts all anew.
        head: with ``start``, how the classifier starts from the train part, under the architecture of the meta-trained
            logits: a head with a weight and a bias. None starts anew.
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
        if candidates < 1:
            raise ValueError(f"ENAS: candidates is {candidates}; give at least 1.")
        super().__init__(epochs=epochs, batch_size=batch_size, start=start, head=head)
        self.controller = controller or ControllerRates()
        self.rates = rates or WeightRates()
        self.candidates = candidates

    def _search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        an_epoch = self._an_epoch(task)
        module = ControllerSharing(
            space=space,
            task=task,
            rates=self.rates,
            controller=self.controller,
            budget=budget,
            steps=self.epochs * an_epoch,
            validate_every=an_epoch,
            seed=seed,
        )
        module = self._fit(module, seed)
        architecture = self._best(module, seed)
        return Found(architecture, module.inherited(architecture), module.record)

    def _best(self, module: ControllerSharing, seed: int) -> Architecture:
        """The best of the last draws by validation, the earliest of equals."""
        estimator = SupernetEstimator(module.task, module.space, seed, module.weights)
        scores: dict[Architecture, float] = {}
        for _ in range(self.candidates):
            architecture = module.draw()
            known = architecture in scores
            if not known:
                cost = estimator.cost(architecture, 1.0)
                if not module.budget.affords(cost):
                    break
                module.budget.charge(cost)
                scores[architecture] = estimator(architecture, fidelity=1.0).value
            module.record.trials.append(Trial(architecture, scores[architecture], module.budget.spent, duplicate=known))
        if scores:
            return max(scores, key=lambda one: scores[one])
        if not module.record.trials:
            module.validate()
        likeliest = module.likeliest()
        return likeliest if module.space.violation(likeliest) is None else module.draw()
