"""Networks of the encoder-decoder space: an encoder, a decoder, how texts are written with them, and their supernet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

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
from lit_metanas.spaces.sequence.sequence_network import SequenceLayers, SequenceLayout, silenced

BEGIN = BLANK  # the token before the first one; as an output it is the end

Classifier = Callable[[Tensor], Tensor]  # from features `(n, steps, width)` to the scores of tokens `(n, steps, way)`


class EncoderDecoder(nn.Module):
    """An encoder and a decoder; the classifier's vectors of tokens lie outside, as each output has one."""

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
        self.depth = build.question("decoder_depth", questions["decoder_depth"])
        operation, rates = build.question("decoder", questions["decoder"]), tuple(map(float, questions["dropout"]))
        read = -(-shape.steps // encoder.stride)
        self.layers = nn.ModuleList(
            DecoderLayer(build, operation, rates, width=self.width, heads=heads, steps=steps, read=read)
            for _ in range(max(map(int, self.depth.labels)))
        )
        self.norm = nn.LayerNorm(self.width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Features ``(n, width, steps)`` of as many steps as are written at most, whose tokens are blank."""
        memories = self.read(inputs)
        rows = torch.zeros(len(inputs), self.steps, self.width, dtype=memories[0].key.dtype, device=inputs.device)
        return self.write(rows, 0, memories)[0].transpose(1, 2)

    def read(self, inputs: Tensor) -> list[CrossMemory]:
        """What each of the decoder's layers looks up in series ``(n, features, steps)`` or tokens ``(n, steps)``."""
        found = self.encoder.layer_outputs(inputs)
        _, steps = found[max(found)]
        outputs = {str(depth): steps.blank(own).transpose(1, 2) for depth, (own, _) in found.items()}
        rows = self.encoder.depth.combine(outputs.__getitem__)
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

    def score(self, inputs: Tensor, targets: Tensor | None, weight: Tensor, classify: Classifier) -> Tensor:
        """Scores ``(n, steps, way)`` of targets, each token given those before it, or of what is written.

        The classifier's weight ``(way, width)`` holds the vectors of the tokens, too (Press and Wolf 2017).
        """
        if targets is None:
            return self._written(inputs, weight, classify)
        targets = trim_steps(targets)
        if targets.shape[1] > self.steps:
            raise ValueError(
                f"A target has {targets.shape[1]} tokens, and the network writes up to {self.steps}: cut it."
            )
        before = F.pad(targets, (1, 0), value=BEGIN)[:, : self.steps]
        features, _ = self.write(token_vectors(before, weight), 0, self.read(inputs))
        return classify(features)

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(map(count.computed, (self.encoder, *self._computed_layers())))

    def _written(self, inputs: Tensor, weight: Tensor, classify: Classifier) -> Tensor:
        memories = self.read(inputs)
        kept: list[KeptState] = []
        # Whole numbers, as many as there are examples: a size would be an operation of an exported program.
        token = torch.zeros_like(memories[0].outside.select(1, 0).select(1, 0)[:, :1].cumsum(1))
        ended = token != BEGIN
        found, tokens = [], []
        for step in range(self.steps):
            features, kept = self.write(token_vectors(token, weight), step, memories, kept)
            found.append(classify(features))
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


def token_vectors(tokens: Tensor, weight: Tensor) -> Tensor:
    """The classifier's vectors of tokens ``(n, steps)``, brought to unit size: shape ``(n, steps, width)``."""
    return F.embedding(tokens, weight) * weight.shape[1] ** 0.5


class EncoderDecoderChild(BodyChild):
    """An encoder-decoder that scores targets, each token after those before it, or writes that of the largest score."""

    body: EncoderDecoder

    def __init__(self, body: EncoderDecoder, shape: Shape, way: int, *, sliced: bool = False) -> None:
        super().__init__(body, shape, way, sliced=sliced)
        self.steps = body.steps

    def forward(self, inputs: Tensor, targets: Tensor | None = None) -> Tensor:
        """Scores ``(n, steps, way)`` of targets ``(n, longest)``, and one step more if there is room; None writes."""
        return self.body.score(inputs, targets, self.head.weight, self.head)


class EncoderDecoderSupernet(BodySupernet):
    """An encoder-decoder of all candidates, with features of the longest text; see ``EncoderDecoderChild``."""

    averaged: ClassVar[bool] = False
    body: EncoderDecoder

    def _score(self, outputs: Mapping[str, Tensor], inputs: Tensor, targets: Tensor | None) -> Tensor:
        weight = outputs["head.weight"]
        return self.body.score(inputs, targets, weight, partial(F.linear, weight=weight, bias=outputs["head.bias"]))
