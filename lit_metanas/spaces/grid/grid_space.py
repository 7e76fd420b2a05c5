"""The macro search space for images and other grids: stem, stages of blocks, readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from lit_metanas.inputs.shapes import ImageShape, SeriesShape, Shape, as_shape
from lit_metanas.spaces.architecture import (
    Architecture,
    check_dropouts,
    check_given,
    check_known,
    check_positive,
    labels_of,
    restrict,
)
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.grid.grid_blocks import BLOCKS, CHANNEL_GROUP, GRID_NORMS, SQUEEZES, GridLayout
from lit_metanas.spaces.grid.staged_network import (
    DOWNS,
    GRID_READOUTS,
    GROWTHS,
    STEMS,
    StagedChild,
    StagedNetwork,
    stage_width,
)
from lit_metanas.spaces.operations import ACTIVATIONS
from lit_metanas.spaces.space import ONE_BY_ONE, SearchSpace


class GridSpace(SearchSpace):
    """Networks in stages for images, and for spectrograms as images: what a good engineer would try.

    A stem of one convolution is followed by stages of equal blocks, each stage at half the resolution of the one
    before, and by a readout. VGG and Conv-4 (Vinyals et al. 2016), ResNet (He et al. 2016), MobileNetV2 (Sandler et
    al. 2018) and ConvNeXt (Liu et al. 2022) are points of the space, in small. Labels that do not matter are dropped:
    those of other blocks, and of stages that are not there. Where two growths give the same widths, the architecture
    has the first one.

    With pooling each stage ends in it, as in VGG, so that there are as many as stages. With strides each stage but the
    first begins with one, as in ResNet. Narrow networks have the leading channels of wide ones.

    Searches that share weights need another space: networks of such different structure share no computation.

    Series, such as spectra, are images with a row for each step and a column for each feature. Where they are long,
    several neighbouring steps are one row, as channels.

    Args:
        stems: the first convolution: ``conv`` of 3x3 pixels, ``conv_2`` with stride 2, or ``patch_2`` and ``patch_4``
            for patches of that many pixels. For ``conv`` blocks it is the first block.
        stages: numbers of stages.
        blocks: ``conv`` is a 3x3 convolution with norm and activation; ``residual`` has two of them and a shortcut;
            ``inverted`` expands, convolves each channel and projects; ``convnext`` convolves each channel by 7x7 pixels
            and has a two-layer network of each pixel.
        depths: numbers of blocks of a stage, one choice for each.
        widths: channels of the first stage, multiples of 8.
        growths: how widths grow from stage to stage: ``1`` stays, ``1.5``, ``2``, and ``2_to_4`` doubles up to four
            times the first. They are rounded to multiples of 8.
        downs: how the resolution is halved: ``max`` and ``avg`` pool, ``stride`` is one of convolutions.
        activations: names of activations, such as ``ReLU``, ``GELU``, ``SiLU``.
        norms: ``batch``, ``group`` of 8 channels, or ``none`` with weights that are standardised and scaled (Brock et
            al. 2021).
        expansions: hidden channels of ``inverted`` blocks, for each channel.
        squeezes: whether ``inverted`` blocks weigh channels by their means: ``none``, ``se``.
        dropouts: probabilities that a feature is dropped.
        branch_dropouts: probabilities that an example loses a residual branch (Huang et al. 2016).
        readouts: ``average`` over the last map; all of it (``flat``), after it was averaged to 4x4 where it is larger;
            or generalised means with a learned power (``gem``, Radenovic et al. 2019).
        most_width: the most channels of a stage.
        fixed: labels that single choices are restricted to, for instance ``{stage1.depth: ["1"]}``.

    Raises:
        ValueError: a label is unknown or cannot be built.

    Example:
        >>> space = lm.GridSpace(blocks=["residual"], widths=[16, 32], norms=["batch"])
        >>> network = space.child(space.sample(torch.Generator()), (3, 32, 32), way=10)
        >>> network(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    shapes = (ImageShape, SeriesShape)
    child_class = StagedChild

    def __init__(
        self,
        *,
        stems: Sequence[str] = tuple(STEMS),
        stages: Sequence[int] = (2, 3, 4, 5),
        blocks: Sequence[str] = tuple(BLOCKS),
        depths: Sequence[int] = (1, 2, 3),
        widths: Sequence[int] = (8, 16, 24, 32, 48, 64),
        growths: Sequence[str] = tuple(GROWTHS),
        downs: Sequence[str] = DOWNS,
        activations: Sequence[str] = ("ReLU", "GELU", "SiLU"),
        norms: Sequence[str] = GRID_NORMS,
        expansions: Sequence[int] = (2, 4),
        squeezes: Sequence[str] = SQUEEZES,
        dropouts: Sequence[float] = (0.0, 0.2),
        branch_dropouts: Sequence[float] = (0.0, 0.1),
        readouts: Sequence[str] = GRID_READOUTS,
        most_width: int = 256,
        fixed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        numbers = {"stages": stages, "depths": depths, "widths": widths, "expansions": expansions}
        check_given(self.name, {**numbers, "dropouts": dropouts, "branch_dropouts": branch_dropouts})
        check_positive(self.name, {f"the least of '{name}'": min(given) for name, given in numbers.items()})
        for width in (*widths, most_width):
            if width % CHANNEL_GROUP:
                raise ValueError(f"{self.name}: width {width} is no multiple of {CHANNEL_GROUP}: give one, such as 32.")
        check_dropouts(self.name, (*dropouts, *branch_dropouts))
        self.layout = GridLayout(
            stems=check_known(self.name, "stems", stems, STEMS),
            stages=tuple(sorted(stages)),
            blocks=check_known(self.name, "blocks", blocks, BLOCKS),
            depths=tuple(sorted(depths)),
            widths=tuple(widths),
            growths=check_known(self.name, "growths", growths, GROWTHS),
            downs=check_known(self.name, "downs", downs, DOWNS),
            activations=check_known(self.name, "activations", activations, ACTIVATIONS),
            norms=check_known(self.name, "norms", norms, GRID_NORMS),
            expansions=tuple(expansions),
            squeezes=check_known(self.name, "squeezes", squeezes, SQUEEZES),
            dropouts=tuple(dropouts),
            branch_dropouts=tuple(branch_dropouts),
            readouts=check_known(self.name, "readouts", readouts, GRID_READOUTS),
            most_width=most_width,
        )
        if fixed:
            self.choices = restrict(self.choices, fixed, self.name)

    def canonical(self, labels: Mapping[str, str]) -> Architecture:
        """Drop inactive choices, and take the first of the growths that give the same widths."""
        kept = dict(super().canonical(labels))
        known = labels_of(self.choices)["growth"]
        kept["growth"] = next(one for one in known if self._widths(kept, one) == self._widths(kept, kept["growth"]))
        return Architecture(kept)

    def body(self, shape: Shape, build: Builder) -> StagedNetwork:
        """Stem, stages and readout."""
        found = as_shape(shape)
        assert isinstance(found, ImageShape | SeriesShape)
        return StagedNetwork(build, self.layout, found)

    def supernet(self, shape: Shape) -> BodySupernet:
        """What holds the weights of all candidates, of the whole space some 25 million, and refuses to compute."""
        self.check_shape(shape)
        body = self.body(shape, Builder(labels_of(self.choices)))
        refusal = f"{self.name}: a supernet only holds weights: take LayeredSpace, or {ONE_BY_ONE}."
        return BodySupernet(body, shape, self.choices, features=body.features, refusal=refusal)

    def first_weights(self, shape: Shape) -> dict[str, Tensor]:
        """None: each child draws weights as large as its own layers need them."""
        return {}

    def _widths(self, labels: Mapping[str, str], growth: str) -> list[int]:
        """Channels of each stage under a growth."""
        most, stages = self.layout.most_width, int(labels["stages"])
        return [stage_width(labels["width"], growth, place=place, most=most) for place in range(1, stages + 1)]
