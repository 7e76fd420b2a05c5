"""Relaxations: from architecture logits to a mixture over candidates, or to one sampled candidate."""

from lit_metanas.relaxations.relaxation import (
    PRUNED,
    AnnealedSoftmax,
    Argmax,
    ChoicewiseRelaxation,
    Derived,
    GumbelSoftmax,
    Relaxation,
    SampledChild,
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
