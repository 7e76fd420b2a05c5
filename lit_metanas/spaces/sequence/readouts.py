"""From the steps of an example to its features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.sequence.step_context import current_steps, lowest
from lit_metanas.spaces.sequence.step_operations import Positions, attend, part_of, sinusoids


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


class HopsReadout(nn.Module):
    """The first step, a question, looks up what the others say, several times (Sukhbaatar et al. 2015).

    Departures from the paper: the outputs of layers are looked up, through a linear map for keys and one for values in
    each hop; products are divided by the root of the width.
    """

    key_places: Tensor | None
    value_places: Tensor | None

    def __init__(self, width: int, steps: int, positions: Positions, hops: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.keys = nn.Parameter(nn.init.uniform_(torch.empty(hops, width, width), -bound, bound))
        self.values = nn.Parameter(nn.init.uniform_(torch.empty(hops, width, width), -bound, bound))
        self.register_buffer("key_places", None)
        self.value_places = None
        if positions == "learned":
            self.key_places = nn.Parameter(0.1 * torch.randn(steps, width))
            self.value_places = nn.Parameter(0.1 * torch.randn(steps, width))
        elif positions == "sinusoidal":
            self.key_places = sinusoids(steps, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, steps)`` to ``(n, channels)``."""
        steps = current_steps()
        rows = steps.blank(inputs).transpose(1, 2)
        asked, number = rows[:, :1], rows.shape[1]
        key_rows = value_rows = rows
        if self.key_places is not None:
            key_rows = rows + part_of(self.key_places, 0, number)
        if self.value_places is not None:
            value_rows = rows + part_of(self.value_places, 0, number)
        hidden = steps.outside | (torch.arange(number, device=inputs.device) == 0)
        some = (steps.lengths > 1).to(inputs).unsqueeze(2)
        for key, value in zip(self.keys, self.values, strict=True):
            keys, values = (F.linear(own, weight)[:, None] for own, weight in ((key_rows, key), (value_rows, value)))
            asked = asked + some * attend(asked[:, None], keys, values, hidden[:, None])
        return asked.squeeze(1)


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
    **{f"hops_{hops}": partial(HopsReadout, hops=hops) for hops in (1, 2, 3)},
    "each": lambda width, steps, positions: EachReadout(),
}
"""What makes each readout, by label."""
