"""ENAS: shared weights of one task and the policy over architectures, an LSTM, trained in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from lit_metanas.records.record import Cost
from lit_metanas.spaces.architecture import Architecture, Choice
from lit_metanas.spaces.choice_space import ChoiceSpace, first_buildable
from lit_metanas.spaces.mixture import one_hot
from lit_metanas.tasks.task import Split
from lit_metanas.training.child import judge
from lit_metanas.training.weight_sharing.supernet_training import (
    Minibatch,
    SupernetPlan,
    SupernetTraining,
    WeightRates,
    check_warm_up,
)


@dataclass(frozen=True)
class ControllerRates:
    """How a controller is made and trained.

    Attributes:
        learning_rate: of Adam; 0.0035 in the published code.
        children: architectures that are drawn and rewarded in each of its steps.
        entropy: weight of the policy's entropy (nats), which is added to the reward; 1e-4 in the paper.
        baseline: share of the baseline that is kept at each step; the rest is the mean of the step's rewards.
        warm_up: share of the search in which only the weights are trained.

    Example:
        >>> searcher = lm.searchers.ENASSearcher(controller=lm.training.ControllerRates(children=2))
    """

    learning_rate: float = 3.5e-3
    children: int = 4
    entropy: float = 1e-4
    baseline: float = 0.95
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        if self.children < 1:
            raise ValueError(f"ControllerRates: children is {self.children}; give at least 1.")
        if not 0 <= self.baseline < 1:
            raise ValueError(f"ControllerRates: baseline is {self.baseline}; give a number from 0 to below 1.")
        check_warm_up(self, self.warm_up)


Decide = Callable[[Choice, Sequence[str], Tensor], int]
"""Takes a choice, its candidates and their log-probabilities ``(labels,)``; returns the place of one."""


class Draw(NamedTuple):
    """The labels of the active choices of one pass, their log-probability, and the entropy of the decisions."""

    # Both scalars have a gradient to the policy. The entropy (nats) is the sum over the decisions of the entropy of
    # each one's distribution, given those before it; its mean over draws is the policy's entropy.
    labels: dict[str, str]
    log_probability: Tensor
    entropy: Tensor


class Controller(nn.Module):
    """Decides each active choice of a space in order, given the decisions before it (Pham et al. 2018, Section 3.2)."""

    # Each step feeds the embedded last decision to the LSTM. A bias-free linear map of its state gives the logits,
    # which are divided by the temperature and bounded by `bound * tanh`. The defaults are the paper's. Unlike in the
    # paper each choice has an embedding and a linear map of its own, so that choices may differ in their labels.

    def __init__(self, space: ChoiceSpace, *, hidden: int = 100, temperature: float = 5.0, bound: float = 2.5) -> None:
        super().__init__()
        self.space, self.hidden, self.temperature, self.bound = space, hidden, temperature, bound
        self.candidates = [space.proposed_labels(choice) for choice in space.choices]
        self.cell = nn.LSTMCell(hidden, hidden)
        self.first = nn.Parameter(torch.empty(hidden))
        self.embeddings = nn.ModuleList(nn.Embedding(len(labels), hidden) for labels in self.candidates)
        self.heads = nn.ModuleList(nn.Linear(hidden, len(labels), bias=False) for labels in self.candidates)
        for parameter in self.parameters():  # in the range of the paper
            nn.init.uniform_(parameter, -0.1, 0.1)

    def draw(self, generator: torch.Generator) -> Draw:
        """Draw an architecture from the policy."""
        return self.decide(
            lambda choice, labels, logs: int(torch.multinomial(logs.detach().exp().cpu(), 1, generator=generator))
        )

    def likeliest(self) -> Draw:
        """Take at each step the candidate of the largest probability."""
        return self.decide(lambda choice, labels, logs: int(logs.argmax()))

    def decide(self, decide: Decide) -> Draw:
        """Go through the active choices; ``decide`` is asked for each that has several candidates."""
        made: dict[str, str] = {}
        log_probability = entropy = self.first.new_zeros(())
        entered = self.first[None]
        state = (torch.zeros_like(entered), torch.zeros_like(entered))
        parts = zip(self.space.choices, self.candidates, self.embeddings, self.heads, strict=True)
        for choice, labels, embed, head in parts:
            if not choice.active(made):
                continue
            if len(labels) == 1:
                made[choice.name] = labels[0]
                continue
            state = self.cell(entered, state)
            logits = self.bound * torch.tanh(head(state[0])[0] / self.temperature)
            logs = torch.log_softmax(logits, dim=0)
            place = decide(choice, labels, logs)
            made[choice.name] = labels[place]
            log_probability = log_probability + logs[place]
            entropy = entropy - (logs.exp() * logs).sum()
            entered = embed(torch.tensor([place], device=logs.device))
        return Draw(made, log_probability, entropy)


def policy_loss(draws: Sequence[Draw], rewards: Sequence[float], *, baseline: float, entropy: float) -> Tensor:
    """A loss whose mean gradient over draws is that of minus (expected reward + ``entropy`` x the policy's entropy)."""
    # REINFORCE (Williams 1992). As in ENAS the entropy is a part of the reward. It also has its own gradient: without
    # that the bonus's gradient would be biased. The baseline must not depend on these draws.
    terms = [
        draw.log_probability * (reward + entropy * draw.entropy.item() - baseline) + entropy * draw.entropy
        for draw, reward in zip(draws, rewards, strict=True)
    ]
    return -torch.stack(terms).mean()


class ENASTraining(SupernetTraining):
    """Trains a supernet on train minibatches and a controller on validation minibatches, in turn.

    ENAS (Pham et al. 2018, Section 2.2): the weights are trained under one architecture drawn from the controller, the
    controller by the rewards of several. A reward is the objective's metric on the validation minibatch, such as
    accuracy; an architecture that cannot be built has the reward 0. Unlike in the paper the two take turns at each
    step, as in DARTS, so that a budget that ends early is shared equally. The images of a reward are charged as those
    of training are.
    """

    def __init__(self, plan: SupernetPlan, *, rates: WeightRates, controller: ControllerRates) -> None:
        super().__init__(plan, rates=rates)
        self.rates = controller
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            self.controller = Controller(self.space)
        # It begins with the accuracy of a guess.
        self.baseline = 1 / self.task.way if self.space.scored == "input" else 0.0

    def choice_optimizer(self) -> Optimizer:
        """Adam for the controller."""
        return Adam(self.controller.parameters(), lr=self.rates.learning_rate)

    def take_step(self, batch: Minibatch) -> None:
        """One step of the weights on the train minibatch, then one of the controller on the validation minibatch."""
        progress, mixture = self.progress, one_hot(self.space.choices, self.draw())
        self.step_weights(mixture, batch.train, progress)
        if progress >= self.rates.warm_up:
            self._step_controller(batch.val)

    @torch.no_grad()
    def draw(self) -> Architecture:
        """Draw an architecture that can be built."""
        return first_buildable(self.space, lambda: self.space.canonical(self.controller.draw(self.generator).labels))

    @torch.no_grad()
    def architecture(self) -> Architecture:
        """The controller's likeliest decisions, even if that architecture cannot be built."""
        return self.space.canonical(self.controller.likeliest().labels)

    def _step_controller(self, val: Split) -> None:
        draws = [self.controller.draw(self.generator) for _ in range(self.rates.children)]
        if not draws[0].log_probability.requires_grad:
            return  # Every choice has a single candidate: there is nothing to learn, and nothing to pay.
        drawn = [self.space.canonical(draw.labels) for draw in draws]
        built = {one for one in drawn if self.space.violation(one) is None}
        prices = [self.price(len(val), one_hot(self.space.choices, one)) for one in drawn if one in built]
        self.pay(sum(prices, Cost()))
        rewards = [self._reward(one, val) if one in built else 0.0 for one in drawn]
        optimizer = self.trainer.optimizers[1]
        optimizer.zero_grad()
        self.manual_backward(policy_loss(draws, rewards, baseline=self.baseline, entropy=self.rates.entropy))
        optimizer.step()
        bonus = self.rates.entropy * sum(draw.entropy.item() for draw in draws)
        mean = (sum(rewards) + bonus) / len(draws)
        self.baseline = self.rates.baseline * self.baseline + (1 - self.rates.baseline) * mean

    @torch.no_grad()
    def _reward(self, architecture: Architecture, val: Split) -> float:
        """The metric on a validation minibatch, without dropout."""
        mixture = one_hot(self.space.choices, architecture)
        return judge(lambda inputs: self.scores(self.weights, mixture, inputs, None), val, self.task.goal).value
