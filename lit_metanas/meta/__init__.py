"""Meta-learning: the parameter tree, adaptation to one task, and outer gradients."""

from lit_metanas.meta.heads import Head, LinearHead, PrototypeHead, PrototypeLinearHead
from lit_metanas.meta.inner_loop import InnerLoop, JointInnerLoop, NoInnerLoop
from lit_metanas.meta.learner import Learner, Parameters
from lit_metanas.meta.meta_gradients import ANIL, FOMAML, MAML, TNAS, MetaGradient, MetaNAS, PrototypeLoss, Reptile
from lit_metanas.meta.partial_inner_loops import AlternatingInnerLoop, HeadInnerLoop

__all__ = [
    "ANIL",
    "FOMAML",
    "MAML",
    "TNAS",
    "AlternatingInnerLoop",
    "Head",
    "HeadInnerLoop",
    "InnerLoop",
    "JointInnerLoop",
    "Learner",
    "LinearHead",
    "MetaGradient",
    "MetaNAS",
    "NoInnerLoop",
    "Parameters",
    "PrototypeHead",
    "PrototypeLinearHead",
    "PrototypeLoss",
    "Reptile",
]
