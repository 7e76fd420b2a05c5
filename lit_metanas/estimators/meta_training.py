"""Performance estimation by meta-training one architecture on episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from lit_metanas.episodes.episode_data import EpisodeDataModule
from lit_metanas.estimators.estimator import Estimator, Score
from lit_metanas.estimators.overlay import fresh_weights, overlay
from lit_metanas.meta import Head, PrototypeLoss
from lit_metanas.modules.meta_search import MetaSearch, default_weight_optimizer
from lit_metanas.modules.quiet_trainer import quiet_trainer
from lit_metanas.records.budget import Cost
from lit_metanas.spaces import Architecture, SearchSpace, Shape, inherit


class MetaTrainingEstimator(Estimator):
    """Accuracy on meta-validation episodes after meta-training with the prototype loss.

    All architectures see the same episodes. Each training anneals its learning rate to zero, so that short ones are
    comparable; one that goes on from weights starts with a new optimizer.

    Args:
        data: the episodes.
        space: where architectures come from.
        shape: channels, height and width of an input.
        flops: training FLOPs of fidelity 1, whatever the architecture.
        seed: of initial weights and training.
        head: features to scores; prototypes by default.
        weight_optimizer: steps the weights; MetaSearch's by default.
    """

    def __init__(
        self,
        *,
        data: EpisodeDataModule,
        space: SearchSpace,
        shape: Shape,
        flops: float,
        seed: int,
        head: Head | None = None,
        weight_optimizer: OptimizerCallable = default_weight_optimizer,
    ) -> None:
        self.data = data
        self.space = space
        self.shape = shape
        self.flops = flops
        self.seed = seed
        self.head = head
        self.weight_optimizer = weight_optimizer

    @property
    def settings(self) -> Mapping[str, float | int | str | bool]:
        """The budget of fidelity 1."""
        return {"flops": self.flops}

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and the FLOPs of the fidelity; the last step may run over it by its own cost."""
        return Cost(queries=1, flops=int(fidelity * self.flops))

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Meta-train and validate; the weights returned have the supernet's names."""
        weights = overlay(fresh_weights(self.space, self.shape, self.seed), start or {})
        model = MetaSearch(
            space=self.space,
            shape=self.shape,
            architecture=architecture.to_json(),
            meta_gradient=PrototypeLoss(),
            head=self.head,
            flops=fidelity * self.flops,
            seed=self.seed,
            weight_optimizer=self.weight_optimizer,
        )
        model.supernet.load_state_dict(inherit(weights, model.supernet.state_dict()))
        with quiet_trainer(torch.device("cpu"), epochs=-1) as trainer:
            trainer.limit_val_batches = 0
            trainer.fit(model, self.data)
            trainer.limit_val_batches = 1.0
            (metrics,) = trainer.validate(model, self.data, verbose=False)
        spent = replace(model.cost(), queries=1, flops=self.cost(architecture, fidelity).flops, seconds=0.0)
        trained = {name: value.detach() for name, value in model.supernet.named_parameters()}
        return Score(metrics["val/accuracy"], spent, overlay(weights, trained))
