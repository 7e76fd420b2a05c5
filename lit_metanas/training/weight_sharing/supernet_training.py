"""The training of a supernet on one task, and single-path one-shot."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, pi

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lit_metanas.meta.learner import Parameters
from lit_metanas.records.budget import TRAINING_PASSES, Budget, Cost
from lit_metanas.records.record import SearchRecord, Trial
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.mixture import Mixture, one_hot
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import embed_and_record, score_with
from lit_metanas.tasks.task import Split, Task
from lit_metanas.training.child import judge
from lit_metanas.training.weight_sharing.minibatches import Minibatch

MOST_DRAWS = 1000
"""Draws after which a space, or a policy, counts as without any architecture that can be built."""


@dataclass(frozen=True)
class WeightRates:
    """How the weights of a supernet are trained; the defaults are those of DARTS.

    Attributes:
        weights: learning rate of the weights' SGD at the start.
        least_weights: and at the end of the half cosine by which it falls.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the weights' gradient; ``inf`` does not clip.

    Example:
        >>> import lit_metanas as lm
        >>> searcher = lm.OneShotSearcher(rates=lm.WeightRates(weights=0.05))
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
    """Refuse a share of a search that is none, such as a number of epochs: the architecture would never be trained.

    Raises:
        ValueError: it is not from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{type(rates).__name__}: warm_up is {share}; give a share of the search, from 0 to 1.")


class SupernetTraining(LightningModule):
    """A supernet and its classifier, trained by steps that are charged to a budget beforehand.

    The loss, and what validation measures, are those of the task's objective. Networks that write a text are trained on
    each token given those before it, and validated by what they write. Batches are normalised by their own statistics.
    Forward passes without training (validation) are not charged. A subclass says what a step does, and which
    architecture it would derive.

    Args:
        space: what is searched.
        task: its train part trains the weights.
        rates: how they are trained.
        budget: what the steps are charged to.
        steps: steps of the whole schedule.
        seed: of weights and noise.
        validate_every: steps between validations of the derived architecture; None never validates.

    Attributes:
        generator: draws everything that is random in the search.
        record: of the architectures that were validated.
        done: steps so far.
    """

    def __init__(
        self,
        *,
        space: SearchSpace,
        task: Task,
        rates: WeightRates,
        budget: Budget,
        steps: int,
        seed: int,
        validate_every: int | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        assert task.val is not None
        space.check_objective(task.goal)
        self.space, self.task, self.val = space, task, task.val
        self.weight_rates, self.budget, self.steps = rates, budget, steps
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.supernet = space.supernet(task.shape)
            if self.supernet.refusal:
                raise ValueError(self.supernet.refusal)
            self.head = nn.Linear(self.supernet.features, task.way)
            vectors = space.output_weights(self.supernet.features, task.way).get("embedding.weight")
        self.embedding = None if vectors is None else nn.Embedding.from_pretrained(vectors, freeze=False)
        # Faster on a CPU, up to 1.6 times for cells.
        self.to(memory_format=torch.channels_last)
        self.record = SearchRecord(task.id)
        self.done = 0
        self.validate_every = validate_every
        self.spent_before = budget.spent.flops

    @property
    def weights(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, and those that depend on the outputs: see ``outputs``."""
        return {**dict(self.supernet.named_parameters()), **self.outputs}

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The classifier's ``head.weight`` and ``head.bias``, and ``embedding.weight`` where texts are written."""
        found: dict[str, Tensor] = {f"head.{name}": parameter for name, parameter in self.head.named_parameters()}
        return found if self.embedding is None else {**found, "embedding.weight": self.embedding.weight}

    @property
    def progress(self) -> float:
        """Share of the schedule, or of the budget where that ends sooner, in [0, 1]."""
        share = self.done / self.steps
        if self.budget.flops is not None:
            rest = self.budget.flops - self.spent_before
            share = max(share, (self.budget.spent.flops - self.spent_before) / rest if rest > 0 else 1.0)
        return min(1.0, share)

    @property
    def recorded(self) -> bool:
        """Whether nothing was trained since the record's last trial."""
        return bool(self.record.trials) and self.record.trials[-1].cost == self.budget.spent

    @torch.no_grad()
    def begin(self, parameters: Parameters) -> Mixture:
        """Start from meta-trained weights.

        Returns:
            The mixture that they are to be used under: here the architecture of the largest meta-trained logits.

        Raises:
            ValueError: they are of another space or input shape.
        """
        copy_named(dict(self.supernet.named_parameters()), parameters.weights, self.space)
        logits = {choice.name: torch.zeros(len(choice.labels)) for choice in self.space.choices}
        copy_named(logits, parameters.logits, self.space)
        return one_hot(self.space.choices, self.space.derive(logits))

    def configure_optimizers(self) -> Optimizer | Sequence[Optimizer]:
        """SGD for the weights."""
        rates = self.weight_rates
        return [
            SGD(list(self.weights.values()), lr=rates.weights, momentum=rates.momentum, weight_decay=rates.weight_decay)
        ]

    def training_step(self, batch: Minibatch, batch_idx: int) -> None:
        """One step; the training ends before the first one that the budget cannot pay."""
        if not self.take_step(batch):
            self.trainer.should_stop = True
            return
        self.done += 1
        if self.validate_every is not None and self.done % self.validate_every == 0:
            self.validate()

    @abstractmethod
    def take_step(self, batch: Minibatch) -> bool:
        """Train on a pair of minibatches, if the budget can pay it; whether it could."""

    def on_train_end(self) -> None:
        """Validate what was trained since the last validation."""
        if self.validate_every is not None and not self.recorded:
            self.validate()

    def derive(self) -> Architecture | None:
        """The architecture to validate now; None where there is none that can be built."""
        return None

    @torch.no_grad()
    def validate(self) -> None:
        """Record the validation score of the derived architecture, with the train part's batch statistics."""
        architecture = self.derive()
        if architecture is None:
            return
        mixture = one_hot(self.space.choices, architecture)
        statistics = self.statistics(architecture)
        outputs = self.outputs
        _, judged = judge(
            lambda inputs: self.supernet.scores(outputs, inputs, mixture, None, statistics), self.val, self.task.goal
        )
        self.record.trials.append(Trial(architecture, judged.value, self.budget.spent))

    def weight_rate(self, progress: float) -> float:
        """The weights' learning rate: a half cosine over the progress."""
        share = (1 + cos(pi * progress)) / 2
        return self.weight_rates.least_weights + share * (self.weight_rates.weights - self.weight_rates.least_weights)

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
        names = self.outputs
        supernet = {name: weight for name, weight in weights.items() if name not in names}
        outputs = {name: weights[name] for name in names}
        return score_with(self.supernet, supernet, outputs, inputs, mixture, noise=dropout, targets=targets)

    def batch_loss(
        self, weights: Mapping[str, Tensor], mixture: Mixture, batch: Split, dropout: Mapping[str, Tensor] | None
    ) -> Tensor:
        """The objective's mean loss of one batch."""
        return self.task.goal.loss(self.scores(weights, mixture, batch.inputs, dropout, batch.labels), batch.labels)

    def train_weights(self, loss: Tensor, progress: float) -> None:
        """One step of the weights along the gradient of a loss; those that it does not depend on only decay.

        Those of a body that ask for no gradient, as in a trunk that is not trained, stay as they are.
        """
        weights = [weight for weight in self.weights.values() if weight.requires_grad]
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights, allow_unused=True), strict=True):
            weight.grad = torch.zeros_like(weight) if slope is None else slope
        nn.utils.clip_grad_norm_(weights, self.weight_rates.clip)
        optimizer = self.optimizer(0)
        for group in optimizer.param_groups:
            group["lr"] = self.weight_rate(progress)
        optimizer.step()

    def train_path(self, architecture: Architecture, train: Split) -> bool:
        """One step of the weights under one architecture, if the budget can pay it."""
        mixture, progress = one_hot(self.space.choices, architecture), self.progress
        if not self.pays(self.price(len(train), mixture)):
            return False
        loss = self.batch_loss(self.weights, mixture, train, self.draw_dropout(len(train)))
        self.train_weights(loss, progress)
        return True

    def first_built(self, draw: Callable[[], Architecture]) -> Architecture | None:
        """The first architecture that can be built, of those that are drawn; None where none of ``MOST_DRAWS`` can."""
        drawn = (draw() for _ in range(MOST_DRAWS))
        return next((one for one in drawn if self.space.violation(one) is None), None)

    def price(self, images: int, mixture: Mixture) -> Cost:
        """What forward-backward passes over so many images cost: 3 x forward multiply-adds each."""
        forward = self.supernet.flops(mixture) + self.supernet.output_flops(self.task.way)
        return Cost(images=images, flops=TRAINING_PASSES * forward * images)

    def pays(self, cost: Cost) -> bool:
        """Charge one step, if the budget can pay it."""
        cost = replace(cost, steps=1)
        affordable = self.budget.affords(cost)
        if affordable:
            self.budget.charge(cost)
        return affordable

    def statistics(self, architecture: Architecture) -> dict[str, Tensor]:
        """Batch-norm means and variances of an architecture on the train part."""
        supernet = dict(self.supernet.named_parameters())
        mixture = one_hot(self.space.choices, architecture)
        return embed_and_record(self.supernet, supernet, mixture, self.task.train.inputs)[1]

    def inheritance(self, architecture: Architecture) -> dict[str, Tensor]:
        """What a child inherits: weights, classifier, and its batch-norm statistics."""
        weights = {name: tensor.detach() for name, tensor in self.weights.items()}
        return {**weights, **self.statistics(architecture)}

    def optimizer(self, place: int) -> LightningOptimizer:
        """One of the optimizers, in the order in which they were configured."""
        found = self.optimizers()
        chosen = found[place] if isinstance(found, list) else found
        assert isinstance(chosen, LightningOptimizer)
        return chosen


def copy_named(own: Mapping[str, Tensor], given: Mapping[str, Tensor], space: SearchSpace) -> None:
    """Copy tensors by name.

    Raises:
        ValueError: one is missing or has another shape.
    """
    for name, tensor in own.items():
        if name not in given or given[name].shape != tensor.shape:
            raise ValueError(
                f"The initial parameters do not fit {space.name}: '{name}' is missing or has another shape; give "
                "those that were meta-trained in this space for this input shape."
            )
        tensor.data.copy_(given[name])


class SinglePathTraining(SupernetTraining):
    """Trains shared weights alone: each train minibatch under an architecture that is drawn from the space.

    Single-path one-shot (Guo et al. 2020, Section 3.1), and the first phase of random search with weight sharing (Li
    and Talwalkar 2019). Whole architectures are drawn, such as can be built, so that choices of a cell's inputs count,
    too.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> task = lm.task_from_arrays(torch.rand(20, 8, 8), torch.arange(20) % 2)
        >>> training = lm.SinglePathTraining(
        ...     space=lm.LayeredSpace(),
        ...     task=task,
        ...     rates=lm.WeightRates(),
        ...     budget=lm.Budget(flops=1e9),
        ...     steps=10,
        ...     seed=0,
        ... )
        >>> training.progress
        0.0
    """

    def take_step(self, batch: Minibatch) -> bool:
        """One step of the weights."""
        return self.train_path(self.draw(), batch.train)

    def draw(self) -> Architecture:
        """Draw an architecture that can be built.

        Raises:
            ValueError: nothing that was drawn can be built.
        """
        found = self.first_built(lambda: self.space.sample(self.generator))
        if found is None:
            raise ValueError(f"None of {MOST_DRAWS} architectures drawn from {self.space.name} can be built: widen it.")
        return found
