"""Callbacks: logs, files, pictures, early stopping, and guards of several processes."""

from lit_metanas.callbacks.architecture_file import ArchitectureFile
from lit_metanas.callbacks.architecture_logger import ArchitectureLogger
from lit_metanas.callbacks.early_stopping import SkipStop
from lit_metanas.callbacks.guards import RankMonitor, ReplicaCheck
from lit_metanas.callbacks.probability_history import ProbabilityHistory
from lit_metanas.callbacks.progress_bar import EpisodeProgressBar
from lit_metanas.callbacks.results import ResultsFile, ResultsTable

__all__ = [
    "ArchitectureFile",
    "ArchitectureLogger",
    "EpisodeProgressBar",
    "ProbabilityHistory",
    "RankMonitor",
    "ReplicaCheck",
    "ResultsFile",
    "ResultsTable",
    "SkipStop",
]
