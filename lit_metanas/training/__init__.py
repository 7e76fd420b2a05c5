"""The LightningModules."""

from lit_metanas.training.child import Child, Recipe
from lit_metanas.training.export import Exported, ExportedModel, export_child, load_exported
from lit_metanas.training.meta_search import ArchitectureSchedule, MetaLearned, MetaSearch
from lit_metanas.training.weight_sharing import (
    DARTSTraining,
    ENASTraining,
    FirstOrder,
    Hypergradient,
    SecondOrder,
    SinglePathTraining,
)

__all__ = [
    "ArchitectureSchedule",
    "Child",
    "DARTSTraining",
    "ENASTraining",
    "Exported",
    "ExportedModel",
    "FirstOrder",
    "Hypergradient",
    "MetaLearned",
    "MetaSearch",
    "Recipe",
    "SecondOrder",
    "SinglePathTraining",
    "export_child",
    "load_exported",
]
