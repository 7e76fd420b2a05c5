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
from lit_metanas.meta import Adaptation, Head, PrototypeLoss
from lit_metanas.meta.cost import training_flops
from lit_metanas.modules.meta_search import MetaSearch, default_weight_optimizer
from lit_metanas.modules.quiet_trainer import quiet_trainer
from lit_metanas.records.budget import Cost
from lit_metanas.spaces import Architecture, SearchSpace, Shape, inherit


class MetaTrainingEstimator(Estimator):
    """Accuracy on meta-validation episodes after meta-training with the prototype loss.

    All architectures see the same episodes. A training takes as many whole steps as its FLOPs pay for, but at least
    one. It anneals its learning rate to zero, so that short ones are comparable; one that goes on from weights starts
    with a new optimizer.

    Args:
        data: the episodes.
        space: where architectures come from.
        shape: channels, height and width of an input.
        flops: most training FLOPs of fidelity 1, whatever the architecture.
        seed: of initial weights and training.
        head: features to scores; prototypes by default.
        weight_optimizer: steps the weights; MetaSearch's by default.
        device: where to train; the CPU by default.
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
        device: torch.device | None = None,
    ) -> None:
        self.data = data
        self.space = space
        self.shape = shape
        self.flops = flops
        self.seed = seed
        self.head = head
        self.weight_optimizer = weight_optimizer
        self.device = device or torch.device("cpu")
        self._step_flops: dict[Architecture, int] = {}

    @property
    def settings(self) -> Mapping[str, float | int | str | bool]:
        """The budget of fidelity 1."""
        return {"flops": self.flops}

    def cost(self, architecture: Architecture, fidelity: float) -> Cost:
        """One query, and the most FLOPs that the call takes: those of the fidelity, or of one step if that is more."""
        return Cost(queries=1, flops=max(self.step_flops(architecture), int(fidelity * self.flops)))

    def step_flops(self, architecture: Architecture) -> int:
        """Training FLOPs of one step, the same for all steps."""
        if architecture not in self._step_flops:
            model = self._model(architecture, self.flops)
            parameters, episode = model.meta_parameters(), self.data.stream("train")[0, 0]
            parts = model.learner, model.inner_loop
            noise = model.meta_gradient.draw(*parts, parameters, episode, torch.Generator().manual_seed(0))
            adaptation = Adaptation(model.learner, episode, noise, 0.0)
            one = training_flops(model.inner_loop, model.meta_gradient, parameters, adaptation)
            self._step_flops[architecture] = self.data.tasks_per_step * one
        return self._step_flops[architecture]

    def __call__(self, architecture: Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None) -> Score:
        """Meta-train and validate; the weights returned have the supernet's names and lie on the CPU."""
        weights = overlay(fresh_weights(self.space, self.shape, self.seed), start or {})
        step = self.step_flops(architecture)
        model = self._model(architecture, step * max(1, int(fidelity * self.flops) // step))
        model.supernet.load_state_dict(inherit(weights, model.supernet.state_dict()))
        with quiet_trainer(self.device, epochs=-1) as trainer:
            trainer.limit_val_batches = 0
            trainer.fit(model, self.data)
            trainer.limit_val_batches = 1.0
            (metrics,) = trainer.validate(model, self.data, verbose=False)
        spent = replace(model.cost(), queries=1, seconds=0.0)
        assert spent.flops <= self.cost(architecture, fidelity).flops
        trained = {name: value.detach().cpu() for name, value in model.supernet.named_parameters()}
        return Score(metrics["val/accuracy"], spent, overlay(weights, trained))

    def _model(self, architecture: Architecture, flops: float) -> MetaSearch:
        with torch.random.fork_rng(devices=[]):
            return MetaSearch(
                space=self.space,
                shape=self.shape,
                architecture=architecture.to_json(),
                meta_gradient=PrototypeLoss(),
                head=self.head,
                flops=flops,
                seed=self.seed,
                weight_optimizer=self.weight_optimizer,
            )
