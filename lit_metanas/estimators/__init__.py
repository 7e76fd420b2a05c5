"""Performance estimation: training, supernets and tabular benchmarks."""

from lit_metanas.estimators.estimator import Estimator, Score
from lit_metanas.estimators.supernet_estimator import SupernetEstimator
from lit_metanas.estimators.tables.nas_bench_201_table import NASBench201Table, NATSFiles
from lit_metanas.estimators.tables.nas_bench_graph_table import NASBenchGraphTable
from lit_metanas.estimators.tables.tabular import Table, TableDataModule, TabularEstimator
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
