"""A search space of networks that read a sequence and write another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lit_metanas.inputs.shapes import SeriesShape, Shape, TokenShape
from lit_metanas.objectives.objective import Objective
from lit_metanas.spaces.architecture import (
    check_dropouts,
    check_given,
    check_known,
    check_positive,
    labels_of,
    restrict,
)
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.encoder_decoder.decoder import CAUSAL
from lit_metanas.spaces.encoder_decoder.encoder_decoder_network import (
    EncoderDecoder,
    EncoderDecoderChild,
    EncoderDecoderSupernet,
)
from lit_metanas.spaces.sequence.sequence_space import SequenceSpace, refuse_widths
from lit_metanas.spaces.space import SearchSpace


class EncoderDecoderSpace(SearchSpace):
    """Networks that read a series or tokens and write a text: the layers of a sequence space, and a decoder.

    The decoder writes token by token, from 0, the begin, to 0, the end. Each of its layers is an operation on the steps
    before, attention to what is read, and two maps; each has its input normalised, and is added to it. It attends to
    the encoder's last layer. Tokens have the same vectors as the decoder's inputs and as its outputs.

    Networks are trained on each token given those before it, and write that of the largest score. So does a supernet,
    where the encoder has one width; else search by a method that trains one network after the other.

    Args:
        encoder: whose layers read, with ``readouts`` ``each`` and ``pools`` ``none``; None takes the default ones.
        decoders: the operation of the decoder's layers: ``gru`` (Cho et al. 2014), ``attention`` to the steps before
            (Vaswani et al. 2017), ``conv``, a convolution over three steps with gated linear units (Gehring et al.
            2017).
        decoder_depths: numbers of the decoder's layers.
        decoder_dropouts: probabilities that a channel is dropped in the decoder.
        heads: of the decoder's attention; divides the encoder's widths.
        target_steps: tokens that are written at most.
        fixed: labels that single choices are restricted to, for instance ``{decoder: [gru]}``.

    Raises:
        ValueError: a label is unknown or cannot be built, or the encoder has no outputs of each step.

    Example:
        >>> encoder = lm.SequenceSpace(operations=("gru",), widths=(16,), readouts=("each",))
        >>> space = lm.EncoderDecoderSpace(encoder, target_steps=6)
        >>> shape = lm.TokenShape(vocabulary=50, steps=8)
        >>> network = space.child(space.sample(torch.Generator()), shape, way=20)
        >>> texts = torch.tensor([[7, 3, 9, 0, 0], [4, 4, 49, 1, 1]])
        >>> network(texts).shape, network(texts, torch.tensor([[8, 4, 0], [2, 0, 0]])).shape
        (torch.Size([2, 6, 20]), torch.Size([2, 3, 20]))
    """

    shapes = (TokenShape, SeriesShape)
    child_class = EncoderDecoderChild
    supernet_class = EncoderDecoderSupernet
    layer_questions = SequenceSpace.layer_questions
    scored = "target"

    def __init__(
        self,
        encoder: SequenceSpace | None = None,
        *,
        decoders: Sequence[str] = ("gru", "attention", "conv"),
        decoder_depths: Sequence[int] = (1, 2, 3),
        decoder_dropouts: Sequence[float] = (0.0, 0.1, 0.3),
        heads: int = 4,
        target_steps: int = 32,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.encoder = encoder or SequenceSpace(readouts=("each",))
        self.heads, self.target_steps = heads, target_steps
        self.questions = {
            "decoder": check_known(self.name, "decoders", decoders, tuple(CAUSAL)),
            "decoder_depth": tuple(map(str, sorted(decoder_depths))),
            "dropout": tuple(map(str, decoder_dropouts)),
        }
        check_given(self.name, {"decoder_depths": decoder_depths, "decoder_dropouts": decoder_dropouts})
        check_positive(
            self.name, {"the least decoder depth": min(decoder_depths), "heads": heads, "target_steps": target_steps}
        )
        check_dropouts(self.name, decoder_dropouts)
        self._check_encoder()
        own = labels_of(self.choices)
        left = {name: labels for name, labels in labels_of(self.encoder.choices).items() if name in own}
        self.choices = restrict(restrict(self.choices, left, self.name), fixed or {}, self.name)

    def check_objective(self, objective: Objective) -> None:
        """Refuse an objective that wants other scores, or longer texts, than the networks have."""
        super().check_objective(objective)
        wanted = objective.steps or 0
        if wanted > self.target_steps:
            raise ValueError(
                f"{type(objective).__name__} has texts of up to {wanted} tokens, and {self.name} writes up to "
                f"{self.target_steps}: give target_steps={wanted}, or texts fewer 'steps'."
            )

    def _refusal(self) -> str:
        return refuse_widths(self.name, labels_of(self.choices)["width"])

    def body(self, shape: Shape, build: Builder) -> EncoderDecoder:
        """Encoder and decoder, without the vectors of the tokens that are written."""
        assert isinstance(shape, SeriesShape | TokenShape)
        return EncoderDecoder(
            build, self.encoder.layout, self.questions, shape, heads=self.heads, steps=self.target_steps
        )

    def training_scores(self, child: nn.Module, inputs: Tensor, targets: Tensor) -> list[Tensor]:
        """Scores of each token of the targets, and of the end, given all that stand before it."""
        return [child(inputs, targets)]

    def _check_encoder(self) -> None:
        encoder = self.encoder.layout
        if encoder.readouts != ("each",) or encoder.questions["pool"] != ("none",):
            raise ValueError(
                f"{self.name}: the encoder has readouts {', '.join(encoder.readouts)} and pools "
                f"{', '.join(encoder.questions['pool'])}: give SequenceSpace readouts ['each'] and pools ['none'], as "
                "each of its steps is attended to."
            )
        for width in encoder.widths:
            if width % self.heads:
                raise ValueError(
                    f"{self.name}: heads = {self.heads} do not divide the width {width}: give multiples of it."
                )
