"""The parts of a network of inverted residuals, in numbers, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lit_metanas.spaces.supernet import NetworkCost, Shape

SKIPS = ("none", "identity")


@dataclass(frozen=True)
class MobileStage:
    """Blocks of equally many channels, and what is open about them.

    Attributes:
        channels: of each block, times a candidate of ``widths``.
        stride: of the first block; the others have 1.
        depths: numbers of blocks.
        widths: multipliers of ``channels``.
        kernels: sizes of the depthwise convolution, odd.
        expansions: hidden channels for each channel of a block's input; 1 alone means no expanding convolution.
        skips: whether a block other than the first may be left out: ``none``, ``identity``.
    """

    channels: int
    stride: int = 1
    depths: Sequence[int] = (1, 2, 3)
    widths: Sequence[float] = (0.5, 1.0)
    kernels: Sequence[int] = (3, 5, 7)
    expansions: Sequence[int] = (3, 6)
    skips: Sequence[str] = ("none",)

    def mistake(self) -> str | None:
        """What cannot be built, in a sentence, or None."""
        positive = {"channels": (self.channels,), "stride": (self.stride,), "depths": self.depths}
        positive |= {"kernels": self.kernels, "expansions": self.expansions}
        for what, numbers in positive.items():
            if not numbers or min(numbers) < 1:
                given = ", ".join(map(str, numbers)) or "nothing"
                return f"{what} is {given}; give at least 1."
        if not self.widths or min(self.widths) <= 0:
            return f"widths are {', '.join(map(str, self.widths)) or 'nothing'}; give positive multipliers."
        for size in self.kernels:
            if size % 2 == 0:
                return f"kernel size {size} is not odd; use 3, 5, 7, …"
        if 1 in self.expansions and len(self.expansions) > 1:
            return "expansion 1 has no expanding convolution to share with others; give it alone."
        for label in self.skips:
            if label not in SKIPS:
                return f"unknown skip '{label}'; use {', '.join(SKIPS)}."
        return None


def rounded(channels: float, divisor: int) -> int:
    """The nearest multiple of ``divisor``, or the next one where that is less than 0.9 of ``channels``.

    This is the rounding of MobileNetV2's published networks.
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor


@dataclass(frozen=True)
class Bottleneck:
    """An inverted residual block (Sandler et al. 2018): expand, convolve each channel by itself, project.

    Attributes:
        channels: of the input.
        hidden: channels of the depthwise convolution.
        width: channels of the output.
        kernel: size of the depthwise convolution.
        stride: of the depthwise convolution.
        expanded: whether there is an expanding convolution.
        residual: whether the input is added to the output.
    """

    channels: int
    hidden: int
    width: int
    kernel: int
    stride: int
    expanded: bool
    residual: bool


@dataclass(frozen=True)
class MobileFrame:
    """What stands around the blocks.

    Attributes:
        shape: channels, height and width of an input.
        stem: channels of the 3x3 convolution before the blocks.
        stem_stride: of that convolution.
        last: channels of the 1x1 convolution after the blocks; None for none.
    """

    shape: Shape
    stem: int
    stem_stride: int
    last: int | None

    def cost(self, blocks: Iterable[Bottleneck], way: int) -> NetworkCost:
        """Of a network with these blocks; 0 classes leave the classifier out."""
        total = _Sum(*self.shape[1:])
        total.add(9 * self.shape[0], self.stem, self.stem_stride)
        channels = self.stem
        for block in blocks:
            if block.expanded:
                total.add(block.channels, block.hidden)
            total.add(block.kernel**2, block.hidden, block.stride)
            total.add(block.hidden, block.width)
            channels = block.width
        if self.last is not None:
            total.add(channels, self.last)
            channels = self.last
        return NetworkCost(total.parameters + (channels + 1) * way, total.flops + channels * way)


class _Sum:
    """Adds convolutions up, each followed by a batch-norm, from input to output."""

    def __init__(self, height: int, width: int) -> None:
        self.size = (height, width)
        self.parameters = 0
        self.flops = 0

    def add(self, taps: int, channels: int, stride: int = 1) -> None:
        """A convolution with so many weights for each output channel."""
        height, width = (-(-side // stride) for side in self.size)
        self.size = height, width
        self.parameters += (taps + 2) * channels
        self.flops += taps * channels * height * width
