"""The plain network that an architecture of the mobile space describes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.spaces.body_networks import BodyChild
from lit_metanas.spaces.layers import inheritable
from lit_metanas.spaces.mobile.mobile_layout import Bottleneck, MobileFrame
from lit_metanas.spaces.mobile.superblock import as_kernel, as_taps


class Convolution(nn.Sequential):
    """Convolution and batch-norm."""

    def __init__(self, channels: int, width: int, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__(OrderedDict(convolution=convolution, norm=nn.BatchNorm2d(width)))


class InvertedResidual(nn.Module):
    """One block: 1x1 expansion, depthwise convolution, 1x1 projection without an activation."""

    def __init__(self, block: Bottleneck) -> None:
        super().__init__()
        hidden = block.hidden
        self.expand = Convolution(block.channels, hidden) if block.expanded else None
        self.depthwise = Convolution(hidden, hidden, kernel=block.kernel, stride=block.stride, groups=hidden)
        self.project = Convolution(hidden, block.width)
        self.residual = block.residual

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, block.width, height / stride, width / stride)``."""
        hidden = inputs if self.expand is None else F.relu6(self.expand(inputs))
        outputs = self.project(F.relu6(self.depthwise(hidden)))
        assert isinstance(outputs, Tensor)
        return inputs + outputs if self.residual else outputs


class MobileNetwork(nn.Module):
    """Stem, blocks and last convolution.

    Args:
        frame: what stands around the blocks.
        stages: for each the blocks by their places, from 1: a place that is skipped is missing.
    """

    def __init__(self, frame: MobileFrame, stages: Sequence[Mapping[int, Bottleneck]]) -> None:
        super().__init__()
        self.stem = Convolution(frame.shape[0], frame.stem, kernel=3, stride=frame.stem_stride)
        self.stages = nn.ModuleList(
            nn.ModuleDict({str(place): InvertedResidual(block) for place, block in stage.items()}) for stage in stages
        )
        channels = list(stages[-1].values())[-1].width
        self.last = None if frame.last is None else Convolution(channels, frame.last)
        self.features = channels if frame.last is None else frame.last

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Shape ``(n, channels, height, width)`` to ``(n, features, …)``, the only one of the list."""
        outputs = F.relu6(self.stem(inputs))
        for stage in self.stages:
            assert isinstance(stage, nn.ModuleDict)
            for block in stage.values():
                outputs = block(outputs)
        return [outputs if self.last is None else F.relu6(self.last(outputs))]


class MobileChild(BodyChild):
    """The network, the global average and a linear classifier.

    Args:
        frame: what stands around the blocks.
        stages: for each the blocks by their places, from 1.
        way: number of classes.
    """

    def __init__(self, frame: MobileFrame, stages: Sequence[Mapping[int, Bottleneck]], way: int) -> None:
        body = MobileNetwork(frame, stages)
        flops = frame.cost([block for stage in stages for block in stage.values()], way).flops
        super().__init__(body, features=body.features, way=way, flops=flops)

    @torch.no_grad()
    def inherit(self, weights: Mapping[str, Tensor]) -> None:
        """Copy the leading channels and the centres of the kernels of a supernet of the space.

        Batch-norm statistics are copied where present, and the classifier where it fits.

        Raises:
            ValueError: a parameter that this network needs is not among ``weights``, or is too small.
        """
        own = inheritable(self)
        for name, value in self._leading(weights).items():
            own[name].copy_(as_kernel(value) if value.dim() == 2 else value)
        self._inherit_head(weights)

    def _tensors(self) -> dict[str, Tensor]:
        """Those of the body under the supernet's names, depthwise kernels as taps."""
        tensors = inheritable(self).items()
        return {n: as_taps(value) if n.endswith("depthwise.convolution.weight") else value for n, value in tensors}
