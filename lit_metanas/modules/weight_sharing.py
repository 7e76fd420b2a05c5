"""Weight-sharing search of one task: weights and logits trained in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import cos, pi
from typing import NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import SGD, Adam, Optimizer

from lit_metanas.episodes.task import Split, Task
from lit_metanas.meta.cost import TRAINING_PASSES
from lit_metanas.modules.accuracy import share_right
from lit_metanas.modules.architecture_gradient import ArchitectureGradient, Tensors
from lit_metanas.modules.minibatches import Pair
from lit_metanas.modules.statistics import embed_and_record
from lit_metanas.records.budget import Budget, Cost
from lit_metanas.records.record import Record, Trial
from lit_metanas.relaxations.relaxation import Relaxation
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import one_hot
from lit_metanas.spaces.space import SearchSpace


@dataclass(frozen=True)
class Rates:
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

    weights: float = 0.025
    least_weights: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    logits: float = 3e-3
    logits_decay: float = 1e-3
    warm_up: float = 0.0


class Noise(NamedTuple):
    """The uniform numbers of one minibatch, for the relaxation by choice and for dropout by layer."""

    relaxation: dict[str, Tensor]
    dropout: dict[str, Tensor]


class WeightSharing(LightningModule):
    """Trains a supernet on train minibatches and its logits on validation minibatches, in turn.

    Algorithm 1 of DARTS (Liu et al. 2019): at each step the logits are trained first, on the current weights. Batches
    are normalised by their own statistics. Each pass is charged beforehand; the search stops when the budget cannot
    pay the next step. Forward passes without training (validation) are not part of the account.

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
        gradient: ArchitectureGradient,
        rates: Rates,
        budget: Budget,
        steps: int,
        validate_every: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        assert task.val is not None
        self.space, self.task, self.val = space, task, task.val
        self.relaxation, self.derivation, self.rates, self.budget = relaxation, gradient, rates, budget
        self.steps, self.validate_every = steps, validate_every
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.supernet = space.supernet(task.shape)
            self.head = nn.Linear(self.supernet.features, task.way)
        # A list, in the order of the choices: their names may hold dots. DARTS starts with a deviation of 0.001, too.
        self.alphas = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(len(choice.labels), generator=self.generator)) for choice in space.choices
        )
        self.record = Record(task.id)
        self.done = 0
        self.spent_before = budget.spent.flops

    @property
    def logits(self) -> dict[str, Tensor]:
        """For each choice, shape ``(labels,)``."""
        return {choice.name: alpha for choice, alpha in zip(self.space.choices, self.alphas, strict=True)}

    @property
    def weights(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, and the classifier's, ``head.weight`` and ``head.bias``."""
        head = {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}
        return {**dict(self.supernet.named_parameters()), **head}

    @property
    def progress(self) -> float:
        """Share of the schedule, or of the budget where that ends sooner, in [0, 1]."""
        share = self.done / self.steps
        if self.budget.flops is not None:
            rest = self.budget.flops - self.spent_before
            share = max(share, (self.budget.spent.flops - self.spent_before) / rest if rest > 0 else 1.0)
        return min(1.0, share)

    def probabilities(self) -> dict[str, Tensor]:
        """For each choice the softmax of its logits, shape ``(labels,)``."""
        return {name: alpha.detach().softmax(0) for name, alpha in self.logits.items()}

    def architecture(self) -> Architecture:
        """The architecture of the largest logits."""
        return self.space.derive({name: alpha.detach() for name, alpha in self.logits.items()})

    def configure_optimizers(self) -> list[Optimizer]:
        """SGD for the weights, Adam for the logits."""
        rates = self.rates
        weights = SGD(
            list(self.weights.values()), lr=rates.weights, momentum=rates.momentum, weight_decay=rates.weight_decay
        )
        logits = Adam(
            list(self.alphas.parameters()), lr=rates.logits, betas=(0.5, 0.999), weight_decay=rates.logits_decay
        )
        return [weights, logits]

    def training_step(self, batch: Pair, batch_idx: int) -> None:
        """One step of the logits on the validation minibatch, then one of the weights on the train minibatch."""
        progress = self.progress
        paid = progress < self.rates.warm_up or self._train_logits(batch, progress)
        if not (paid and self._train_weights(batch.train, progress)):
            self.trainer.should_stop = True
            return
        self.done += 1
        if self.done % self.validate_every == 0:
            self.validate()

    def _train_logits(self, batch: Pair, progress: float) -> bool:
        """One step of the logits, if the budget can pay it."""
        train, val = batch
        train_noise, val_noise = self.draw_noise(len(train)), self.draw_noise(len(val))
        passes = self.derivation.train_passes, self.derivation.val_passes
        cost = self.cost(passes[0] * len(train), train_noise, progress)
        cost += self.cost(passes[1] * len(val), val_noise, progress)
        if not self._pays(cost):
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
        self._optimizers()[1].step()
        return True

    def _train_weights(self, train: Split, progress: float) -> bool:
        """One step of the weights under the current logits, if the budget can pay it."""
        noise = self.draw_noise(len(train))
        if not self._pays(self.cost(len(train), noise, progress)):
            return False
        weights = list(self.weights.values())
        loss = self.loss(self.weights, self.logits, train, noise, progress)
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
            weight.grad = torch.zeros_like(weight) if slope is None else slope
        nn.utils.clip_grad_norm_(weights, self.rates.clip)
        optimizer = self._optimizers()[0]
        for group in optimizer.param_groups:
            group["lr"] = self.weight_rate(progress)
        optimizer.step()
        return True

    def _pays(self, cost: Cost) -> bool:
        cost = replace(cost, steps=1)
        affordable = self.budget.affords(cost)
        if affordable:
            self.budget.charge(cost)
        return affordable

    def on_train_end(self) -> None:
        """Validate what was trained since the last validation."""
        if self.done % self.validate_every:
            self.validate()

    def weight_rate(self, progress: float) -> float:
        """The weights' learning rate: a half cosine over the progress."""
        share = (1 + cos(pi * progress)) / 2
        return self.rates.least_weights + share * (self.rates.weights - self.rates.least_weights)

    def draw_noise(self, examples: int) -> Noise:
        """Draw the relaxation's and the dropout's uniform numbers for one minibatch."""
        relaxation = self.relaxation.draw_noise(self.logits, self.generator)
        dropout = self.supernet.draw_noise(examples, self.generator)
        like = self.head.weight
        return Noise({n: v.to(like) for n, v in relaxation.items()}, {n: v.to(like) for n, v in dropout.items()})

    def loss(self, weights: Tensors, logits: Tensors, split: Split, noise: Noise, progress: float) -> Tensor:
        """Mean cross-entropy of one minibatch under the relaxed architecture."""
        supernet = {name: weight for name, weight in weights.items() if not name.startswith("head.")}
        mixture = self.relaxation(logits, noise.relaxation, progress)
        features = functional_call(self.supernet, supernet, (split.inputs, mixture, noise.dropout))
        return F.cross_entropy(F.linear(features, weights["head.weight"], weights["head.bias"]), split.labels)

    @torch.no_grad()
    def cost(self, images: int, noise: Noise, progress: float) -> Cost:
        """What forward-backward passes over so many images cost: 3 x forward multiply-adds each."""
        forward = self.supernet.flops(self.relaxation(self.logits, noise.relaxation, progress))
        forward += self.head.weight.numel()
        return Cost(images=images, flops=TRAINING_PASSES * forward * images)

    @torch.no_grad()
    def validate(self) -> None:
        """Record the validation accuracy of the derived architecture, with the train part's batch statistics."""
        architecture = self.architecture()
        mixture = one_hot(self.space.choices, architecture)
        statistics = self.statistics(architecture)
        value = share_right(lambda inputs: self.head(self.supernet(inputs, mixture, None, statistics)), self.val)
        self.record.trials.append(Trial(architecture, value, self.budget.spent))

    def statistics(self, architecture: Architecture) -> dict[str, Tensor]:
        """Batch-norm means and variances of an architecture on the train part."""
        supernet = dict(self.supernet.named_parameters())
        mixture = one_hot(self.space.choices, architecture)
        return embed_and_record(self.supernet, supernet, mixture, self.task.train.inputs)[1]

    def _optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        both = self.optimizers()
        assert isinstance(both, list)
        weights, logits = both
        assert isinstance(weights, LightningOptimizer)
        assert isinstance(logits, LightningOptimizer)
        return weights, logits
