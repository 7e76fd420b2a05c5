"""The gradient through adaptation."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.meta_gradient import MetaGradient, differentiation, task_metrics
from lit_metanas.meta.noise import TaskNoise
from lit_metanas.meta.parameters import Parameters
from lit_metanas.meta.task_map import Metrics
from lit_metanas.meta.update_rule import Tensors


class MAML(MetaGradient):
    """The query loss after adaptation, differentiated through all inner steps (Finn et al. 2017, Algorithm 1, line 8).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Attributes:
        second_order: whether inner gradients are differentiated, too.
    """

    second_order: bool = True

    def task_gradient(
        self,
        learner: Learner,
        inner_loop: InnerLoop,
        parameters: Parameters,
        episode: Episode,
        noise: TaskNoise,
        progress: float,
        functional: bool,
    ) -> tuple[Parameters, Metrics]:
        """Differentiate one task's query loss."""
        inner = differentiation(functional, second_order=self.second_order)

        def query_loss(values: Tensors) -> tuple[Tensor, Tensor]:
            tree = parameters.updated(values)
            scores = inner_loop.query_scores(learner, tree, episode, noise, progress, inner)
            return cross_entropy(scores, episode.query.labels), scores.detach()

        gradients, scores = differentiation(functional)(query_loss, parameters.flat())
        return parameters.updated(gradients), task_metrics(scores, episode.query.labels)
