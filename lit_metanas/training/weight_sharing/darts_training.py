"""DARTS: weights and architecture logits of one task trained in turn, and the gradients of the logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from lit_metanas.inputs.batches import float32
from lit_metanas.io.settings import keeps_arguments
from lit_metanas.meta.differentiation import named_gradients
from lit_metanas.meta.learner import Parameters, Tensors
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.tasks.task import Split
from lit_metanas.training.architecture_logits import ArchitectureLogits
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


Loss = Callable[[Tensors, Tensors], Tensor]
"""The loss of one minibatch, a scalar, as a function of weights and logits, with its noise fixed."""


@keeps_arguments()
class Hypergradient(ABC):
    """Gradient of the validation loss with respect to the logits.

    Attributes:
        train_passes: forward-backward passes over the train minibatch.
        val_passes: forward-backward passes over the validation minibatch.

    Example:
        >>> gradient: lm.training.Hypergradient = lm.training.SecondOrder()
        >>> searcher = lm.DARTSSearcher(gradient=gradient)
    """

    train_passes: int
    val_passes: int

    @abstractmethod
    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient.

        Args:
            train_loss: loss of the train minibatch.
            val_loss: loss of the validation minibatch.
            weights: the current weights, requiring gradients.
            logits: the current logits, requiring gradients.
            rate: the weights' current learning rate.

        Returns:
            One gradient a choice, zeros where the loss does not depend on it.
        """


class FirstOrder(Hypergradient):
    """The gradient at the current weights, as if these were optimal already (Liu et al. 2019, Eq. 6 with xi = 0).

    Example:
        >>> searcher = lm.DARTSSearcher(gradient=lm.training.FirstOrder())
    """

    train_passes = 0
    val_passes = 1

    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient."""
        return named_gradients(val_loss(weights, logits), logits)


class SecondOrder(Hypergradient):
    """The gradient through one step of the weights (Liu et al. 2019, Eq. 6 to 8).

    With ``w' = w - xi dL_train/dw`` and ``v = dL_val/dw'`` it is ``dL_val(w')/da - xi H v``, where the product of the
    mixed second derivatives with ``v`` is the central difference of ``dL_train/da`` at ``w + e v`` and ``w - e v``,
    divided by ``2 e``. The step is plain gradient descent, as in the paper: no momentum, no weight decay.

    Args:
        epsilon: ``e`` is this divided by the norm of ``v`` (0.01 in the paper).

    Example:
        >>> searcher = lm.DARTSSearcher(gradient=lm.training.SecondOrder(epsilon=0.01))
    """

    train_passes = 3
    val_passes = 1

    def __init__(self, *, epsilon: float = 0.01) -> None:
        if epsilon <= 0:
            raise ValueError(f"The step of the finite difference is {epsilon}: give a positive number.")
        self.epsilon = epsilon

    def __call__(self, *, train_loss: Loss, val_loss: Loss, weights: Tensors, logits: Tensors, rate: float) -> Tensors:
        """Derive the gradient, without autocast: bf16 does not tell ``w + e v`` from ``w``."""
        with float32(next(iter(weights.values())).device):
            slope = named_gradients(train_loss(weights, logits), weights)
            ahead = {n: (w.detach() - rate * slope[n]).requires_grad_() for n, w in weights.items()}
            both = named_gradients(
                val_loss(ahead, logits),
                {f"w {n}": w for n, w in ahead.items()} | {f"a {n}": a for n, a in logits.items()},
            )
            direct = {name: both[f"a {name}"] for name in logits}
            vector = {name: both[f"w {name}"] for name in ahead}
            norm = torch.stack([value.square().sum() for value in vector.values()]).sum().sqrt()
            if not norm > 0:
                return direct
            step = self.epsilon / norm
            near = ({n: w.detach() + sign * step * vector[n] for n, w in weights.items()} for sign in (1, -1))
            plus, minus = (named_gradients(train_loss(each, logits), logits) for each in near)
            return {name: direct[name] - rate * (plus[name] - minus[name]) / (2 * step) for name in logits}


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
        """For each choice the candidates' probabilities, shape ``(labels,)``, detached; callbacks read them."""
        return self.logits.probabilities()

    def architecture(self) -> Architecture:
        """The architecture of the largest logits, even if it cannot be built."""
        return self.space.derive(self.logits.tree())

    @torch.no_grad()
    def begin(self, parameters: Parameters) -> Mixture:
        """Start from meta-trained weights and logits; returns the relaxation of these logits."""
        super().begin(parameters)
        self.logits.inherit({choice.name: choice.labels for choice in self.space.choices}, parameters.logits)
        return self.relaxation(self.logits.tree(), self.draw_noise(1).relaxation, 0.0)

    def choice_optimizer(self) -> Optimizer:
        """Adam for the logits."""
        # The betas are those of DARTS, too.
        return Adam(
            [self.logits.values], lr=self.rates.logits, betas=(0.5, 0.999), weight_decay=self.rates.logits_decay
        )

    def take_step(self, batch: Minibatch) -> None:
        """One step of the logits on the validation minibatch, then one of the weights on the train minibatch."""
        progress = self.progress
        if progress >= self.rates.warm_up:
            self._step_logits(batch, progress)
        mixture = self.relaxation(self.logits.tree(), self._draw_relaxation(), progress)
        self.step_weights(mixture, batch.train, progress)

    def _step_logits(self, batch: Minibatch, progress: float) -> None:
        train, val = batch
        logits, gradient = self.logits.tree(), self.hypergradient
        train_noise, val_noise = self.draw_noise(len(train)), self.draw_noise(len(val))
        cost = self.price(gradient.train_passes * len(train), self.relaxation(logits, train_noise.relaxation, progress))
        cost += self.price(gradient.val_passes * len(val), self.relaxation(logits, val_noise.relaxation, progress))
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

    def _loss(
        self,
        split: Split,
        noise: MinibatchNoise,
        progress: float,
        weights: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
    ) -> Tensor:
        return self.batch_loss(weights, self.relaxation(logits, noise.relaxation, progress), split, noise.dropout)
