"""The plain network that an architecture of a cell space describes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.cell_cost import cell_costs
from lit_metanas.spaces.cell_layout import CellLayout
from lit_metanas.spaces.cell_network import CellNetwork
from lit_metanas.spaces.layers import ChildNorms
from lit_metanas.spaces.space import Shape


class CellChild(BodyChild):
    """Stem, cells, global average and a linear classifier; in training also an auxiliary classifier where wanted.

    Args:
        operations: of each edge that is kept, by the name of its choice.
        layout: how cells are stacked.
        shape: channels, height and width of an input.
        way: number of classes.
        norms: makes the batch-norm layers.
        auxiliary: whether there is an auxiliary classifier.

    Attributes:
        features: length of the feature vector.
        flops: forward multiply-adds for one input, without the auxiliary classifier.
    """

    def __init__(
        self,
        operations: Mapping[str, str],
        *,
        layout: CellLayout,
        shape: Shape,
        way: int,
        norms: ChildNorms,
        auxiliary: bool,
    ) -> None:
        labels = {name: (label,) for name, label in operations.items()}
        costs = cell_costs(layout, shape, tuple(sorted(set(operations.values()))))
        flops = costs.network(operations.items(), way).flops
        super().__init__(CellNetwork(layout, shape, labels, norms), features=costs.features, way=way, flops=flops)
        self.auxiliary: AuxiliaryHead | None = None
        if auxiliary:
            site = layout.sites(*shape[1:])[layout.second_reduction]
            self.auxiliary = AuxiliaryHead(layout.nodes * site.width, site.size, way)
        self.second_reduction = layout.second_reduction

    def all_scores(self, inputs: Tensor) -> list[Tensor]:
        """The classifier's scores, and the auxiliary one's where there is one."""
        outputs = self.body(inputs)
        scores = [self.head(outputs[-1].mean((2, 3)))]
        return scores if self.auxiliary is None else [*scores, self.auxiliary(outputs[self.second_reduction])]


class AuxiliaryHead(nn.Module):
    """A small classifier in mid-network, whose loss helps training (Liu et al. 2019; Szegedy et al. 2015).

    As in DARTS for images of 8x8 pixels; for others the windows of its pooling are 5/8 of the image.

    Args:
        channels: of the inputs.
        size: height and width of the inputs.
        way: number of classes.

    Raises:
        ValueError: the inputs have a single row or column.
    """

    def __init__(self, channels: int, size: tuple[int, int], way: int) -> None:
        super().__init__()
        if min(size) < 2:
            raise ValueError("The auxiliary classifier needs two pixels after two thirds of the cells: switch it off.")
        windows = [min(side - 1, -(-5 * side // 8)) for side in size]
        steps = [side - window for side, window in zip(size, windows, strict=True)]
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d((windows[0], windows[1]), (steps[0], steps[1]), count_include_pad=False),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(768, way)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores, shape ``(n, way)``."""
        scores = self.classifier(self.layers(inputs))
        assert isinstance(scores, Tensor)
        return scores
