"""Reptile on weights and logits."""

from __future__ import annotations

from lit_metanas.meta.alternating_inner_loop import AlternatingInnerLoop
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.reptile import Reptile
from lit_metanas.meta.task_map import TaskMap


class MetaNAS(Reptile):
    """Reptile on weights and logits with an alternating inner loop (Elsken et al. 2020, Eq. 5 and 6).

    With ``AnnealedSoftmax`` and an inner loop that restarts progress this is the paper's method; its rates are the
    defaults here, for an outer gradient descent of rate 1.

    Args:
        weight_rate: multiplies the gradient of weights and head.
        logit_rate: multiplies the gradient of logits.
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    def __init__(self, *, weight_rate: float = 1.0, logit_rate: float = 0.6, task_map: TaskMap = "auto") -> None:
        super().__init__(weight_rate=weight_rate, logit_rate=logit_rate, task_map=task_map)

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for ``AlternatingInnerLoop``."""
        if not isinstance(inner_loop, AlternatingInnerLoop):
            raise ValueError(
                f"MetaNAS moves logits and weights in turn, which {type(inner_loop).__name__} does not: "
                "use AlternatingInnerLoop, or Reptile."
            )
