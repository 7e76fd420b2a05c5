"""Architecture logits, their schedule, and labels that are fixed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from lit_metanas.records.result_files import read_architectures
from lit_metanas.relaxations.relaxation import PRUNED, probabilities
from lit_metanas.spaces import SearchSpace
from lit_metanas.spaces.architecture import Choice


class ArchitectureLogits(nn.Module):
    """One logit a candidate, all in one vector, so that choices with dots in their names can be parameters."""

    def __init__(
        self, choices: Sequence[Choice], *, prior: Mapping[str, str] | None = None, strength: float = 0.0
    ) -> None:
        super().__init__()
        self.choices = tuple(choices)
        self.sizes = [len(choice.labels) for choice in self.choices]
        self.values = nn.Parameter(self._initial(prior or {}, strength))
        self.register_buffer("pruned", torch.zeros(sum(self.sizes), dtype=torch.bool))
        self.pruned: Tensor

    @torch.no_grad()
    def perturb(self, deviation: float, generator: torch.Generator) -> None:
        """Add normal noise, drawn for one choice after another."""
        for row in self.values.split(self.sizes):
            row += deviation * torch.randn(len(row), generator=generator)

    @property
    def open(self) -> bool:
        """Whether any choice has more than one candidate left."""
        if max(self.sizes, default=1) == 1:
            return False
        return any(int(row.sum()) > 1 for row in (~self.pruned).split(self.sizes))

    def tree(self) -> dict[str, Tensor]:
        """The logits by choice, each of shape ``(labels,)``, pruned candidates far below all others; detached."""
        rows = self.values.detach().masked_fill(self.pruned, PRUNED).split(self.sizes)
        return {choice.name: row for choice, row in zip(self.choices, rows, strict=True)}

    def probabilities(self) -> dict[str, Tensor]:
        """Softmax of the logits by choice, each of shape ``(labels,)``, detached."""
        return {name: probabilities(logits) for name, logits in self.tree().items()}

    def flat(self, tree: Mapping[str, Tensor]) -> Tensor:
        """One vector of a tree's tensors, zero for pruned candidates: a gradient of ``values``."""
        return torch.cat([tree[choice.name] for choice in self.choices]).masked_fill(self.pruned, 0.0)

    @torch.no_grad()
    def prune(self, below: float) -> None:
        """Drop the candidates whose probability is less than ``below``; the likeliest of a choice always stays."""
        for row, gone in zip(self.probabilities().values(), self.pruned.split(self.sizes), strict=True):
            gone |= (row < below) & (row < row.max())

    @torch.no_grad()
    def inherit(self, labels: Mapping[str, Sequence[str]], logits: Mapping[str, Tensor]) -> None:
        """Take over another space's logits for the labels that both have; what is pruned there is pruned here."""
        values, masks = self.values.split(self.sizes), self.pruned.split(self.sizes)
        for choice, row, gone in zip(self.choices, values, masks, strict=True):
            theirs = list(labels.get(choice.name, ()))
            for place, label in enumerate(choice.labels):
                if label in theirs:
                    row[place] = logits[choice.name][theirs.index(label)]
            pruned = row <= PRUNED / 2
            gone |= pruned & ~pruned.all()
            row.masked_fill_(pruned, 0.0)

    def _initial(self, prior: Mapping[str, str], strength: float) -> Tensor:
        names = {name for choice in self.choices for name in (choice.name, choice.group)}
        if unknown := prior.keys() - names:
            groups = sorted({choice.group for choice in self.choices})
            raise ValueError(f"prior: the space has no choice '{min(unknown)}': use {', '.join(groups)}.")
        rows = [torch.zeros(len(choice.labels)) for choice in self.choices]
        for choice, row in zip(self.choices, rows, strict=True):
            key = choice.name if choice.name in prior else choice.group
            if key not in prior or len(choice.labels) == 1:
                continue
            if prior[key] not in choice.labels:
                raise ValueError(
                    f"prior: '{key}' has no label '{prior[key]}' in {choice.name}: use {', '.join(choice.labels)}."
                )
            row[choice.labels.index(prior[key])] = strength
        return torch.cat(rows)


@dataclass(frozen=True)
class ArchitectureSchedule:
    """How the architecture is learned over the course of meta-training; times are shares of the whole.

    Attributes:
        warm_up: until then logits stay as they are and only weights are trained.
        prune_below: candidates whose probability falls below this are dropped after the warm-up; 0 keeps all.
        prior: labels to start from, by group or by choice.
        prior_strength: how much larger the logit of a prior label is at the start.

    Example:
        >>> schedule = lm.training.ArchitectureSchedule(
        ...     warm_up=0.2, prune_below=0.05, prior={"kernel": "3"}, prior_strength=1.0
        ... )
        >>> model = lm.MetaSearch(space=lm.LayeredSpace(), schedule=schedule)
    """

    warm_up: float = 0.0
    prune_below: float = 0.0
    prior: Mapping[str, str] | None = None
    prior_strength: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("warm_up", "prune_below") and not 0 <= value <= 1:
                raise ValueError(f"ArchitectureSchedule: {name} is {value}; it must lie between 0 and 1.")


def fixed_labels(architecture: dict[str, str] | str | None, space: SearchSpace) -> dict[str, str]:
    """The labels to restrict a space to."""
    labels = _best(architecture, space) if isinstance(architecture, str) else space.by_choice(architecture or {})
    inactive: set[str] = set()
    for choice in space.choices:
        if any(n in inactive or (n in labels and labels[n] not in allowed) for n, allowed in choice.active_if):
            inactive.add(choice.name)
            labels.setdefault(choice.name, choice.labels[0])
    return labels


def _best(path: str, space: SearchSpace) -> dict[str, str]:
    entries = [entry for entry in read_architectures(path) if entry.space == space.name]
    if not entries:
        raise ValueError(f"'{path}' holds no architecture of {space.name}: give the file of a search in it.")
    known = [entry for entry in entries if not math.isnan(entry.value)] or entries[:1]
    return max(known, key=lambda entry: entry.value).architecture.to_json()
