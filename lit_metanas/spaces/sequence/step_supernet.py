"""The supernet of networks with scores of each step of an input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.sequence.sequence_network import SequenceNetwork, silenced
from lit_metanas.spaces.supernet import Statistics
from lit_metanas.tasks.inputs import step_mask


class StepSupernet(BodySupernet):
    """A sequence network of all candidates, with features and scores of each step.

    Features are ``(n, features, steps / stride)``, scores ``(n, steps / stride, way)``; see ``SequenceChild``.
    """

    averaged: ClassVar[bool] = False

    def scores(
        self,
        outputs: Mapping[str, Tensor],
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """See ``Supernet.scores``."""
        features = self(inputs, mixture, noise, statistics).transpose(1, 2)
        scores = F.linear(features, outputs["head.weight"], outputs["head.bias"])
        return silenced(scores, ~step_mask(inputs)[:, :: self._network.stride][:, : scores.shape[1], None])

    def output_flops(self, way: int) -> int:
        """Of each step."""
        network = self._network
        return self.features * way * -(-network.shape.steps // network.stride)

    @property
    def _network(self) -> SequenceNetwork:
        assert isinstance(self.body, SequenceNetwork)
        return self.body
