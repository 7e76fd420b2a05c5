"""The training of a supernet on one task."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, pi
from typing import NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lit_metanas.meta.learner import Parameters
from lit_metanas.records.record import TRAINING_PASSES, Budget, Cost, Exhausted, SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record, score_with
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import judge


class Minibatch(NamedTuple):
    """A train minibatch for the weights and a validation minibatch for the architecture."""

    train: Split
    val: Split


class Minibatches:
    """Pairs of minibatches for all steps of a search: a function of the seed."""

    # Each part is shuffled again for each pass over it, and the smaller part is passed over more often. A rest that is
    # smaller than a minibatch is dropped. A part that is smaller than one is a single minibatch.

    def __init__(self, train: Split, val: Split, *, batch_size: int, steps: int, seed: int) -> None:
        self.train, self.val = train, val
        self.batch_size, self.steps, self.seed = batch_size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Minibatch]:
        # Even and odd, so that no two seeds share a series.
        train = _endless(self.train, self.batch_size, torch.Generator().manual_seed(2 * self.seed))
        val = _endless(self.val, self.batch_size, torch.Generator().manual_seed(2 * self.seed + 1))
        for _ in range(self.steps):
            yield Minibatch(next(train), next(val))


def _endless(split: Split, batch_size: int, generator: torch.Generator) -> Iterator[Split]:
    size = min(batch_size, len(split))
    while True:
        order: Tensor = torch.randperm(len(split), generator=generator).to(split.labels.device)
        for places in order.split(size):
            if len(places) == size:
                yield Split(split.inputs[places], split.labels[places])


@dataclass(frozen=True)
class WeightRates:
    """How the weights of a supernet are trained; the defaults are those of DARTS.

    Attributes:
        weights: learning rate of the weights' SGD at the start.
        least_weights: learning rate at the end; it falls as a half cosine.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the weights' gradient; ``inf`` does not clip.

    Example:
        >>> searcher = lm.searchers.ENASSearcher(rates=lm.training.WeightRates(weights=0.05))
    """

    weights: float = 0.025
    least_weights: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0

    def __post_init__(self) -> None:
        if not (isinstance(self.clip, int | float) and self.clip > 0):
            raise ValueError(f"{type(self).__name__}: clip is {self.clip}; give a positive number; inf does not clip.")


def check_warm_up(rates: object, share: float) -> None:
    """Refuse a number of epochs that is given for a share: the architecture would never be trained."""
    if not 0 <= share <= 1:
        raise ValueError(f"{type(rates).__name__}: warm_up is {share}; give a share of the search, from 0 to 1.")


@dataclass(frozen=True)
class SupernetPlan:
    """What the training of a supernet is for, and how long it is."""

    space: SearchSpace
    task: Task  # its train part trains the weights, its val part what chooses architectures
    budget: Budget  # what the steps are charged to
    steps: int  # of the whole schedule
    validate_every: int  # steps between validations of the architecture that the training prefers
    seed: int = 0  # of weights, choices and draws


class SupernetTraining(LightningModule):
    """A supernet and its classifier, trained by steps that are charged to a budget beforehand."""

    # The loss and the metric are those of the task's objective. Networks that write a text are trained on each token
    # given the ones before it, and validated by what they write. A batch is normalised by its own statistics.
    # Validation is not charged. A subclass defines a step and the architecture that the training prefers.

    def __init__(self, plan: SupernetPlan, *, rates: WeightRates) -> None:
        super().__init__()
        self.automatic_optimization = False
        space, task = plan.space, plan.task
        assert task.val is not None
        space.check_objective(task.goal)
        self.space, self.task, self.val, self.budget = space, task, task.val, plan.budget
        self.weight_rates, self.steps, self.validate_every = rates, plan.steps, plan.validate_every
        self.generator = torch.Generator().manual_seed(plan.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            self.supernet = space.supernet(task.shape)
            if self.supernet.refusal:
                raise ValueError(self.supernet.refusal)
            self.head = nn.Linear(self.supernet.features, task.way)
        # Faster on a CPU, up to 1.6 times for cells.
        self.to(memory_format=torch.channels_last)
        self.record = SearchRecord(task.id)
        self.done = 0
        self.spent_before = plan.budget.spent.flops

    @property
    def weights(self) -> dict[str, Tensor]:
        """All trained weights by name: the supernet's and those of ``outputs``."""
        return {**dict(self.supernet.named_parameters()), **self.outputs}

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The classifier's weight and bias."""
        return {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}

    @property
    def progress(self) -> float:
        """Share of the schedule, or of the budget if that ends sooner, in [0, 1]."""
        share = self.done / self.steps
        if self.budget.flops is None:
            return min(1.0, share)
        rest = self.budget.flops - self.spent_before
        if rest <= 0:
            return 1.0
        return min(1.0, max(share, (self.budget.spent.flops - self.spent_before) / rest))

    @property
    def recorded(self) -> bool:
        """Whether nothing was trained since the record's last trial."""
        return bool(self.record.trials) and self.record.trials[-1].cost == self.budget.spent

    @torch.no_grad()
    def begin(self, parameters: Parameters) -> Mixture:
        """Start from meta-trained weights; returns the mixture of the largest meta-trained logits."""
        copy_named(dict(self.supernet.named_parameters()), parameters.weights, self.space)
        logits = {choice.name: torch.zeros(len(choice.labels)) for choice in self.space.choices}
        copy_named(logits, parameters.logits, self.space)
        return one_hot(self.space.choices, self.space.derive(logits))

    def configure_optimizers(self) -> Sequence[Optimizer]:
        """SGD for the weights, first, and the optimizer of what chooses architectures."""
        rates = self.weight_rates
        weights = SGD(
            list(self.weights.values()), lr=rates.weights, momentum=rates.momentum, weight_decay=rates.weight_decay
        )
        return [weights, self.choice_optimizer()]

    @abstractmethod
    def choice_optimizer(self) -> Optimizer:
        """The optimizer of what chooses architectures."""

    def training_step(self, batch: Minibatch, batch_idx: int) -> None:
        """One step; the training ends before the first one that the budget cannot pay."""
        try:
            self.take_step(batch)
        except Exhausted:
            self.trainer.should_stop = True
            return
        self.done += 1
        if self.done % self.validate_every == 0:
            self.validate()

    @abstractmethod
    def take_step(self, batch: Minibatch) -> None:
        """Train on a pair of minibatches; raises ``Exhausted`` before what the budget cannot pay."""

    def on_train_end(self) -> None:
        """Validate what was trained since the last validation."""
        if not self.recorded:
            self.validate()

    @abstractmethod
    def architecture(self) -> Architecture:
        """The architecture that the training prefers, even if it cannot be built."""

    def derive(self) -> Architecture | None:
        """The architecture that the training prefers, if it can be built."""
        preferred = self.architecture()
        return None if self.space.violation(preferred) else preferred

    @torch.no_grad()
    def validate(self) -> None:
        """Record the validation score of the derived architecture, with the train part's batch statistics."""
        architecture = self.derive()
        if architecture is None:
            return
        mixture = one_hot(self.space.choices, architecture)
        statistics, outputs = self.statistics(architecture), self.outputs
        judged = judge(
            lambda inputs: self.supernet.scores(outputs, inputs, mixture, None, statistics), self.val, self.task.goal
        )
        self.record.trials.append(Trial(architecture, judged.value, self.budget.spent))

    def weight_rate(self, progress: float) -> float:
        """The weights' learning rate: a half cosine over the progress."""
        rates = self.weight_rates
        return rates.least_weights + (1 + cos(pi * progress)) / 2 * (rates.weights - rates.least_weights)

    def draw_dropout(self, examples: int) -> dict[str, Tensor]:
        """Draw the dropout's uniform numbers for one minibatch."""
        noise = self.supernet.draw_noise(examples, self.generator)
        return {name: value.to(self.head.weight) for name, value in noise.items()}

    def scores(
        self,
        weights: Mapping[str, Tensor],
        mixture: Mixture,
        inputs: Tensor,
        dropout: Mapping[str, Tensor] | None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """Scores of one batch, normalised by itself: shape ``(n, way)``, or of each step; see ``Supernet.scores``."""
        outputs = {name: weights[name] for name in self.outputs}
        supernet = {name: weight for name, weight in weights.items() if name not in outputs}
        return score_with(self.supernet, supernet, outputs, inputs, mixture, noise=dropout, targets=targets)

    def batch_loss(
        self, weights: Mapping[str, Tensor], mixture: Mixture, batch: Split, dropout: Mapping[str, Tensor] | None
    ) -> Tensor:
        """The objective's mean loss of one batch."""
        return self.task.goal.loss(self.scores(weights, mixture, batch.inputs, dropout, batch.labels), batch.labels)

    def step_weights(self, mixture: Mixture, train: Split, progress: float) -> None:
        """One step of the weights under a mixture."""
        self.pay(self.price(len(train), mixture))
        loss = self.batch_loss(self.weights, mixture, train, self.draw_dropout(len(train)))
        # A trunk that is not trained asks for no gradient. Weights that the loss does not depend on only decay.
        weights = [weight for weight in self.weights.values() if weight.requires_grad]
        slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
        for weight, slope in zip(weights, slopes, strict=True):
            weight.grad = slope
        nn.utils.clip_grad_norm_(weights, self.weight_rates.clip)
        optimizer = self.trainer.optimizers[0]
        for group in optimizer.param_groups:
            group["lr"] = self.weight_rate(progress)
        optimizer.step()

    def price(self, images: int, mixture: Mixture) -> Cost:
        """The cost of forward-backward passes over so many images: 3 x forward multiply-adds each."""
        forward = self.supernet.flops(mixture) + self.supernet.output_flops(self.task.way)
        return Cost(images=images, flops=TRAINING_PASSES * forward * images)

    def pay(self, cost: Cost) -> None:
        """Charge one step; raises ``Exhausted`` where the budget cannot pay it."""
        self.budget.charge(replace(cost, steps=1))

    def statistics(self, architecture: Architecture) -> dict[str, Tensor]:
        """Batch-norm means and variances of an architecture on the train part."""
        weights = dict(self.supernet.named_parameters())
        mixture = one_hot(self.space.choices, architecture)
        return embed_and_record(self.supernet, weights, mixture, self.task.train.inputs)[1]

    def inheritance(self, architecture: Architecture) -> dict[str, Tensor]:
        """What a child inherits: weights, classifier, and its batch-norm statistics."""
        return {name: tensor.detach() for name, tensor in self.weights.items()} | self.statistics(architecture)


def copy_named(own: Mapping[str, Tensor], given: Mapping[str, Tensor], space: SearchSpace) -> None:
    """Copy given tensors to a module's own by name; all must be there, in the same shapes."""
    for name, tensor in own.items():
        if name not in given or given[name].shape != tensor.shape:
            raise ValueError(
                f"The initial parameters do not fit {space.name}: '{name}' is missing or has another shape; give "
                "those that were meta-trained in this space for this input shape."
            )
        tensor.data.copy_(given[name])
