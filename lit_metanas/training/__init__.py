"""The LightningModules."""

from lit_metanas.training.child import Child
from lit_metanas.training.export import Exported, ExportedModel, export_child, load
from lit_metanas.training.meta_search import (
    AdaptedLogits,
    ArchitectureSchedule,
    GuardedArchitectures,
    MetaRecipe,
    MetaSearch,
    TaskArchitectures,
)
from lit_metanas.training.preemption import Preemption
from lit_metanas.training.recipes import Recipe
from lit_metanas.training.recipes.mirror_check import mirror_keeps_classes
from lit_metanas.training.task_reptile import TaskReptile
from lit_metanas.training.trainers import Trainer
from lit_metanas.training.weight_sharing import (
    ControllerRates,
    DARTSRates,
    DARTSTraining,
    ENASTraining,
    FirstOrder,
    Hypergradient,
    SecondOrder,
    SinglePathTraining,
    WeightRates,
)

__all__ = [
    "AdaptedLogits",
    "ArchitectureSchedule",
    "Child",
    "ControllerRates",
    "DARTSRates",
    "DARTSTraining",
    "ENASTraining",
    "Exported",
    "ExportedModel",
    "FirstOrder",
    "GuardedArchitectures",
    "Hypergradient",
    "MetaRecipe",
    "MetaSearch",
    "Preemption",
    "Recipe",
    "SecondOrder",
    "SinglePathTraining",
    "TaskArchitectures",
    "TaskReptile",
    "Trainer",
    "WeightRates",
    "export_child",
    "load",
    "mirror_keeps_classes",
]
