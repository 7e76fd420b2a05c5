"""The network of the encoder-decoder space: an encoder, a decoder, and how texts are written with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.encoder_decoder.decoder import CrossMemory, DecoderLayer
from lit_metanas.spaces.forward_pass import largest
from lit_metanas.spaces.operations import leading_part
from lit_metanas.spaces.sequence.sequence_network import SequenceLayers, SequenceLayout, silenced
from lit_metanas.tasks.inputs import SeriesShape, Shape, TokenShape, trim_steps
from lit_metanas.tasks.objective import BLANK

BEGIN = BLANK
"""The token before the first one; as an output it is the end."""


@dataclass(frozen=True)
class DecoderLayout:
    """What is open in a decoder, and what is not.

    Attributes:
        operations: labels of the causal operation.
        depths: numbers of layers.
        crosses: how many of the encoder's last layers are attended to.
        tied: whether tokens have the same vectors as input and as output: ``yes``, ``no``.
        dropouts: rates.
        heads: of attention.
        steps: the most that are written.
    """

    operations: tuple[str, ...]
    depths: tuple[int, ...]
    crosses: tuple[int, ...]
    tied: tuple[str, ...]
    dropouts: tuple[float, ...]
    heads: int
    steps: int


class LayerMix(nn.Module):
    """A learned average of several layers' outputs (Peters et al. 2018), whose weights begin alike.

    Args:
        number: of layers.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(1, number))

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """Outputs of one shape, those of the last layer first."""
        shares = leading_part(self.logits, 1, len(outputs)).softmax(1)
        return reduce(torch.add, (shares[:, place] * each for place, each in enumerate(outputs)))


class EncoderDecoder(nn.Module):
    """An encoder and a decoder. The vectors of tokens lie outside, as their number is that of the outputs.

    Args:
        build: makes the open layers.
        encoder: what is open in the encoder.
        decoder: and in the decoder.
        shape: of one input.

    Attributes:
        refused: whether it is a supernet's, which computes nothing.
    """

    def __init__(
        self, build: Builder, encoder: SequenceLayout, decoder: DecoderLayout, shape: SeriesShape | TokenShape
    ) -> None:
        super().__init__()
        self.refused = build.mixed
        self.encoder = SequenceLayers(build, encoder, shape)
        self.width, self.steps = self.encoder.width, decoder.steps
        self.cross = largest(build.number("cross", decoder.crosses))
        self.mix = LayerMix(self.cross) if self.cross > 1 else None
        self.tied = build.question("tied", decoder.tied).labels == ("yes",)
        depths = build.question("decoder_depth", decoder.depths).labels
        operations = build.question("decoder", decoder.operations).labels
        read = -(-shape.steps // encoder.stride)
        self.layers = nn.ModuleList(
            DecoderLayer(
                build, operations, decoder.dropouts,
                width=self.width, heads=decoder.heads, steps=decoder.steps, read=read,
            )
            for _ in range(max(map(int, depths)))
        )  # fmt: skip
        self.norm = nn.LayerNorm(self.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features ``(n, width, steps)`` of as many steps as are written at most, whose tokens are blank.

        Raises:
            ValueError: it is a supernet's.
        """
        if self.refused:
            raise ValueError(
                "EncoderDecoderSpace: a supernet cannot write texts, it only holds the weights that networks begin "
                "with: search by a method that trains one network after the other."
            )
        memories = self.read(inputs)
        rows = torch.zeros(len(inputs), self.steps, self.width, dtype=memories[0].key.dtype, device=inputs.device)
        return self.write(rows, 0, memories, [None] * len(self.layers))[0].transpose(1, 2)

    def read(self, inputs: Tensor) -> list[CrossMemory]:
        """What each of the decoder's layers looks up in series ``(n, features, steps)`` or tokens ``(n, steps)``."""
        last = max(self.encoder.depths)
        wanted = range(last, max(0, last - self.cross), -1)
        found = self.encoder.layer_outputs(inputs, wanted)
        _, steps = found[last]
        outputs = [steps.blank(found[place][0]).transpose(1, 2) for place in wanted]
        rows = outputs[0] if self.mix is None else self.mix(outputs)
        memories = []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
            memories.append(layer.cross.recall(rows, steps.outside))
        return memories

    def write(
        self, rows: Tensor, before: int, memories: list[CrossMemory], kept: list[Tensor | None]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Features of some further steps, ``(n, steps, width)``, and what is kept of them.

        Args:
            rows: the vectors of the tokens before each step, shape ``(n, steps, width)``.
            before: how many steps stand before them.
            memories: of ``read``.
            kept: what was kept of the steps before; None of each layer at the beginning.
        """
        now: list[Tensor | None] = []
        for layer, memory, old in zip(self.layers, memories, kept, strict=True):
            rows, new = layer(rows, before, memory, old)
            now.append(new)
        return self.norm(rows), now


class EncoderDecoderChild(BodyChild):
    """An encoder-decoder of one candidate a choice.

    Given targets it scores each of their tokens, and the end, after all that stand before it (teacher forcing). Without
    it writes by itself: the token of the largest score, step by step. Scores behind the end say for certain that there
    is nothing.

    Multiply-adds are those of a text of as many steps as can be, with what is kept of each step.

    Args:
        body: an ``EncoderDecoder``.
        shape: of one input.
        way: number of outputs, the first of which is the end.
        sliced: whether parameters may be leading parts of the supernet's.
    """

    def __init__(self, body: nn.Module, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__(body, shape, way, sliced=sliced)
        assert isinstance(body, EncoderDecoder)
        self.steps = body.steps
        self.flops += self.features * way * (self.steps - 1)
        self.embedding = None if body.tied else nn.Embedding(way, self.features)

    @property
    def _network(self) -> EncoderDecoder:
        assert isinstance(self.body, EncoderDecoder)
        return self.body

    def forward(self, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Scores ``(n, steps, way)``.

        Args:
            inputs: series ``(n, features, steps)`` or tokens ``(n, steps)``.
            targets: tokens ``(n, longest)`` whose steps are scored, and one step more where there is room; None writes.

        Raises:
            ValueError: an input or a target has more steps than the network is for.
        """
        if targets is None:
            return self._written(inputs)
        targets = trim_steps(targets)
        if targets.shape[1] > self.steps:
            raise ValueError(
                f"A target has {targets.shape[1]} tokens, and the network writes up to {self.steps}: cut it."
            )
        network = self._network
        before = F.pad(targets, (1, 0), value=BEGIN)[:, : self.steps]
        features, _ = network.write(self._vectors(before), 0, network.read(inputs), [None] * len(network.layers))
        scores: Tensor = self.head(features)
        return scores

    def _written(self, inputs: Tensor) -> Tensor:
        network = self._network
        memories = network.read(inputs)
        kept: list[Tensor | None] = [None] * len(network.layers)
        # Whole numbers, as many as there are examples: a size would be an operation of an exported program.
        token = torch.zeros_like(memories[0].outside.select(1, 0).select(1, 0)[:, :1].cumsum(1))
        ended = token != BEGIN
        found, tokens = [], []
        for step in range(self.steps):
            features, kept = network.write(self._vectors(token), step, memories, kept)
            found.append(self.head(features))
            token = found[-1].argmax(2)
            tokens.append(token)
            if not torch.compiler.is_compiling():
                ended = ended | (token == BLANK)
                if bool(ended.all()):
                    break
        missing = self.steps - len(found)
        scores, written = torch.cat(found, 1), torch.cat(tokens, 1)
        if missing:
            scores, written = F.pad(scores, (0, 0, 0, missing)), F.pad(written, (0, missing), value=BLANK)
        ends = (written == BLANK).cumsum(1)
        behind = F.pad(ends, (1, 0))[:, : self.steps] > 0
        return silenced(scores, behind.unsqueeze(2))

    def _vectors(self, tokens: Tensor) -> Tensor:
        """Of tokens ``(n, steps)``, shape ``(n, steps, width)``; the output's, if tied, are brought to unit size."""
        if self.embedding is None:
            return F.embedding(tokens, self.head.weight) * self.features**0.5
        vectors: Tensor = self.embedding(tokens)
        return vectors

    def supernet_weights(self) -> dict[str, Tensor]:
        """See ``ChildNetwork``; the vectors of tokens, too, unless they are the classifier's."""
        weights = super().supernet_weights()
        if self.embedding is not None:
            weights["embedding.weight"] = self.embedding.weight.detach().clone()
        return weights

    @torch.no_grad()
    def _inherit_head(self, weights: Mapping[str, Tensor]) -> None:
        super()._inherit_head(weights)
        vectors = weights.get("embedding.weight")
        if self.embedding is not None and vectors is not None:
            own = self.embedding.weight
            if vectors.shape[0] == own.shape[0] and vectors.shape[1] >= own.shape[1]:
                own.copy_(vectors[:, : own.shape[1]])
