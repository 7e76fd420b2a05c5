"""The LightningModules."""

from lit_metanas.training.child import Child, Recipe
from lit_metanas.training.export import Exported, ExportedModel, export_child, load_exported
from lit_metanas.training.meta_search import ArchitectureSchedule, MetaLearned, MetaSearch
from lit_metanas.training.weight_sharing import (
    ArchitectureGradient,
    ControllerSharing,
    FirstOrder,
    SecondOrder,
    SinglePath,
    WeightSharing,
)

__all__ = [
    "ArchitectureGradient",
    "ArchitectureSchedule",
    "Child",
    "ControllerSharing",
    "Exported",
    "ExportedModel",
    "FirstOrder",
    "MetaLearned",
    "MetaSearch",
    "Recipe",
    "SecondOrder",
    "SinglePath",
    "WeightSharing",
    "export_child",
    "load_exported",
]
