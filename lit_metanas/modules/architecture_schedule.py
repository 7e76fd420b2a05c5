"""When the architecture logits start, tie and are pruned during meta-training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ArchitectureSchedule:
    """How the architecture is learned over the course of meta-training; times are shares of the whole.

    Attributes:
        warm_up: until then logits stay as they are and only weights are trained.
        tied_until: until then all choices of a group (the kernels of all layers, …) are one choice for the network.
        prune_below: candidates whose probability falls below this are dropped after the warm-up; 0 keeps all.
        prior: labels to start from, by group or by choice.
        prior_strength: how much larger the logit of a prior label is at the start.
    """

    warm_up: float = 0.0
    tied_until: float = 0.0
    prune_below: float = 0.0
    prior: Mapping[str, str] | None = None
    prior_strength: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name in ("warm_up", "tied_until", "prune_below") and not 0 <= value <= 1:
                raise ValueError(f"ArchitectureSchedule: {name} is {value}; it must lie between 0 and 1.")
