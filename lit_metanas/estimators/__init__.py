"""How good an architecture is on a task."""

from lit_metanas.estimators.estimator import Estimator, EstimatorCallable, Score
from lit_metanas.estimators.overlay import fresh_weights, overlay
from lit_metanas.estimators.supernet import SupernetEstimator
from lit_metanas.estimators.training import TrainingEstimator

__all__ = [
    "Estimator",
    "EstimatorCallable",
    "Score",
    "SupernetEstimator",
    "TrainingEstimator",
    "fresh_weights",
    "overlay",
]
