"""Almost no inner loop."""

from __future__ import annotations

from lit_metanas.meta.head_inner_loop import HeadInnerLoop
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.learner import Learner
from lit_metanas.meta.maml import MAML


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
