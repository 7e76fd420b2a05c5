"""Performance estimation: training, supernets and tabular benchmarks; and how fast a machine trains."""

from lit_metanas.estimators.estimator import Estimator, Score
from lit_metanas.estimators.nas_bench_tables import NASBench201Table, NASBenchGraphTable, NATSFiles
from lit_metanas.estimators.supernet_estimator import SupernetEstimator
from lit_metanas.estimators.tabular import Table, TableDataModule, TabularEstimator
from lit_metanas.estimators.training_estimator import TrainingEstimator, fresh_weights

__all__ = [
    "Estimator",
    "NASBench201Table",
    "NASBenchGraphTable",
    "NATSFiles",
    "Score",
    "SupernetEstimator",
    "Table",
    "TableDataModule",
    "TabularEstimator",
    "TrainingEstimator",
    "fresh_weights",
]
