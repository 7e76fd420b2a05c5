"""A search space of networks for series of feature vectors and sequences of tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lit_metanas.inputs.shapes import SeriesShape, Shape, TokenShape
from lit_metanas.objectives.objective import Objective
from lit_metanas.objectives.step_objectives import Span
from lit_metanas.spaces.architecture import (
    check_dropouts,
    check_given,
    check_known,
    check_positive,
    labels_of,
    restrict,
)
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.operations import ACTIVATIONS, LAYER_NORMS, SKIPS
from lit_metanas.spaces.sequence.sequence_network import (
    STEP_POOLINGS,
    SequenceChild,
    SequenceLayout,
    SequenceNetwork,
    StepSupernet,
)
from lit_metanas.spaces.sequence.step_operations import OPERATIONS, READOUTS
from lit_metanas.spaces.space import ONE_BY_ONE, SearchSpace


class SequenceSpace(SearchSpace):
    """Layers on series or tokens, each an operation of its own, and a readout to one vector of features.

    A layer is an operation, layer normalisation of each step, an activation and a dropout of whole channels. A
    ``residual`` skip adds the layer's input to it, and a pooling halves the number of steps.

    What an example's features are does not depend on what it is batched with, nor on how far it is padded. Series go
    through a linear map first, and tokens have a vector each.

    Args:
        operations: candidates of each layer: ``identity``; ``conv_3``, ``conv_5``, ``conv_7``; the same depthwise
            separable, ``sep_conv_3`` …; ``dil_conv_3`` (dilation 2); ``conv_2_to_5``, four sizes side by side, each
            of a quarter of the channels (Kim 2014); ``inception``, sizes of 10, 20 and 40 behind a bottleneck, and a
            maximum (Ismail Fawaz et al. 2020); ``gated_linear`` (Dauphin et al. 2017);
            ``attention_2`` and ``attention_4`` of so many heads (Vaswani et al. 2017); ``gru`` (bidirectional, Cho et
            al. 2014), the slowest; ``max_pool_3``, ``avg_pool_3`` over neighbouring steps.
        activations: names of activations, such as ``ReLU``, ``Sigmoid``, ``Tanh``, ``GELU``.
        dropouts: probabilities that a channel is dropped.
        norms: ``layer``, ``none``.
        skips: ``none``, ``residual``.
        pools: ``none``; or ``max`` and ``avg``, which halve the number of steps behind each layer.
        depths: numbers of layers.
        widths: numbers of channels. One alone where weights are shared; methods that train one network after the other
            choose among several: a supernet then holds the weights that children begin with, those of narrow ones being
            leading parts, and refuses to compute. So does one of steps whose number depends on the depth.
        readouts: ``mean``, ``max``, ``attention``, ``last``; or ``each`` alone, for objectives that want an output of
            each step, such as ``Transcription``.
        stride: steps that the stem makes one of, for long series such as speech.
        token_scale: standard deviation of the vectors that tokens begin with, of every channel. Training moves those of
            rare words little: below 1, such as 0.1, they count for less than what was learned.
        shared: one choice for all layers instead of one a layer.
        fixed: labels that single choices are restricted to, for instance ``{layer1.operation: [conv_3, gru]}``.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.SequenceSpace(operations=("conv_3", "attention_4"), widths=(16,))
        >>> network = space.child(space.sample(torch.Generator()), lm.TokenShape(vocabulary=50, steps=8), way=2)
        >>> network(torch.tensor([[7, 3, 9, 0, 0], [4, 4, 49, 1, 1]])).shape
        torch.Size([2, 2])
    """

    shapes = (TokenShape, SeriesShape)
    child_class = SequenceChild
    layer_questions = ("operation", "width", "norm", "activation", "dropout", "skip", "pool")

    def __init__(
        self,
        *,
        operations: Sequence[str] = ("conv_3", "conv_5", "sep_conv_7", "gated_linear", "attention_4", "max_pool_3"),
        activations: Sequence[str] = ("ReLU", "Tanh", "GELU"),
        dropouts: Sequence[float] = (0.0, 0.2, 0.5),
        norms: Sequence[str] = ("layer",),
        skips: Sequence[str] = ("none", "residual"),
        pools: Sequence[str] = ("none",),
        depths: Sequence[int] = (1, 2, 3),
        widths: Sequence[int] = (64,),
        readouts: Sequence[str] = ("mean", "max", "attention"),
        stride: int = 1,
        token_scale: float = 1.0,
        shared: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        check_positive(self.name, {"stride": stride, "the least depth": min(depths, default=1)})
        if not 0 < token_scale < math.inf:
            raise ValueError(f"{self.name}: token_scale is {token_scale}; give a number above 0, such as 0.1.")
        self.layout = SequenceLayout(
            questions={
                "operation": check_known(self.name, "operations", operations, OPERATIONS),
                "norm": check_known(self.name, "norms", norms, LAYER_NORMS),
                "activation": check_known(self.name, "activations", activations, ACTIVATIONS),
                "dropout": tuple(f"{rate:g}" for rate in dropouts),
                "skip": check_known(self.name, "skips", skips, SKIPS),
                "pool": check_known(self.name, "pools", pools, STEP_POOLINGS),
            },
            depths=tuple(sorted(depths)),
            readouts=check_known(self.name, "readouts", readouts, READOUTS),
            widths=tuple(widths),
            stride=stride,
            token_scale=token_scale,
            shared=shared,
        )
        check_given(self.name, {"depths": depths, "widths": widths, "dropouts": dropouts})
        check_dropouts(self.name, dropouts)
        self._check_layout()
        if self.layout.readouts == ("each",):
            self.scored, self.supernet_class = "step", StepSupernet
        self.choices = restrict(self.choices, fixed or {}, self.name)

    def check_objective(self, objective: Objective) -> None:
        """Refuse an objective that wants other scores, or marks steps of which the networks join several."""
        super().check_objective(objective)
        if isinstance(objective, Span) and (self.layout.stride > 1 or self.layout.questions["pool"] != ("none",)):
            raise ValueError(
                f"Span marks steps of an input, and {self.name} makes one of several: set stride=1 and pools=['none']."
            )

    def _refusal(self) -> str:
        left = labels_of(self.choices)
        refusal = refuse_widths(self.name, left["width"])
        pools = self.layout.questions["pool"] != ("none",)
        if not refusal and self.scored == "step" and pools and len(left["depth"]) > 1:
            return (
                f"{self.name}: a supernet scores steps of one number, and depths {', '.join(left['depth'])} are "
                f"left, of which each layer halves it: give 'depths' one, or {ONE_BY_ONE}."
            )
        return refusal

    def body(self, shape: Shape, build: Builder) -> SequenceNetwork:
        """Stem, layers and readouts."""
        assert isinstance(shape, SeriesShape | TokenShape)
        return SequenceNetwork(build, self.layout, shape)

    def _check_layout(self) -> None:
        layout = self.layout
        for label in layout.questions["operation"]:
            part = {"gru": 2, "attention_2": 2, "attention_4": 4, "conv_2_to_5": 4, "inception": 4}.get(label, 1)
            for width in layout.widths:
                if width < 1 or width % part:
                    raise ValueError(
                        f"{self.name}: '{label}' has no {width} channels: give 'widths' multiples of {part}."
                    )
        if "each" in layout.readouts and len(layout.readouts) > 1:
            raise ValueError(
                f"{self.name}: 'readouts' has {', '.join(layout.readouts)}, which are features of an input and of each "
                "of its steps: give 'each' alone, or others without it."
            )
        pools = layout.questions["pool"]
        if "none" in pools and len(pools) > 1:
            raise ValueError(
                f"{self.name}: 'pools' has {', '.join(pools)}, which leave different numbers of steps: give 'none', or "
                "others without it."
            )


def refuse_widths(space: str, widths: Sequence[str]) -> str:
    """Why a supernet of the widths that are left cannot be computed: there are several; empty for one."""
    if len(widths) == 1:
        return ""
    return f"{space}: a supernet is of one width, and {', '.join(widths)} are left: give 'widths' one, or {ONE_BY_ONE}."
