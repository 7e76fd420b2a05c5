"""Towards the adapted parameters."""

from __future__ import annotations

import torch

from lit_metanas.episodes.task import Episode
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.meta_gradient import MetaGradient, differentiation, task_metrics
from lit_metanas.meta.noise import TaskNoise
from lit_metanas.meta.parameters import Parameters
from lit_metanas.meta.task_map import Metrics, TaskMap


class Reptile(MetaGradient):
    """The way back from adapted parameters, ``rate * (phi - phi_adapted)``, as a gradient (Nichol et al. 2018, Alg. 2).

    Plain gradient descent with rate 1 then makes the paper's step. The query set is only measured. A head that each
    task makes anew has no meta-parameters to move.

    Args:
        weight_rate: multiplies the gradient of weights and head.
        logit_rate: multiplies the gradient of logits.
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    def __init__(self, *, weight_rate: float = 1.0, logit_rate: float = 1.0, task_map: TaskMap = "auto") -> None:
        super().__init__(task_map=task_map)
        self.weight_rate = weight_rate
        self.logit_rate = logit_rate

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
        """Adapt, and look back."""
        first_order = differentiation(functional)
        with torch.no_grad():
            adapted = inner_loop.adapt(learner, parameters, episode, noise, progress, first_order)
            scores = inner_loop.judge(learner, adapted, episode, noise, progress)[1]
            gradients = Parameters(
                {k: self.weight_rate * (v - adapted.weights[k]) for k, v in parameters.weights.items()},
                {k: self.logit_rate * (v - adapted.logits[k]) for k, v in parameters.logits.items()},
                {k: self.weight_rate * (v - adapted.head[k]) for k, v in parameters.head.items()},
                {k: torch.zeros_like(v) for k, v in parameters.rates.items()},
            )
        return gradients, task_metrics(scores, episode.query.labels)
