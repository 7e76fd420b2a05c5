"""Relaxations: from architecture logits to a mixture over candidates, or to one sampled candidate."""

from lit_metanas.relaxations.discrete import Argmax, Derived, SampledChild
from lit_metanas.relaxations.relaxation import (
    PRUNED,
    AnnealedSoftmax,
    ChoicewiseRelaxation,
    GumbelSoftmax,
    Relaxation,
    Softmax,
    StraightThrough,
    probabilities,
)

__all__ = [
    "PRUNED",
    "AnnealedSoftmax",
    "Argmax",
    "ChoicewiseRelaxation",
    "Derived",
    "GumbelSoftmax",
    "Relaxation",
    "SampledChild",
    "Softmax",
    "StraightThrough",
    "probabilities",
]
