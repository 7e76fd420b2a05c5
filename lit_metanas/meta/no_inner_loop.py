"""No adaptation by gradients."""

from __future__ import annotations

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.differentiation import Differentiation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.noise import TaskNoise
from lit_metanas.meta.parameters import Group, Parameters


class NoInnerLoop(InnerLoop):
    """Leave the parameters as they are: the head's start, or its comparison with the support set, is all."""

    def __init__(self) -> None:
        super().__init__(steps=0)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Nothing moves."""
        return ()

    def run(
        self,
        learner: Learner,
        parameters: Parameters,
        episode: Episode,
        noise: TaskNoise,
        progress: float,
        differentiate: Differentiation,
    ) -> Parameters:
        """Return the tree."""
        del learner, episode, noise, progress, differentiate
        return parameters
