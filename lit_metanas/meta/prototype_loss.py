"""No inner loop: the query loss under the support set's class means."""

from __future__ import annotations

from lit_metanas.meta.fomaml import FOMAML
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner


class PrototypeLoss(FOMAML):
    """Gradient of the prototypical loss with respect to weights and logits (Snell et al. 2017, Algorithm 1).

    It is MAML without a step, which has one order; the logits' gradient comes through the relaxation.

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for a head made from the support set and no steps."""
        if inner_loop.steps or not (learner.head.compares or learner.head.starts_from_support):
            raise ValueError(
                f"PrototypeLoss takes class means, not {inner_loop.steps} steps of {type(inner_loop).__name__} with "
                f"{type(learner.head).__name__}: use NoInnerLoop with PrototypeHead."
            )
