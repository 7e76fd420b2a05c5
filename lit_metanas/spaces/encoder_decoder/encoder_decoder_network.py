"""Networks of the encoder-decoder space: an encoder, a decoder, how texts are written with them, and their supernet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.batches import trim_steps
from lit_metanas.inputs.shapes import SeriesShape, Shape, TokenShape
from lit_metanas.objectives.objective import BLANK
from lit_metanas.spaces.body_networks import BodyChild, BodySupernet
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.encoder_decoder.decoder import CrossMemory, DecoderLayer, KeptState
from lit_metanas.spaces.mixed_layers import CountedFlops
from lit_metanas.spaces.mixture import combine, largest, sum_of
from lit_metanas.spaces.operations import leading_part
from lit_metanas.spaces.sequence.sequence_network import SequenceLayers, SequenceLayout, silenced

BEGIN = BLANK
"""The token before the first one; as an output it is the end."""


class LayerMix(nn.Module):
    """A learned average of several layers' outputs (Peters et al. 2018), whose weights begin alike."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(1, number))

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """Outputs of one shape, those of the last layer first."""
        shares = leading_part(self.logits, 1, len(outputs)).softmax(1)
        average = sum_of(shares[:, place] * each for place, each in enumerate(outputs))
        assert average is not None
        return average


class TokenMaps(NamedTuple):
    """From tokens to vectors, and from features to scores of tokens."""

    vectors: Callable[[Tensor], Tensor]  # tokens (n, steps) to (n, steps, width)
    scores: Callable[[Tensor], Tensor]  # features (n, steps, width) to (n, steps, way)


class EncoderDecoder(nn.Module):
    """An encoder and a decoder; the vectors of tokens lie outside, as their number is that of the outputs."""

    def __init__(
        self,
        build: Builder,
        encoder: SequenceLayout,
        questions: Mapping[str, tuple[str, ...]],  # of the decoder
        shape: SeriesShape | TokenShape,
        *,
        heads: int,
        steps: int,  # the most that are written
    ) -> None:
        super().__init__()
        self.encoder = SequenceLayers(build, encoder, shape)
        self.width = self.known_features = self.encoder.width
        self.steps = self.scored_steps = steps
        most = largest(build.number("cross", list(map(int, questions["cross"]))))
        self.cross = build.question("cross", questions["cross"])
        self.mix = LayerMix(most) if most > 1 else None
        self.tied = build.question("tied", questions["tied"])
        self.depth = build.question("decoder_depth", questions["decoder_depth"])
        operation, rates = build.question("decoder", questions["decoder"]), tuple(map(float, questions["dropout"]))
        sizes = {"width": self.width, "heads": heads, "steps": steps, "read": -(-shape.steps // encoder.stride)}
        self.layers = nn.ModuleList(
            DecoderLayer(build, operation, rates, **sizes) for _ in range(max(map(int, self.depth.labels)))
        )
        self.norm = nn.LayerNorm(self.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features ``(n, width, steps)`` of as many steps as are written at most, whose tokens are blank."""
        memories = self.read(inputs)
        rows = torch.zeros(len(inputs), self.steps, self.width, dtype=memories[0].key.dtype, device=inputs.device)
        return self.write(rows, 0, memories)[0].transpose(1, 2)

    def read(self, inputs: Tensor) -> list[CrossMemory]:
        """What each of the decoder's layers looks up in series ``(n, features, steps)`` or tokens ``(n, steps)``."""
        depths = self.encoder.computed_depths()
        most = max(map(int, self.cross.computed_labels()))
        wanted = sorted({place for depth in depths for place in range(depth, max(depth - most, 0), -1)})
        found = self.encoder.layer_outputs(inputs, wanted)
        _, steps = found[max(depths)]
        outputs = {place: steps.blank(found[place][0]).transpose(1, 2) for place in wanted}
        rows = combine(self.encoder.depth.gate(), self.encoder.depths, partial(self._attended, outputs))
        return [layer.cross.recall(rows, steps.outside) for layer in self._computed_layers()]

    def write(
        self, rows: Tensor, before: int, memories: Sequence[CrossMemory], kept: Sequence[KeptState] = ()
    ) -> tuple[Tensor, list[KeptState]]:
        """Features ``(n, steps, width)`` of further steps, given the vectors of tokens before each; what is kept."""
        now: list[KeptState] = []
        outputs: dict[str, Tensor] = {}
        for place, layer in enumerate(self._computed_layers()):
            rows, new = layer(rows, before, memories[place], kept[place] if kept else {})
            now.append(new)
            outputs[str(place + 1)] = rows

        # The norm stands before the gate, which it would cancel otherwise.
        return self.depth.combine(lambda depth: self.norm(outputs[depth])), now

    def score(self, inputs: Tensor, targets: Tensor | None, maps: TokenMaps) -> Tensor:
        """Scores ``(n, steps, way)`` of targets, each token given those before it, or of what is written."""
        if targets is None:
            return self._written(inputs, maps)
        targets = trim_steps(targets)
        if targets.shape[1] > self.steps:
            raise ValueError(
                f"A target has {targets.shape[1]} tokens, and the network writes up to {self.steps}: cut it."
            )
        before = F.pad(targets, (1, 0), value=BEGIN)[:, : self.steps]
        features, _ = self.write(maps.vectors(before), 0, self.read(inputs))
        return maps.scores(features)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(map(count.computed, (self.encoder, *self._computed_layers())))

    def _written(self, inputs: Tensor, maps: TokenMaps) -> Tensor:
        memories = self.read(inputs)
        kept: list[KeptState] = []
        # Whole numbers, as many as there are examples: a size would be an operation of an exported program.
        token = torch.zeros_like(memories[0].outside.select(1, 0).select(1, 0)[:, :1].cumsum(1))
        ended = token != BEGIN
        found, tokens = [], []
        for step in range(self.steps):
            features, kept = self.write(maps.vectors(token), step, memories, kept)
            found.append(maps.scores(features))
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
        behind = F.pad((written == BLANK).cumsum(1), (1, 0))[:, : self.steps] > 0
        return silenced(scores, behind.unsqueeze(2))

    def _computed_layers(self) -> list[DecoderLayer]:
        layers = list(self.layers)[: max(map(int, self.depth.computed_labels()))]
        return [layer for layer in layers if isinstance(layer, DecoderLayer)]

    def _attended(self, outputs: Mapping[int, Tensor], depth: int) -> Tensor:

        def average(label: str) -> Tensor:
            layers = [outputs[place] for place in range(depth, max(depth - int(label), 0), -1)]
            if self.mix is None or len(layers) == 1:
                return layers[0]
            return self.mix(layers)

        return self.cross.combine(average)


def tied_vectors(tokens: Tensor, weight: Tensor) -> Tensor:
    """The classifier's vectors of tokens ``(n, steps)``, brought to unit size: shape ``(n, steps, width)``."""
    return F.embedding(tokens, weight) * weight.shape[1] ** 0.5


class EncoderDecoderChild(BodyChild):
    """An encoder-decoder that scores targets, each token after those before it, or writes that of the largest score."""

    body: EncoderDecoder

    def __init__(self, body: EncoderDecoder, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__(body, shape, way, sliced=sliced)
        self.steps = body.steps
        self.embedding = None if body.tied.labels == ("yes",) else nn.Embedding(way, self.features)

    def forward(self, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Scores ``(n, steps, way)`` of targets ``(n, longest)``, and one step more if there is room; None writes."""
        return self.body.score(inputs, targets, TokenMaps(self._vectors, self.head))

    def _vectors(self, tokens: Tensor) -> Tensor:
        if self.embedding is None:
            return tied_vectors(tokens, self.head.weight)
        return self.embedding(tokens)

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


class EncoderDecoderSupernet(BodySupernet):
    """An encoder-decoder of all candidates, with features of the longest text; see ``EncoderDecoderChild``."""

    averaged: ClassVar[bool] = False
    body: EncoderDecoder

    def _score(self, outputs: Mapping[str, Tensor], inputs: Tensor, targets: Tensor | None) -> Tensor:
        weight = outputs["head.weight"]

        def vectors(tokens: Tensor, label: str) -> Tensor:
            if label == "yes":
                return tied_vectors(tokens, weight)
            return F.embedding(tokens, outputs["embedding.weight"])

        maps = TokenMaps(
            lambda tokens: self.body.tied.combine(partial(vectors, tokens)),
            lambda features: F.linear(features, weight, outputs["head.bias"]),
        )
        return self.body.score(inputs, targets, maps)
