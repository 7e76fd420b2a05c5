"""Callbacks: logs, files, pictures, early stopping, and a comparison of processes."""

from lit_metanas.callbacks.architecture_logger import ArchitectureFile, ArchitectureLogger
from lit_metanas.callbacks.replica_check import ReplicaCheck
from lit_metanas.callbacks.results import ResultsFile, ResultsTable
from lit_metanas.callbacks.skips import SkipStop

__all__ = [
    "ArchitectureFile",
    "ArchitectureLogger",
    "ReplicaCheck",
    "ResultsFile",
    "ResultsTable",
    "SkipStop",
]
