"""Relaxations: from architecture logits to a mixture over candidates, or to one sampled candidate."""

from lit_metanas.relaxations.annealed_softmax import AnnealedSoftmax
from lit_metanas.relaxations.argmax import Argmax
from lit_metanas.relaxations.auxiliary_skip import AuxiliarySkip
from lit_metanas.relaxations.categorical import Categorical
from lit_metanas.relaxations.choicewise import ChoicewiseRelaxation, DiscreteRelaxation
from lit_metanas.relaxations.derived import Derived
from lit_metanas.relaxations.gumbel_softmax import GumbelSoftmax
from lit_metanas.relaxations.probability import log_probability, probabilities
from lit_metanas.relaxations.relaxation import PRUNED, Relaxation
from lit_metanas.relaxations.sampled_child import SampledChild
from lit_metanas.relaxations.softmax import Softmax
from lit_metanas.relaxations.straight_through import StraightThrough
from lit_metanas.relaxations.uniform import Uniform

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
