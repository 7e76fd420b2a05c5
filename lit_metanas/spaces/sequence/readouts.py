"""From the steps of an example to its features."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from lit_metanas.spaces.sequence.step_context import current_steps, lowest
from lit_metanas.spaces.sequence.step_operations import Positions


class MeanReadout(nn.Module):
    """The mean over the steps of an example; zeros for one without steps."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        return steps.blank(inputs).sum(2) / steps.lengths.clamp(min=1)


class MaxReadout(nn.Module):
    """The maximum over the steps of an example; zeros for one without steps."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        return steps.blank(inputs, lowest(inputs)).amax(2).masked_fill(steps.lengths == 0, 0.0)


class AttentionReadout(nn.Module):
    """The mean over the steps of an example, weighed by the softmax of a linear score of each, all equal at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Conv1d(width, 1, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        inputs = steps.blank(inputs)
        scores = self.score(inputs)
        return (inputs * steps.blank(scores, lowest(scores)).softmax(2)).sum(2)


class LastReadout(nn.Module):
    """The last step of an example; zeros for one without steps."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        return steps.blank(inputs).masked_fill(steps.remaining.unsqueeze(1) > 0, 0.0).sum(2)


class EachReadout(nn.Module):
    """The steps themselves, for objectives that want an output of each; zeros behind the end."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)``, unchanged."""
        return current_steps().blank(inputs)


MakeReadout = Callable[[int, int, Positions], nn.Module]
"""Makes a readout for a width, the most steps, and the positions of attention."""


READOUTS: Mapping[str, MakeReadout] = {
    "mean": lambda width, steps, positions: MeanReadout(),
    "max": lambda width, steps, positions: MaxReadout(),
    "attention": lambda width, steps, positions: AttentionReadout(width),
    "last": lambda width, steps, positions: LastReadout(),
    "each": lambda width, steps, positions: EachReadout(),
}
"""What makes each readout, by label."""
