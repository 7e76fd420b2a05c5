"""Meta-learning: the parameter tree, adaptation to one task, and outer gradients."""

from lit_metanas.meta.heads import Head, LinearHead, PrototypeHead, PrototypeLinearHead
from lit_metanas.meta.inner_loop import AlternatingInnerLoop, HeadInnerLoop, InnerLoop, JointInnerLoop, NoInnerLoop
from lit_metanas.meta.learner import Learner, Parameters
from lit_metanas.meta.meta_gradients import ANIL, FOMAML, MAML, TNAS, MetaGradient, MetaNAS, PrototypeLoss, Reptile

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
