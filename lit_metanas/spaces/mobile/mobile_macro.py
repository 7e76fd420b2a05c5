"""A macro space of inverted residual blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from lit_metanas.inputs.shapes import Shape
from lit_metanas.spaces.architecture import Architecture, Choice, check_positive, restrict
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mobile.mobile_layout import (
    MobileStage,
    block_names,
    computed_places,
    round_channels,
    stage_choices,
)
from lit_metanas.spaces.mobile.mobile_network import MobileChild, MobileNetwork
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.spaces.supernet import Supernet

DEFAULT_STAGES = (MobileStage(24, stride=2), MobileStage(40, stride=2), MobileStage(64, stride=2))


class MobileMacro(SearchSpace):
    """Stages of inverted residual blocks (MobileNetV2, Sandler et al. 2018) after a 3x3 convolution.

    Open are depth and width of a stage, and kernel and expansion of a block, as in once-for-all (Cai et al. 2020);
    and whether a block other than a stage's first is skipped, as in ProxylessNAS (Cai et al. 2019). A block is added
    to its input unless it is a stage's first. All candidates share the weights of the largest: the leading channels,
    and the centre of a kernel, without once-for-all's transformation of it. The defaults are for images of 28x28 and
    32x32 pixels.

    Args:
        stages: from input to output; None takes three of 24, 40 and 64 channels, each of stride 2.
        stem: channels of the first convolution.
        stem_stride: of the first convolution.
        last: channels of the 1x1 convolution before the global average; None for none.
        divisor: the numbers of channels are rounded to multiples of it.
        merge_isomorphs: whether a stage that computes the same blocks at other places is the same architecture: that
            of the least depth and the earliest places. A supernet needs ``false``: it has other weights for each
            place. Blocks skipped at a stage's end are always left out.
        fixed: labels that single choices are restricted to, for instance ``{stage1.depth: ["2"]}``.

    Raises:
        ValueError: something cannot be built, two widths of a stage are the same, or a choice or label is unknown.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.spaces.MobileMacro(
        ...     stages=[lm.spaces.MobileStage(16, stride=2), lm.spaces.MobileStage(32, stride=2)], stem=8
        ... )
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    child_class = MobileChild

    def __init__(
        self,
        *,
        stages: Sequence[MobileStage] | None = None,
        stem: int = 16,
        stem_stride: int = 1,
        last: int | None = 128,
        divisor: int = 8,
        merge_isomorphs: bool = False,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.stages = tuple(DEFAULT_STAGES if stages is None else stages)
        numbers = {"stem": stem, "stem_stride": stem_stride, "divisor": divisor, "number of stages": len(self.stages)}
        if last is not None:
            numbers["last"] = last
        check_positive(self.name, numbers)
        self.stem, self.stem_stride, self.last = stem, stem_stride, last
        self.divisor = divisor
        self.merge_isomorphs = merge_isomorphs
        choices: list[Choice] = []
        for number, stage in enumerate(self.stages, start=1):
            self._check(number, stage)
            choices += stage_choices(number, stage)
        self.choices = restrict(choices, fixed or {}, self.name)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """Drop inactive choices and blocks that are skipped at a stage's end; merge isomorphs if these are merged."""
        kept: dict[str, str] = dict(super().canonical(labels))
        for number in range(1, len(self.stages) + 1):
            own = {name: kept.pop(name) for name in list(kept) if name.startswith(f"stage{number}.")}
            kept |= next(other for other in self._equal(number, own) if self._are_known(other))
        return Architecture(kept)

    def supernet(self, shape: Shape) -> Supernet:
        """Build the network that holds all candidates."""
        if self.merge_isomorphs and any("identity" in c.labels and len(c.labels) > 1 for c in self.choices):
            raise ValueError(
                "MobileMacro: a supernet has other weights for each place of a block; set merge_isomorphs to false."
            )
        return super().supernet(shape)

    def body(self, shape: Shape, build: Builder) -> MobileNetwork:
        """Stem, stages and last convolution."""
        return MobileNetwork(
            build, self.stages, list(map(self._widths, self.stages)),
            channels=shape[0], stem=self.stem, stem_stride=self.stem_stride, last=self.last,
        )  # fmt: skip

    def _check(self, number: int, stage: MobileStage) -> None:
        if mistake := stage.mistake():
            raise ValueError(f"MobileMacro: stage {number}: {mistake}")
        widths = self._widths(stage).values()
        if len(set(widths)) < len(stage.widths):
            raise ValueError(
                f"MobileMacro: stage {number}: two widths are the same number of channels "
                f"({', '.join(map(str, widths))}); use others or a smaller divisor."
            )

    def _widths(self, stage: MobileStage) -> dict[str, int]:
        return {f"{factor:g}": round_channels(stage.channels * factor, self.divisor) for factor in stage.widths}

    def _equal(self, number: int, own: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Labels of a stage that computes the same blocks, shallow ones first; they may be unknown."""
        before = computed_places(number, own)
        for depth in range(len(before), int(own[f"stage{number}.depth"]) + 1):
            for places in combinations(range(2, depth + 1), len(before) - 1):
                if not self.merge_isomorphs and list(places) != before[1:]:
                    continue
                labels = {f"stage{number}.depth": str(depth), f"stage{number}.width": own[f"stage{number}.width"]}
                labels |= {block_names(number, place)["skip"]: "identity" for place in range(2, depth + 1)}
                for old, new in zip(before, (1, *places), strict=True):
                    names = block_names(number, new)
                    labels |= {names[key]: own[name] for key, name in block_names(number, old).items() if name in own}
                yield labels

    def _are_known(self, labels: Mapping[str, str]) -> bool:
        return all(labels[choice.name] in choice.labels for choice in self.choices if choice.name in labels)
