"""DARTS: weights and architecture logits of one task trained in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from lit_metanas.meta.learner import Parameters
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.tasks.task import Split
from lit_metanas.training.architecture_logits import ArchitectureLogits
from lit_metanas.training.weight_sharing.hypergradient import Hypergradient
from lit_metanas.training.weight_sharing.supernet_training import (
    Minibatch,
    SupernetPlan,
    SupernetTraining,
    WeightRates,
    check_warm_up,
)


@dataclass(frozen=True)
class DARTSRates(WeightRates):
    """How weights and logits of a weight-sharing search are trained; the defaults are those of DARTS.

    Attributes:
        weights: learning rate of the weights' SGD at the start.
        least_weights: learning rate at the end; it falls as a half cosine.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the weights' gradient; ``inf`` does not clip.
        logits: learning rate of the logits' Adam.
        logits_decay: weight decay of the logits.
        warm_up: share of the search in which only the weights are trained.

    Example:
        >>> searcher = lm.DARTSSearcher(rates=lm.training.DARTSRates(logits=1e-2, warm_up=0.2))
    """

    logits: float = 3e-3
    logits_decay: float = 1e-3
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_warm_up(self, self.warm_up)


class MinibatchNoise(NamedTuple):
    """The uniform numbers of one minibatch, for the relaxation by choice and for dropout by layer."""

    relaxation: dict[str, Tensor]
    dropout: dict[str, Tensor]


class DARTSTraining(SupernetTraining):
    """Trains a supernet on train minibatches and its logits on validation minibatches, in turn.

    Algorithm 1 of DARTS (Liu et al. 2019): at each step the logits are trained first, on the current weights. Each
    pass is charged beforehand; the search stops before the first step that the budget cannot pay.
    """

    def __init__(
        self, plan: SupernetPlan, *, relaxation: Relaxation, gradient: Hypergradient, rates: DARTSRates
    ) -> None:
        super().__init__(plan, rates=rates)
        self.relaxation, self.hypergradient, self.rates = relaxation, gradient, rates
        self.logits = ArchitectureLogits(plan.space.choices)
        self.logits.perturb(1e-3, self.generator)  # as in DARTS

    def probabilities(self) -> dict[str, Tensor]:
        """For each choice the candidates' probabilities, shape ``(labels,)``, detached."""
        return self.logits.probabilities()

    def architecture(self) -> Architecture:
        """The architecture of the largest logits, even if it cannot be built."""
        return self.space.derive(self.logits.tree())

    @torch.no_grad()
    def begin(self, parameters: Parameters) -> Mixture:
        """Start from meta-trained weights and logits; returns the relaxation of these logits."""
        super().begin(parameters)
        self.logits.inherit({choice.name: choice.labels for choice in self.space.choices}, parameters.logits)
        return self.mixture(self.logits.tree(), self.draw_noise(1), 0.0)

    def choice_optimizer(self) -> Optimizer:
        """Adam for the logits."""
        rate, decay = self.rates.logits, self.rates.logits_decay
        return Adam([self.logits.values], lr=rate, betas=(0.5, 0.999), weight_decay=decay)

    def take_step(self, batch: Minibatch) -> None:
        """One step of the logits on the validation minibatch, then one of the weights on the train minibatch."""
        progress = self.progress
        if progress >= self.rates.warm_up:
            self._step_logits(batch, progress)
        mixture = self.relaxation(self.logits.tree(), self._draw_relaxation(), progress)
        self.step_weights(mixture, batch.train, progress)

    def _step_logits(self, batch: Minibatch, progress: float) -> None:
        """One step of the logits."""
        train, val = batch
        logits, gradient = self.logits.tree(), self.hypergradient
        train_noise, val_noise = self.draw_noise(len(train)), self.draw_noise(len(val))
        cost = self.price(gradient.train_passes * len(train), self.mixture(logits, train_noise, progress))
        cost += self.price(gradient.val_passes * len(val), self.mixture(logits, val_noise, progress))
        self.pay(cost)
        slopes = gradient(
            train_loss=partial(self._loss, train, train_noise, progress),
            val_loss=partial(self._loss, val, val_noise, progress),
            weights=self.weights,
            logits={name: value.requires_grad_() for name, value in logits.items()},
            rate=self.weight_rate(progress),
        )
        self.logits.values.grad = self.logits.flat(slopes)
        self.trainer.optimizers[1].step()

    def draw_noise(self, examples: int) -> MinibatchNoise:
        """Draw the relaxation's and the dropout's uniform numbers for one minibatch."""
        return MinibatchNoise(self._draw_relaxation(), self.draw_dropout(examples))

    def _draw_relaxation(self) -> dict[str, Tensor]:
        noise = self.relaxation.draw_noise(self.logits.tree(), self.generator)
        return {name: value.to(self.head.weight) for name, value in noise.items()}

    def mixture(self, logits: Mapping[str, Tensor], noise: MinibatchNoise, progress: float) -> Mixture:
        """The relaxed architecture of one minibatch."""
        return self.relaxation(logits, noise.relaxation, progress)

    def _loss(
        self,
        split: Split,
        noise: MinibatchNoise,
        progress: float,
        weights: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
    ) -> Tensor:
        """The objective's mean loss of one minibatch under the relaxed architecture."""
        return self.batch_loss(weights, self.mixture(logits, noise, progress), split, noise.dropout)
