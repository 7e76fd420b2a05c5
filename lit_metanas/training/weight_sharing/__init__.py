"""Weight-sharing searches of one task."""

from lit_metanas.training.weight_sharing.darts_training import DARTSRates, DARTSTraining
from lit_metanas.training.weight_sharing.enas_training import ControllerRates, ENASTraining
from lit_metanas.training.weight_sharing.hypergradient import FirstOrder, Hypergradient, SecondOrder
from lit_metanas.training.weight_sharing.supernet_training import SupernetPlan, WeightRates

__all__ = [
    "ControllerRates",
    "DARTSRates",
    "DARTSTraining",
    "ENASTraining",
    "FirstOrder",
    "Hypergradient",
    "SecondOrder",
    "SupernetPlan",
    "WeightRates",
]
