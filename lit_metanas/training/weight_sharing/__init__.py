"""Weight-sharing searches of one task."""

from lit_metanas.training.weight_sharing.darts_training import DARTSTraining
from lit_metanas.training.weight_sharing.enas_training import ENASTraining
from lit_metanas.training.weight_sharing.hypergradient import FirstOrder, Hypergradient, SecondOrder
from lit_metanas.training.weight_sharing.supernet_training import SinglePathTraining

__all__ = ["DARTSTraining", "ENASTraining", "FirstOrder", "Hypergradient", "SecondOrder", "SinglePathTraining"]
