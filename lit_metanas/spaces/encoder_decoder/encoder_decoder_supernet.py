"""The supernet of networks that read a sequence and write another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.encoder_decoder.encoder_decoder_network import EncoderDecoder, TokenMaps, tied_vectors
from lit_metanas.spaces.forward_pass import ForwardPass, running
from lit_metanas.spaces.mixture import Mixture
from lit_metanas.spaces.operations import combine
from lit_metanas.spaces.supernet import Statistics


class EncoderDecoderSupernet(BodySupernet):
    """An encoder-decoder of all candidates; see ``EncoderDecoderChild``.

    Features are those of a text of as many steps as can be, whose tokens are blank. Scores are of targets, or of what
    it writes by itself.
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
        self._refuse_to_compute()
        network = self._network
        weight = outputs["head.weight"]

        def vectors(tokens: Tensor) -> Tensor:
            made = {
                "yes": lambda: tied_vectors(tokens, weight),
                "no": lambda: F.embedding(tokens, outputs["embedding.weight"]),
            }
            return combine(network.tied.gate(), [made[label] for label in network.tied.labels])

        maps = TokenMaps(vectors, lambda features: F.linear(features, weight, outputs["head.bias"]))
        with running(ForwardPass(mixture, noise, statistics)):
            return network.score(inputs, targets, maps)

    def output_flops(self, way: int) -> int:
        """Of each step of a text of as many as can be."""
        return self.features * way * self._network.steps

    @property
    def _network(self) -> EncoderDecoder:
        assert isinstance(self.body, EncoderDecoder)
        return self.body
