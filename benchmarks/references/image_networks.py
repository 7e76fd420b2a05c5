"""Networks of images of 32 times 32 pixels: ``python -m references.image_networks TRAIN TEST``, class folders each."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from references.clock_training import accuracy, main, numbered, train_by_clock
from torch import nn
from torch.nn.functional import affine_grid, grid_sample, relu


def read(folder):
    """The images of class folders, ``(n, 3, 32, 32)`` in [0, 1], and their labels."""
    files = sorted(Path(folder).glob("*/*"))
    images = [np.asarray(Image.open(file).convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)) for file in files]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255, [file.parent.name for file in files]


def normed(before, after, kernel=3, stride=1):
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(after))


class Block(nn.Module):
    """A residual block (He et al. 2016)."""

    def __init__(self, before, after):
        super().__init__()
        stride = 1 + (before != after)
        self.body = nn.Sequential(normed(before, after, 3, stride), nn.ReLU(), normed(after, after))
        self.skip = normed(before, after, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x):
        return relu(self.body(x) + self.skip(x))


def convolutions(widths, pool, *last):
    """Four convolutions, with a pooling after each (Vinyals et al. 2016)."""
    layers = [nn.Sequential(normed(*pair), nn.ReLU(), pool(2)) for pair in zip((3, *widths), widths, strict=False)]
    return nn.Sequential(*layers, *last, nn.Flatten())


def resnet10(channels=3, width=16):
    """Four residual blocks."""
    blocks = [Block(width * max(1, place // 2), width * place) for place in (1, 2, 4, 8)]
    return nn.Sequential(normed(channels, width), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


MODELS = {
    "32-64-128-128": lambda: convolutions((32, 64, 128, 128), nn.MaxPool2d),
    "16-32-64-64": lambda: convolutions((16, 32, 64, 64), nn.AvgPool2d, nn.AdaptiveAvgPool2d(1)),
    "ResNet-10": resnet10,
}


def changed(x, flip):
    """At most turned by 10 degrees, zoomed, moved, and made brighter or darker by 20 %; flipped or not."""
    turn, zoom, across, down, bright, side = torch.rand(6, len(x)).mul(2).sub(1).unbind()
    cos, sin = ((1 + 0.2 * zoom) * wave(torch.deg2rad(10 * turn)) for wave in (torch.cos, torch.sin))
    side = side.sign() ** flip
    rows = torch.stack([cos * side, -sin, 0.2 * across]), torch.stack([sin * side, cos, 0.2 * down])
    grid = affine_grid(torch.stack(rows).permute(2, 0, 1), list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode="border", align_corners=False) * (1 + 0.2 * bright)[:, None, None, None]


def run(train, test, seconds, seed, model="32-64-128-128"):
    """The accuracy after so many seconds of training; photographs, which have colours, are flipped."""
    torch.manual_seed(seed)
    y, y_test = numbered(train[1], train[1], test[1])
    flip = not torch.equal(train[0][:, 0], train[0][:, 1])
    x, x_test = (part[0].to(memory_format=torch.channels_last) for part in (train, test))
    network = nn.Sequential(MODELS[model](), nn.LazyLinear(int(y.max()) + 1))
    network(x[:2])
    return accuracy(train_by_clock(network, x, y, seconds, lambda own: changed(own, flip)), x_test, y_test)


if __name__ == "__main__":
    main(read, run, MODELS)
