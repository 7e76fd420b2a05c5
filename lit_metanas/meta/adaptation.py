"""What an inner loop is a function of, beside the parameters."""

from __future__ import annotations

from dataclasses import dataclass, field

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.differentiation import Autograd, Differentiation
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.noise import TaskNoise


@dataclass(frozen=True)
class Adaptation:
    """One task, and how it is adapted to.

    Attributes:
        learner: supernet, relaxation and head.
        episode: the task.
        noise: what is random in it, drawn for at least as many steps as the inner loop takes.
        progress: place in the outer schedule, from 0 to 1.
        differentiate: takes the inner gradients.
    """

    learner: Learner
    episode: Episode
    noise: TaskNoise
    progress: float = 1.0
    differentiate: Differentiation = field(default_factory=Autograd)
