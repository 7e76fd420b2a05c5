"""The one tree of meta-parameters."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Parameters(NamedTuple):
    """Weights, logits and head of a learner: a pytree for ``torch.func``.

    Attributes:
        weights: the supernet's parameters by name.
        logits: architecture logits by choice, each of shape ``(labels,)``.
        head: the head's parameters; empty for a head that is made anew from each support set.
    """

    weights: dict[str, Tensor]
    logits: dict[str, Tensor]
    head: dict[str, Tensor]
