"""The gradient through adaptation."""

from __future__ import annotations

from dataclasses import replace

from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.meta_gradient import MetaGradient, differentiation, query_gradient
from lit_metanas.meta.parameters import Parameters
from lit_metanas.meta.task_map import Metrics


class MAML(MetaGradient):
    """The query loss after adaptation, differentiated through all inner steps (Finn et al. 2017, Algorithm 1, line 8).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).

    Attributes:
        second_order: whether inner gradients are differentiated, too.
    """

    second_order: bool = True

    def task_gradient(
        self, inner_loop: InnerLoop, parameters: Parameters, adaptation: Adaptation, functional: bool
    ) -> tuple[Parameters, Metrics]:
        """Differentiate one task's query loss."""
        task = replace(adaptation, differentiate=differentiation(functional, second_order=self.second_order))
        return query_gradient(inner_loop, parameters, task, differentiation(functional), parameters.flat())
