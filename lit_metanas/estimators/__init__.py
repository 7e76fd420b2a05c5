"""How good an architecture is on a task."""

from lit_metanas.estimators.estimator import Estimator, EstimatorCallable, Score
from lit_metanas.estimators.nas_bench_101_table import NASBench101Table
from lit_metanas.estimators.nas_bench_201_table import NASBench201Table
from lit_metanas.estimators.nas_bench_graph_table import NASBenchGraphTable
from lit_metanas.estimators.nats_file import NATSFiles
from lit_metanas.estimators.overlay import fresh_weights, overlay
from lit_metanas.estimators.proxy import Proxy, ProxyEstimator
from lit_metanas.estimators.proxy_embedding import ProxyEmbedding
from lit_metanas.estimators.proxy_gradients import GradNorm, Snip
from lit_metanas.estimators.proxy_jacov import Jacov
from lit_metanas.estimators.proxy_nwot import Nwot
from lit_metanas.estimators.proxy_size import FlopCount, L2Norm, ParameterCount
from lit_metanas.estimators.proxy_synflow import Synflow
from lit_metanas.estimators.supernet import SupernetEstimator
from lit_metanas.estimators.table_data import TableDataModule
from lit_metanas.estimators.tabular import Table, TabularEstimator
from lit_metanas.estimators.training import TrainingEstimator

__all__ = [
    "Estimator",
    "EstimatorCallable",
    "FlopCount",
    "GradNorm",
    "Jacov",
    "L2Norm",
    "NASBench101Table",
    "NASBench201Table",
    "NASBenchGraphTable",
    "NATSFiles",
    "Nwot",
    "ParameterCount",
    "Proxy",
    "ProxyEmbedding",
    "ProxyEstimator",
    "Score",
    "Snip",
    "SupernetEstimator",
    "Synflow",
    "Table",
    "TableDataModule",
    "TabularEstimator",
    "TrainingEstimator",
    "fresh_weights",
    "overlay",
]
