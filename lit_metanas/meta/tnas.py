"""Meta-learned weights and logits with joint inner steps."""

from __future__ import annotations

from lit_metanas.meta.fomaml import FOMAML
from lit_metanas.meta.inner_loop import InnerLoop
from lit_metanas.meta.joint_inner_loop import JointInnerLoop
from lit_metanas.meta.learner import Learner


class TNAS(FOMAML):
    """First-order outer step on weights and logits after joint inner steps on both (Lian et al. 2020, Eq. 5 and 6).

    Args:
        task_map: ``loop`` (one task after another), ``vmap`` (all at once) or ``auto`` (``vmap`` on a GPU).
    """

    def check(self, learner: Learner, inner_loop: InnerLoop) -> None:
        """Ask for ``JointInnerLoop`` that moves weights and logits."""
        if not isinstance(inner_loop, JointInnerLoop) or not {"weights", "logits"} <= set(inner_loop.groups):
            raise ValueError(
                f"TNAS steps on weights and logits together, which {type(inner_loop).__name__} over "
                f"{', '.join(inner_loop.groups) or 'nothing'} does not: use JointInnerLoop with both groups."
            )
