"""What is logged, kept and shown while a search runs."""

from lit_metanas.callbacks.architecture_file import ArchitectureFile
from lit_metanas.callbacks.architecture_logger import ArchitectureLogger
from lit_metanas.callbacks.history import ProbabilityHistory
from lit_metanas.callbacks.preemption import Preemption
from lit_metanas.callbacks.progress_bar import EpisodeProgressBar
from lit_metanas.callbacks.rank_check import RankCheck
from lit_metanas.callbacks.rank_watch import RankWatch
from lit_metanas.callbacks.results_file import ResultsFile
from lit_metanas.callbacks.results_table import ResultsTable
from lit_metanas.callbacks.searching import Searched, Searching, Tested
from lit_metanas.callbacks.skip_stop import SkipStop
from lit_metanas.callbacks.stable_architecture import StableArchitecture

__all__ = [
    "ArchitectureFile",
    "ArchitectureLogger",
    "EpisodeProgressBar",
    "Preemption",
    "ProbabilityHistory",
    "RankCheck",
    "RankWatch",
    "ResultsFile",
    "ResultsTable",
    "Searched",
    "Searching",
    "SkipStop",
    "StableArchitecture",
    "Tested",
]
