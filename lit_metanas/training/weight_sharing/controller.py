"""A policy over architectures: an LSTM that makes one choice after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.choice_space import ChoiceSpace

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
        for parameter in self.parameters():
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
        for choice, labels, embed, head in zip(
            self.space.choices, self.candidates, self.embeddings, self.heads, strict=True
        ):
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
