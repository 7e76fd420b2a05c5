"""The weight-sharing network of the mobile space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.layers import Moments
from lit_metanas.spaces.mobile.mobile_layout import Bottleneck, MobileFrame
from lit_metanas.spaces.mobile.superblock import SuperBlock, SuperConvolution, Width
from lit_metanas.spaces.operations import total
from lit_metanas.spaces.supernet import Mixture, chosen, leading


class StageChoices(NamedTuple):
    """What is open in a stage.

    Attributes:
        depth: the number of blocks.
        width: the number of channels.
        blocks: for each place the choices by question: ``kernel``, ``expansion`` and ``skip``.
        stride: of the first block.
    """

    depth: Choice
    width: Width
    blocks: Sequence[Mapping[str, Choice]]
    stride: int


class SuperStage(nn.ModuleDict):
    """The blocks of a stage by their places, from 1; one that is always skipped is missing."""

    def __init__(self, choices: StageChoices, entering: Width) -> None:
        super().__init__()
        self.depths = [int(label) for label in choices.depth.labels]
        self.depth, self.skips = choices.depth.name, [block.get("skip") for block in choices.blocks]
        for place, questions in enumerate(choices.blocks[: max(self.depths)], start=1):
            if place == 1 or "none" in questions["skip"].labels:
                self[str(place)] = SuperBlock(
                    questions,
                    entering=choices.width if place > 1 else entering,
                    leaving=choices.width,
                    stride=1 if place > 1 else choices.stride,
                    residual=place > 1,
                )

    def forward(self, inputs: Tensor, mixture: Mixture, moments: Moments) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / stride, width / stride)``."""
        gate = mixture[self.depth]
        weights = leading((gate, self.depths))
        outputs = self["1"](inputs, mixture, moments)
        joined = outputs if weights is None else weights[0] * outputs
        for place in range(2, chosen(gate, self.depths) + 1):
            added = self._added(place, outputs, mixture, moments)
            if added is not None:
                outputs = outputs + added
                joined = outputs if weights is None else joined + weights[place - 1] * added
        assert isinstance(joined, Tensor)
        return joined

    def computed(self, mixture: Mixture) -> Iterator[Bottleneck]:
        """The blocks that are computed under ``mixture``."""
        for place in range(1, chosen(mixture[self.depth], self.depths) + 1):
            skip = self.skips[place - 1]
            index = None if skip is None else mixture[skip.name].index
            if str(place) in self and (skip is None or index is None or skip.labels[index] == "none"):
                block = self[str(place)]
                assert isinstance(block, SuperBlock)
                yield block.computed(mixture)

    def _added(self, place: int, inputs: Tensor, mixture: Mixture, moments: Moments) -> Tensor | None:
        """What a block adds to its input; None where it is skipped."""
        skip = self.skips[place - 1]
        assert skip is not None

        def compute(label: str) -> Tensor:
            del label
            outputs = self[str(place)](inputs, mixture, moments)
            assert isinstance(outputs, Tensor)
            return outputs

        # An identity adds nothing, and ``none`` is a block that is not skipped.
        labels = ["none" if label == "identity" else "block" for label in skip.labels]
        return total(mixture[skip.name], labels, compute)


class SuperMobileNetwork(nn.Module):
    """Stem, stages and last convolution of all candidates.

    Args:
        frame: what stands around the blocks.
        stages: what is open.
    """

    def __init__(self, frame: MobileFrame, stages: Sequence[StageChoices]) -> None:
        super().__init__()
        self.stem = SuperConvolution(frame.shape[0], frame.stem, 3, frame.stem_stride)
        self.stages = nn.ModuleList()
        width = Width((frame.stem,))
        for choices in stages:
            self.stages.append(SuperStage(choices, width))
            width = choices.width
        self.frame = frame
        self.last = None if frame.last is None else SuperConvolution(max(width.numbers), frame.last)
        self.features = frame.last or max(width.numbers)

    def forward(self, inputs: Tensor, mixture: Mixture, moments: Moments) -> list[Tensor]:
        """Shape ``(n, channels, height, width)`` to ``(n, features, …)``, the only one of the list."""
        outputs = F.relu6(self.stem(inputs, self.frame.stem, moments))
        for stage in self.stages:
            outputs = stage(outputs, mixture, moments)
        if self.last is not None:
            return [F.relu6(self.last(outputs, self.features, moments))]
        return [F.pad(outputs, (0, 0, 0, 0, 0, self.features - outputs.shape[1]))]


class MobileSupernet(BodySupernet):
    """All candidates; a narrow or little expanded block is the leading channels of the largest.

    Args:
        frame: what stands around the blocks.
        stages: what is open.
    """

    def __init__(self, frame: MobileFrame, stages: Sequence[StageChoices]) -> None:
        body = SuperMobileNetwork(frame, stages)
        super().__init__(body, body.features)
        self.frame = frame

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        stages = [stage for stage in self.modules() if isinstance(stage, SuperStage)]
        return self.frame.cost((block for stage in stages for block in stage.computed(mixture)), 0).flops
