"""Weight-sharing search of one task: weights and logits trained in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_metanas.meta.learner import Parameters
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Mixture
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.weight_sharing.hypergradient import Hypergradient, Tensors
from lit_metanas.training.weight_sharing.minibatches import Minibatch
from lit_metanas.training.weight_sharing.supernet_training import SupernetTraining, WeightRates, take_over


@dataclass(frozen=True)
class Rates(WeightRates):
    """How weights and logits of a weight-sharing search are trained; the defaults are those of DARTS.

    Attributes:
        weights: learning rate of the weights' SGD at the start.
        least_weights: and at the end of the half cosine by which it falls.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the weights' gradient.
        logits: learning rate of the logits' Adam.
        logits_decay: weight decay of the logits.
        warm_up: share of the search in which only the weights are trained.
    """

    logits: float = 3e-3
    logits_decay: float = 1e-3
    warm_up: float = 0.0


class Noise(NamedTuple):
    """The uniform numbers of one minibatch, for the relaxation by choice and for dropout by layer."""

    relaxation: dict[str, Tensor]
    dropout: dict[str, Tensor]


class DARTSTraining(SupernetTraining):
    """Trains a supernet on train minibatches and its logits on validation minibatches, in turn.

    Algorithm 1 of DARTS (Liu et al. 2019): at each step the logits are trained first, on the current weights. Each
    pass is charged beforehand; the search stops when the budget cannot pay the next step.

    Args:
        space: what is searched.
        task: its train part trains the weights, its val part the logits.
        relaxation: logits to mixture.
        gradient: how the logits' gradient is derived.
        rates: learning rates and their like.
        budget: the account.
        steps: steps of the whole schedule.
        validate_every: steps between validations of the derived architecture.
        seed: of weights, logits and noise.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        task: Task,
        relaxation: Relaxation,
        gradient: Hypergradient,
        rates: Rates,
        budget: Budget,
        steps: int,
        validate_every: int,
        seed: int,
    ) -> None:
        super().__init__(space=space, task=task, rates=rates, budget=budget, steps=steps, seed=seed)
        self.validate_every = validate_every
        self.relaxation, self.derivation, self.rates = relaxation, gradient, rates
        # A list, in the order of the choices: their names may hold dots. DARTS starts with a deviation of 0.001, too.
        self.alphas = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(len(choice.labels), generator=self.generator)) for choice in space.choices
        )

    @property
    def logits(self) -> dict[str, Tensor]:
        """For each choice, shape ``(labels,)``."""
        return {choice.name: alpha for choice, alpha in zip(self.space.choices, self.alphas, strict=True)}

    def probabilities(self) -> dict[str, Tensor]:
        """For each choice the softmax of its logits, shape ``(labels,)``."""
        return {name: alpha.detach().softmax(0) for name, alpha in self.logits.items()}

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive({name: alpha.detach() for name, alpha in self.logits.items()})

    @torch.no_grad()
    def begin(self, parameters: Parameters) -> Mixture:
        """Start from meta-trained weights and logits.

        Returns:
            The relaxation of these logits.

        Raises:
            ValueError: they are of another space or input shape.
        """
        super().begin(parameters)
        take_over(self.logits, parameters.logits, self.space)
        return self.relaxation(self.logits, self.draw_noise(1).relaxation, 0.0)

    def configure_optimizers(self) -> Sequence[Optimizer]:
        """SGD for the weights, Adam for the logits."""
        weights = super().configure_optimizers()
        assert isinstance(weights, Sequence)
        rate, decay = self.rates.logits, self.rates.logits_decay
        return [*weights, Adam(list(self.alphas.parameters()), lr=rate, betas=(0.5, 0.999), weight_decay=decay)]

    def training_step(self, batch: Minibatch, batch_idx: int) -> None:
        """One step of the logits on the validation minibatch, then one of the weights on the train minibatch."""
        progress = self.progress
        paid = progress < self.rates.warm_up or self._step_logits(batch, progress)
        if not (paid and self._step_weights(batch.train, progress)):
            self.trainer.should_stop = True
            return
        self.done += 1
        if self.done % self.validate_every == 0:
            self.validate()

    def _step_logits(self, batch: Minibatch, progress: float) -> bool:
        """One step of the logits, if the budget can pay it."""
        train, val = batch
        train_noise, val_noise = self.draw_noise(len(train)), self.draw_noise(len(val))
        passes = self.derivation.train_passes, self.derivation.val_passes
        cost = self.cost(passes[0] * len(train), train_noise, progress)
        cost += self.cost(passes[1] * len(val), val_noise, progress)
        if not self.pays(cost):
            return False
        gradient = self.derivation(
            train_loss=lambda weights, logits: self.loss(weights, logits, train, train_noise, progress),
            val_loss=lambda weights, logits: self.loss(weights, logits, val, val_noise, progress),
            weights=self.weights,
            logits=self.logits,
            rate=self.weight_rate(progress),
        )
        for name, alpha in self.logits.items():
            alpha.grad = gradient[name]
        self.optimizer(1).step()
        return True

    def _step_weights(self, train: Split, progress: float) -> bool:
        """One step of the weights under the current logits, if the budget can pay it."""
        noise = self.draw_noise(len(train))
        if not self.pays(self.cost(len(train), noise, progress)):
            return False
        self.train_weights(self.loss(self.weights, self.logits, train, noise, progress), progress)
        return True

    def on_train_end(self) -> None:
        """Validate what was trained since the last validation."""
        if not self.recorded:
            self.validate()

    def draw_noise(self, examples: int) -> Noise:
        """Draw the relaxation's and the dropout's uniform numbers for one minibatch."""
        relaxation = self.relaxation.draw_noise(self.logits, self.generator)
        return Noise({n: v.to(self.head.weight) for n, v in relaxation.items()}, self.draw_dropout(examples))

    def loss(self, weights: Tensors, logits: Tensors, split: Split, noise: Noise, progress: float) -> Tensor:
        """Mean cross-entropy of one minibatch under the relaxed architecture."""
        mixture = self.relaxation(logits, noise.relaxation, progress)
        return F.cross_entropy(self.scores(weights, mixture, split.inputs, noise.dropout), split.labels)

    @torch.no_grad()
    def cost(self, images: int, noise: Noise, progress: float) -> Cost:
        """What forward-backward passes over so many images cost: 3 x forward multiply-adds each."""
        return self.price(images, self.relaxation(self.logits, noise.relaxation, progress))

    def validate(self) -> None:
        """Record the validation accuracy of the derived architecture."""
        self.enter(self.architecture())
