"""The grid space: its choices, its networks against hand-written ones, and what they inherit."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.estimators import overlay
from lit_metanas.kinds.images.image_kind import CONV_NET, FIRST_NETWORKS, RES_NET
from lit_metanas.searchers.mutation import complete, mutate
from lit_metanas.spaces.grid.normed_convolution import scaled_kernel
from lit_metanas.testing import check_space

SPACE = lm.GridSpace(activations=("ReLU", "GELU", "SiLU", "ReLU6"))
SHAPE, WAY = (3, 32, 32), 7
SMALL: Mapping[str, Sequence[Any]] = {
    "stages": (2,), "depths": (1,), "widths": (8, 16), "growths": ("1", "2"), "activations": ("ReLU",),
    "stems": ("conv",), "downs": ("max",), "norms": ("batch",), "readouts": ("average",), "dropouts": (0.0,),
    "branch_dropouts": (0.0,),
}  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"stages": (2, 3), "depths": (1, 2), "blocks": ("conv", "residual"), "downs": ("max", "stride"),
         "activations": ("ReLU", "GELU")},
        {"stems": ("patch_2", "conv_2"), "norms": ("batch", "group", "none"), "blocks": ("residual", "convnext")},
        {"readouts": ("flat", "average", "gem"), "dropouts": (0.0, 0.2), "branch_dropouts": (0.0, 0.1),
         "blocks": ("convnext", "inverted")},
    ],
    ids=["sizes", "norms", "readouts"],
)  # fmt: skip
def test_it_passes_the_test_kit(more: Mapping[str, Sequence[Any]]) -> None:
    check_space(lm.GridSpace(**{**SMALL, **more}), (1, 12, 12))


def normed(channels: int, width: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, width, size, stride, size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(width)]


def conv_net(widths: Sequence[int], pool: nn.Module, head: Sequence[nn.Module], *, convs: int = 1) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        for _ in range(convs):
            layers += [*normed(channels, width, 3), nn.ReLU()]
            channels = width
        layers.append(pool)
    return nn.Sequential(*layers, *head)


class Basic(nn.Module):
    """ResNet's basic block, as torchvision writes it."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = normed(channels, width, 3, stride)
        self.conv2, self.bn2 = normed(width, width, 3)
        same = stride == 1 and channels == width
        self.downsample = nn.Identity() if same else nn.Sequential(*normed(channels, width, 1, stride))

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(inputs)))))
        return F.relu(found + self.downsample(inputs))


class Inverted(nn.Module):
    """MobileNetV2's block, as torchvision writes it."""

    def __init__(self, channels: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        self.same = stride == 1 and channels == width
        self.conv = nn.Sequential(
            *normed(channels, hidden, 1), nn.ReLU6(), *normed(hidden, hidden, 3, stride, hidden), nn.ReLU6(),
            *normed(hidden, width, 1),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.conv(inputs) if self.same else self.conv(inputs)


class Means(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.mean((2, 3))


def res_net_10() -> nn.Module:
    blocks = [Basic(max(16, width // 2), width, 1 + (width > 16)) for width in (16, 32, 64, 128)]
    return nn.Sequential(*normed(3, 16, 3), nn.ReLU(), *blocks, Means(), nn.Linear(128, WAY))


def mobile_net() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in ((16, 16), (16, 32), (32, 64)):
        blocks += [Inverted(before, width, 1 + (width > before), 4), Inverted(width, width, 1, 4)]
    return nn.Sequential(*normed(3, 16, 3, 2), nn.ReLU6(), *blocks, Means(), nn.Linear(64, WAY))


MAX, AVG = nn.MaxPool2d(2), nn.AvgPool2d(2)
POINTS: Mapping[str, tuple[nn.Module, Mapping[str, str]]] = {
    "Conv-4": (
        conv_net([64] * 4, MAX, [nn.Flatten(), nn.Linear(256, WAY)]), {**CONV_NET, "width": "64", "growth": "1"}
    ),
    "the pyramid": (
        conv_net([16, 32, 64, 64], AVG, [Means(), nn.Linear(64, WAY)]),
        {**CONV_NET, "width": "16", "down": "avg", "readout": "average"},
    ),
    "32-64-128-128": (conv_net([32, 64, 128, 128], MAX, [nn.Flatten(), nn.Linear(512, WAY)]), CONV_NET),
    "VGG-8": (
        conv_net([32, 64, 128, 128], MAX, [nn.Flatten(), nn.Linear(512, WAY)], convs=2), {**CONV_NET, "depth": "2"}
    ),
    "ResNet-10": (res_net_10(), RES_NET),
    "MobileNetV2": (
        mobile_net(),
        {**RES_NET, "stem": "conv_2", "stages": "3", "depth": "2", "block": "inverted", "expansion": "4",
         "squeeze": "none", "activation": "ReLU6"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTS)
def test_known_networks_are_points_of_the_space(name: str) -> None:
    plain, labels = POINTS[name]
    architecture = complete(SPACE, labels)
    child = SPACE.child(architecture, SHAPE, WAY)
    with torch.no_grad():
        for own, given in zip(child.state_dict().values(), plain.state_dict().values(), strict=True):
            assert own.shape == given.shape
            given.copy_(torch.rand(own.shape) - 0.3 * own.is_floating_point() if own.dim() else given)
            given.abs_() if given.dim() == 1 else None
            own.copy_(given)
    parameters = sum(each.numel() for each in plain.parameters())
    assert SPACE.cost(architecture, SHAPE, WAY).parameters == parameters
    images = torch.rand(5, *SHAPE)
    for mode in (True, False):
        torch.testing.assert_close(child.train(mode)(images), plain.train(mode)(images), rtol=1e-5, atol=1e-5)
