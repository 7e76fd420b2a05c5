"""Tabular benchmarks."""

from lit_metanas.estimators.tables.nas_bench_201_table import NASBench201Table, NATSFiles
from lit_metanas.estimators.tables.nas_bench_graph_table import NASBenchGraphTable
from lit_metanas.estimators.tables.tabular import Table, TableDataModule, TabularEstimator

__all__ = [
    "NASBench201Table",
    "NASBenchGraphTable",
    "NATSFiles",
    "Table",
    "TableDataModule",
    "TabularEstimator",
]
