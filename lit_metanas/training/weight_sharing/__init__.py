"""Weight-sharing searches of one task."""

from lit_metanas.training.weight_sharing.darts import WeightSharing
from lit_metanas.training.weight_sharing.enas import ControllerSharing
from lit_metanas.training.weight_sharing.hypergradient import ArchitectureGradient, FirstOrder, SecondOrder
from lit_metanas.training.weight_sharing.shared_weights import SinglePath

__all__ = ["ArchitectureGradient", "ControllerSharing", "FirstOrder", "SecondOrder", "SinglePath", "WeightSharing"]
