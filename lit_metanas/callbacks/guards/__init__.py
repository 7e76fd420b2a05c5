"""Guards of several processes."""

from lit_metanas.callbacks.guards.rank_monitor import RankMonitor
from lit_metanas.callbacks.guards.replica_check import ReplicaCheck

__all__ = ["RankMonitor", "ReplicaCheck"]
