"""Weight-sharing search: DARTS from scratch, or from meta-trained parameters."""

from __future__ import annotations

from collections.abc import Sequence

from lightning.pytorch import Callback

from lit_metanas.episodes.task import Task
from lit_metanas.meta.head import Head
from lit_metanas.meta.parameters import Parameters
from lit_metanas.modules.architecture_gradient import ArchitectureGradient, FirstOrder
from lit_metanas.modules.weight_sharing import Rates, WeightSharing
from lit_metanas.records.budget import Budget
from lit_metanas.records.record import Found
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.relaxations.softmax import Softmax
from lit_metanas.searchers.shared_weights import SharedWeightsSearcher
from lit_metanas.spaces.space import SearchSpace


class WeightSharingSearcher(SharedWeightsSearcher):
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
        super().__init__(epochs=epochs, batch_size=batch_size, start=start, head=head, callbacks=callbacks)
        self.relaxation = relaxation or Softmax()
        self.gradient = gradient or FirstOrder()
        self.rates = rates or Rates()

    def _search(self, task: Task, space: SearchSpace, budget: Budget, seed: int) -> Found:
        an_epoch = self._an_epoch(task)
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
        )
        module = self._fit(module, seed)
        architecture = module.architecture()
        return Found(architecture, module.inherited(architecture), module.record)
