"""Meta-gradients through or after an inner loop: MAML, FOMAML, ANIL, T-NAS, the prototype loss."""

from __future__ import annotations

from dataclasses import replace

from lit_metanas.meta.differentiation import Metrics
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.inner_loops import HeadInnerLoop, JointInnerLoop
from lit_metanas.meta.learner import Adaptation, Learner
from lit_metanas.meta.meta_gradient import MetaGradient, differentiation, query_gradient
from lit_metanas.meta.parameters import Parameters


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


class FOMAML(MAML):
    """MAML with inner gradients taken for constants (Finn et al. 2017, Section 5.2).

    What else depends on the meta-parameters is differentiated: a head made from class means passes its gradient on to
    the weights (Triantafillou et al. 2020, first-order Proto-MAML).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    second_order = False


class ANIL(MAML):
    """MAML whose inner loop moves the head only (Raghu et al. 2020, Section 4.1).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for ``HeadInnerLoop`` and a head that has parameters."""
        if not isinstance(inner_loop, HeadInnerLoop) or learner.head.compares:
            raise ValueError(
                f"ANIL adapts a linear head, not {type(learner.head).__name__} by {type(inner_loop).__name__}: "
                "use HeadInnerLoop with PrototypeLinearHead or LinearHead."
            )


class TNAS(MAML):
    """First-order outer step on weights and logits after joint inner steps on both (Lian et al. 2020, Eq. 5 and 6).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    second_order = False

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for ``JointInnerLoop`` that moves weights and logits."""
        if not isinstance(inner_loop, JointInnerLoop) or not {"weights", "logits"} <= set(inner_loop.groups):
            raise ValueError(
                f"TNAS steps on weights and logits together, which {type(inner_loop).__name__} over "
                f"{', '.join(inner_loop.groups) or 'nothing'} does not: use JointInnerLoop with both groups."
            )


class PrototypeLoss(MAML):
    """Gradient of the prototypical loss with respect to weights and logits (Snell et al. 2017, Algorithm 1).

    It is MAML without a step, which has one order; the logits' gradient comes through the relaxation.

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    second_order = False

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for a head made from the support set and no steps."""
        if inner_loop.steps or not (learner.head.compares or learner.head.starts_from_support):
            raise ValueError(
                f"PrototypeLoss takes class means, not {inner_loop.steps} steps of {type(inner_loop).__name__} with "
                f"{type(learner.head).__name__}: use NoInnerLoop with PrototypeHead."
            )
