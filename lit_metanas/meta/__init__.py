"""Meta-learning: the parameter tree, adaptation to one task, and outer gradients."""

from lit_metanas.meta.heads import Head, LinearHead, PrototypeHead, PrototypeLinearHead
from lit_metanas.meta.inner_loop import InnerLoop, NoInnerLoop, evaluate
from lit_metanas.meta.inner_loops import AlternatingInnerLoop, HeadInnerLoop, JointInnerLoop
from lit_metanas.meta.inner_optimizers import SGD, Adam, UpdateRule
from lit_metanas.meta.learner import Adaptation, Adapted, Learner
from lit_metanas.meta.maml import ANIL, FOMAML, MAML, TNAS, PrototypeLoss
from lit_metanas.meta.meta_gradient import MetaGradient
from lit_metanas.meta.paired_reinforce import PairedReinforce
from lit_metanas.meta.parameters import Parameters, TaskNoise, draw, task_generator
from lit_metanas.meta.reptile import MetaNAS, Reptile

__all__ = [
    "ANIL",
    "FOMAML",
    "MAML",
    "SGD",
    "TNAS",
    "Adam",
    "Adaptation",
    "Adapted",
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
    "PairedReinforce",
    "Parameters",
    "PrototypeHead",
    "PrototypeLinearHead",
    "PrototypeLoss",
    "Reptile",
    "TaskNoise",
    "UpdateRule",
    "draw",
    "evaluate",
    "task_generator",
]
