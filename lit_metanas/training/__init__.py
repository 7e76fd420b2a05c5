"""The LightningModules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lit_metanas.training.child import Child
    from lit_metanas.training.encoders import EncodedTask, Encoder, encode, read_encoder
    from lit_metanas.training.export import Exported, export_child, load
    from lit_metanas.training.meta_search import AdaptedLogits, ArchitectureSchedule, MetaRecipe, MetaSearch
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
        SupernetPlan,
        WeightRates,
    )

_NAMES = {
    "child": "Child",
    "encoders": "EncodedTask Encoder encode read_encoder",
    "export": "Exported export_child load",
    "meta_search": "AdaptedLogits ArchitectureSchedule MetaRecipe MetaSearch",
    "preemption": "Preemption",
    "recipes": "Recipe",
    "recipes.mirror_check": "mirror_keeps_classes",
    "task_reptile": "TaskReptile",
    "trainers": "Trainer",
    "weight_sharing": (
        "ControllerRates DARTSRates DARTSTraining ENASTraining FirstOrder Hypergradient SecondOrder SupernetPlan "
        "WeightRates"
    ),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [
    "AdaptedLogits",
    "ArchitectureSchedule",
    "Child",
    "ControllerRates",
    "DARTSRates",
    "DARTSTraining",
    "ENASTraining",
    "EncodedTask",
    "Encoder",
    "Exported",
    "FirstOrder",
    "Hypergradient",
    "MetaRecipe",
    "MetaSearch",
    "Preemption",
    "Recipe",
    "SecondOrder",
    "SupernetPlan",
    "TaskReptile",
    "Trainer",
    "WeightRates",
    "encode",
    "export_child",
    "load",
    "mirror_keeps_classes",
    "read_encoder",
]


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first asked for: an export is read without Lightning."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lit_metanas.training.{_HOMES[name]}"), name)
