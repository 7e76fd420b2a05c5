"""A body with every kind of choice, and the same network in plain formulas."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from lit_metanas.spaces import SearchSpace

RATES = (0.5, 0.0, 0.2)
WIDTHS = (4, 6, 2)
DEPTHS = (3, 1, 2)


class Everything(SearchSpace):
    """Labels and numbers are in no order; the second block may be a pooling, whose kind is a choice in a choice."""

    def __init__(self, *, merge: bool = True) -> None:
        self.merge = merge

    def body(self, shape, build):
        width = build.number("width", WIDTHS)
        blocks = [partial(self.block, build, place, shape[0] if place == 1 else width, width) for place in (1, 2, 3)]
        return nn.Sequential(build.depth("depth", blocks, DEPTHS, averaged=True))

    def block(self, build, place, channels, width):
        name = f"block{place}"
        sizes = {str(size): partial(build.conv, channels, width, size, bias=True) for size in (5, 1, 3)}
        if not self.merge:  # only convolutions that stand alone are mixed as one
            sizes = {size: partial(self.apart, make) for size, make in sizes.items()}
        kernel = build.choice(f"{name}.kernel", sizes, norm=width)
        reduce = {"none": None, "pool": partial(self.pool, build, name, width)}
        skip = build.sum(nn.Identity(), build.choice(f"{name}.skip", reduce))
        activation = build.choice(f"{name}.activation", {"tanh": nn.Tanh, "relu": nn.ReLU})
        return nn.Sequential(kernel, skip, activation, build.dropout(f"{name}.dropout", RATES, width))

    def apart(self, make):
        return nn.Sequential(make())

    def pool(self, build, name, width):
        kinds = {"max": partial(nn.MaxPool2d, 3, 1, 1), "avg": partial(nn.AvgPool2d, 3, 1, 1)}
        return nn.Sequential(build.choice(f"{name}.pool", kinds), build.norm(width))


def normalise(x, scale, shift):
    centred = x - x.mean((0, 2, 3), keepdim=True)
    x = centred / ((centred**2).mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
    return x * scale[: x.shape[1], None, None] + shift[: x.shape[1], None, None]


def everything(space, weights, gates, x, noise=None):
    """Features of ``Everything``, all candidates computed, from parameters by name and gates by choice and label."""
    gate = {c.name: dict(zip(c.labels, gates[c.name].weights, strict=True)) for c in space.choices}
    mask = sum(gate["width"][str(w)] * (torch.arange(max(WIDTHS)) < w).to(x.dtype) for w in WIDTHS)[:, None, None]
    features = []
    for place in range(3):
        start, own = (
            f"body.0.{place}",
            {c.split(".")[1]: g for c, g in gate.items() if c.startswith(f"block{place + 1}.")},
        )
        outputs = {}
        for size in (5, 1, 3):
            layer = f"{start}.0.{size}" if space.merge else f"{start}.0.{size}.0"
            outputs[size] = F.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"], padding=size // 2)
        norm = partial(normalise, scale=weights[f"{start}.0.norm.scale"], shift=weights[f"{start}.0.norm.shift"])
        if space.merge:
            x = norm(sum(own["kernel"][str(size)] * output for size, output in outputs.items()))
        else:
            x = sum(own["kernel"][str(size)] * norm(output) for size, output in outputs.items())
        x = x * mask
        pooled = own["pool"]["max"] * F.max_pool2d(x, 3, 1, 1) + own["pool"]["avg"] * F.avg_pool2d(x, 3, 1, 1)
        layer = f"{start}.1.1.pool.1"
        added = mask * normalise(pooled, weights[f"{layer}.scale"], weights[f"{layer}.shift"])
        x = x + own["skip"]["pool"] * added
        x = own["activation"]["tanh"] * x.tanh() + own["activation"]["relu"] * x.relu()
        if noise is not None:
            uniform = noise[f"{start}.3"]
            factor = sum(own["dropout"][f"{rate:g}"] * (uniform >= rate).to(x.dtype) / (1 - rate) for rate in RATES)
            x = x * factor[:, :, None, None]
        features.append(x.mean((2, 3)))
    return sum(gate["depth"][str(depth)] * features[depth - 1] for depth in DEPTHS)
