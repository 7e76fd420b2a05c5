"""Guards of several processes."""

from lit_metanas.callbacks.guards.preemption import Preemption
from lit_metanas.callbacks.guards.rank_check import RankCheck
from lit_metanas.callbacks.guards.rank_watch import RankWatch

__all__ = ["Preemption", "RankCheck", "RankWatch"]
