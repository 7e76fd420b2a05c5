"""The open questions of a network of inverted residuals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lit_metanas.spaces.architecture import Choice, active_at

BLOCK_SKIPS = ("none", "identity")
QUESTIONS = ("kernel", "expansion", "skip")


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

    Example:
        >>> import lit_metanas as lm
        >>> stage = lm.spaces.MobileStage(channels=16, stride=2, depths=(1, 2))
        >>> space = lm.spaces.MobileMacro(stages=[stage], stem=8, last=None)
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
            if label not in BLOCK_SKIPS:
                return f"unknown skip '{label}'; use {', '.join(BLOCK_SKIPS)}."
        return None


def round_channels(channels: float, divisor: int) -> int:
    """The nearest multiple of ``divisor`` that is at least 0.9 of ``channels``, as in MobileNetV2's networks."""
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest + divisor * (nearest < 0.9 * channels)


def stage_choices(number: int, stage: MobileStage) -> Iterator[Choice]:
    """All choices of a stage; the number counts from 1."""
    depth_name = f"stage{number}.depth"
    depths = tuple(map(str, sorted(stage.depths)))
    yield Choice(depth_name, depths, "depth")
    yield Choice(f"stage{number}.width", tuple(f"{multiplier:g}" for multiplier in stage.widths), "width")
    for place in range(1, max(stage.depths) + 1):
        names = block_names(number, place)
        active = active_at(place, depth_name, depths)
        if place > 1:
            yield Choice(names["skip"], tuple(stage.skips), "skip", active)
            if "identity" in stage.skips:
                active = (*active, (names["skip"], frozenset({"none"})))
        yield Choice(names["kernel"], tuple(map(str, stage.kernels)), "kernel", active)
        yield Choice(names["expansion"], tuple(map(str, stage.expansions)), "expansion", active)


def block_names(number: int, place: int) -> dict[str, str]:
    """The names of a block's choices by question."""
    return {question: f"stage{number}.block{place}.{question}" for question in QUESTIONS}


def computed_places(number: int, labels: Mapping[str, str]) -> list[int]:
    """The places of a stage's blocks that are computed."""
    return [
        place
        for place in range(1, int(labels[f"stage{number}.depth"]) + 1)
        if labels.get(block_names(number, place)["skip"]) != "identity"
    ]
