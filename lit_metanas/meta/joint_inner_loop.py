"""All groups move at once."""

from __future__ import annotations

from lit_metanas.meta.adaptation import Adaptation
from lit_metanas.meta.inner_loop import InnerLoop, checked
from lit_metanas.meta.parameters import Group, Parameters
from lit_metanas.meta.update_rule import UpdateRule


class JointInnerLoop(InnerLoop):
    """One gradient step on [weights; logits] and head together (Lian et al. 2020, T-NAS, Eq. 5).

    Args:
        steps: number of steps.
        learning_rate: of weights.
        logit_learning_rate: of logits.
        head_learning_rate: of the head; that of weights where None.
        groups: what moves: some of ``weights``, ``logits`` and ``head``.
        rule: what a step does with a gradient; ``SGD()`` where None.
        restart: whether the relaxation's progress runs from 0 to 1 inside every task.
    """

    def __init__(
        self,
        *,
        steps: int,
        learning_rate: float = 0.1,
        logit_learning_rate: float = 0.1,
        head_learning_rate: float | None = None,
        groups: tuple[Group, ...] = ("weights", "logits", "head"),
        rule: UpdateRule | None = None,
        restart: bool = False,
    ) -> None:
        super().__init__(
            steps=steps,
            learning_rate=learning_rate,
            logit_learning_rate=logit_learning_rate,
            head_learning_rate=head_learning_rate,
            rule=rule,
            restart=restart,
        )
        self._groups = checked(groups)

    @property
    def groups(self) -> tuple[Group, ...]:
        """What moves."""
        return self._groups

    def run(self, parameters: Parameters, adaptation: Adaptation) -> Parameters:
        """Step jointly."""
        state = self.rule.start(parameters.flat(self.groups))
        for step in range(self.steps):
            parameters, state = self.step(parameters, adaptation, self.groups, state, step)
        return parameters
