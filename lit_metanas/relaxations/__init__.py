"""Relaxations: from architecture logits to a mixture over candidates, or to one sampled candidate."""

from lit_metanas.relaxations.auxiliary_skip import AuxiliarySkip
from lit_metanas.relaxations.discrete import Argmax, Categorical, Derived, SampledChild, Uniform
from lit_metanas.relaxations.relaxation import (
    PRUNED,
    ChoicewiseRelaxation,
    DiscreteRelaxation,
    Relaxation,
    log_probability,
    probabilities,
)
from lit_metanas.relaxations.soft import AnnealedSoftmax, GumbelSoftmax, Softmax, StraightThrough

__all__ = [
    "PRUNED",
    "AnnealedSoftmax",
    "Argmax",
    "AuxiliarySkip",
    "Categorical",
    "ChoicewiseRelaxation",
    "Derived",
    "DiscreteRelaxation",
    "GumbelSoftmax",
    "Relaxation",
    "SampledChild",
    "Softmax",
    "StraightThrough",
    "Uniform",
    "log_probability",
    "probabilities",
]
