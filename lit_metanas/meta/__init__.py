"""Meta-learning: the parameter tree, adaptation to one task, and outer gradients."""

from lit_metanas.meta.adam import Adam
from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.alternating_inner_loop import AlternatingInnerLoop
from lit_metanas.meta.anil import ANIL
from lit_metanas.meta.evaluation import evaluate
from lit_metanas.meta.fomaml import FOMAML
from lit_metanas.meta.head import Head
from lit_metanas.meta.head_inner_loop import HeadInnerLoop
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.joint_inner_loop import JointInnerLoop
from lit_metanas.meta.learner import Adapted, Learner
from lit_metanas.meta.linear_head import LinearHead
from lit_metanas.meta.maml import MAML
from lit_metanas.meta.meta_gradient import MetaGradient
from lit_metanas.meta.meta_nas import MetaNAS
from lit_metanas.meta.no_inner_loop import NoInnerLoop
from lit_metanas.meta.noise import TaskNoise, draw, task_generator
from lit_metanas.meta.paired_score import PairedScore
from lit_metanas.meta.parameters import Parameters
from lit_metanas.meta.prototype_head import PrototypeHead
from lit_metanas.meta.prototype_linear_head import PrototypeLinearHead
from lit_metanas.meta.prototype_loss import PrototypeLoss
from lit_metanas.meta.reptile import Reptile
from lit_metanas.meta.sgd import SGD
from lit_metanas.meta.tnas import TNAS
from lit_metanas.meta.update_rule import UpdateRule

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
    "PairedScore",
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
