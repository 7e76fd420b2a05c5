"""The LightningModules."""

from typing import TYPE_CHECKING

from lit_metanas.io.packages import lazy_names

if TYPE_CHECKING:
    from lit_metanas.training.child import Child as Child
    from lit_metanas.training.encoders import (
        EncodedTask as EncodedTask,
        Encoder as Encoder,
        encode as encode,
        read_encoder as read_encoder,
    )
    from lit_metanas.training.export import Exported as Exported, export_child as export_child, load as load
    from lit_metanas.training.meta_search import (
        AdaptedLogits as AdaptedLogits,
        ArchitectureSchedule as ArchitectureSchedule,
        MetaRecipe as MetaRecipe,
        MetaSearch as MetaSearch,
    )
    from lit_metanas.training.muon import Muon as Muon
    from lit_metanas.training.preemption import Preemption as Preemption
    from lit_metanas.training.recipes import Recipe as Recipe
    from lit_metanas.training.task_reptile import TaskReptile as TaskReptile
    from lit_metanas.training.trainers import Trainer as Trainer
    from lit_metanas.training.weight_sharing.darts_training import (
        DARTSRates as DARTSRates,
        FirstOrder as FirstOrder,
        Hypergradient as Hypergradient,
        SecondOrder as SecondOrder,
    )
    from lit_metanas.training.weight_sharing.enas_training import ControllerRates as ControllerRates
    from lit_metanas.training.weight_sharing.supernet_training import WeightRates as WeightRates

_NAMES = {
    "child": "Child",
    "encoders": "EncodedTask Encoder encode read_encoder",
    "export": "Exported export_child load",
    "meta_search": "AdaptedLogits ArchitectureSchedule MetaRecipe MetaSearch",
    "muon": "Muon",
    "preemption": "Preemption",
    "recipes": "Recipe",
    "task_reptile": "TaskReptile",
    "trainers": "Trainer",
    "weight_sharing.darts_training": "DARTSRates FirstOrder Hypergradient SecondOrder",
    "weight_sharing.enas_training": "ControllerRates",
    "weight_sharing.supernet_training": "WeightRates",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}

__all__ = [*_HOMES]

__getattr__ = lazy_names(__name__, _HOMES)  # an export is read without Lightning
