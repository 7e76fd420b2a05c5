"""Measures of a search: entropy of the candidates, share of skips, gap to the derived architecture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lit_metanas.spaces.architecture import Architecture, Choice

ABSENT = frozenset({"no", "none", "off", "false", "0", "without"})
"""Labels that answer a question about a skip connection with no."""

SKIPPING = ("skip", "identity")
"""Words in the labels of operations that return their input."""


def entropy(probabilities: Tensor) -> float:
    """Entropy in nats of probabilities of shape ``(labels,)``: 0 for a decided choice, at most ``log(labels)``."""
    return float(torch.special.entr(probabilities.double()).sum())


def skip_share(choices: tuple[Choice, ...], architecture: Architecture) -> float | None:
    """Share of skips among the architecture's choices that could be one; None if none could."""
    taken = [
        skips(choice, architecture[choice.name])
        for choice in choices
        if choice.name in architecture and len({skips(choice, label) for label in choice.labels}) == 2
    ]
    if not taken:
        return None
    return sum(taken) / len(taken)


def skips(choice: Choice, label: str) -> bool:
    """Whether ``label`` is a skip connection or an identity."""
    question = choice.group or choice.name.rpartition(".")[2]
    if "skip" in question:
        return label.lower() not in ABSENT
    return any(word in label.lower() for word in SKIPPING)


def gap(metrics: Mapping[str, Tensor]) -> float | None:
    """Accuracy under the relaxation minus that of the derived architecture; None unless both were logged."""
    if "val/accuracy_relaxed" not in metrics or "val/accuracy_one_hot" not in metrics:
        return None
    return float(metrics["val/accuracy_relaxed"]) - float(metrics["val/accuracy_one_hot"])
