"""The supernet under every kind of mixture against a slow reference that computes all candidates."""

import pytest
import torch
import torch.nn.functional as F
from space_toys import check_statistics, convolution, images

ACTIVATIONS = {"ReLU": lambda x: x.clamp(min=0), "Sigmoid": lambda x: 1 / (1 + (-x).exp()), "Tanh": torch.tanh}
POOLS = {"max": F.max_pool2d, "avg": F.avg_pool2d}


class Reference:
    """Plain sums over all candidates of all choices at full width: gates count by their weights alone."""

    def __init__(self, space, parameters, gates, *, noise=None, statistics=None):
        self.space, self.parameters, self.noise, self.statistics = space, parameters, noise, statistics
        self.gates = {
            choice.name: list(zip(choice.labels, gates[choice.name].weights, strict=True)) for choice in space.choices
        }
        self.seen = {}

    def normalise(self, x, layer, prefix, mask):
        def part(label, kind):
            return self.parameters[f"{prefix}.{label}.{kind}"][None, :, None, None]

        def batch():
            mean, var = x.mean((0, 2, 3)), ((x - x.mean((0, 2, 3), keepdim=True)) ** 2).mean((0, 2, 3))
            key = f"{prefix}.batch"
            self.seen |= {f"{key}.mean": mean, f"{key}.var": var}
            if self.statistics is not None:
                mean, var = self.statistics[f"{key}.mean"], self.statistics[f"{key}.var"]
            normal = (x - mean[None, :, None, None]) / (var[None, :, None, None] + 1e-5).sqrt()
            return normal * part("batch", "scale") + part("batch", "shift")

        def each_example():
            pixels = x.shape[2] * x.shape[3]
            mean = torch.einsum("nchw,c->n", x, mask) / (mask.sum() * pixels)
            centred = x - mean[:, None, None, None]
            var = torch.einsum("nchw,c->n", centred**2, mask) / (mask.sum() * pixels)
            normal = centred / (var[:, None, None, None] + 1e-5).sqrt()
            return normal * part("layer", "weight") + part("layer", "bias")

        ways = {"batch": batch, "layer": each_example, "none": lambda: x + part("none", "shift")}
        return sum(weight * ways[label]() for label, weight in self.gates[f"{layer}.norm"])

    def block(self, x, place):
        key, layer = f"body.layers.{place}", f"layer{place}"
        kernels = self.gates[f"{layer}.kernel"]
        projection = self.parameters[f"{key}.skip.residual.weight"]
        mask = torch.tensor(
            [
                sum(float(w) for label, w in self.gates[f"{layer}.width"] if int(label) > c)
                for c in range(len(projection))
            ],
            dtype=torch.float64,
        )
        if self.space.layout.mix == "merged":
            parts = (w * convolution(x, self.parameters[f"{key}.conv.{label}.weight"]) for label, w in kernels)
            y = self.normalise(sum(parts), layer, f"{key}.conv.norm", mask)
        else:
            y = 0.0
            for label, w in kernels:
                part = convolution(x, self.parameters[f"{key}.conv.{label}.0.weight"])
                y = y + w * self.normalise(part, layer, f"{key}.conv.{label}.1", mask)
        projected = self.normalise(convolution(x, projection), layer, f"{key}.skip.norm", mask)
        y = y + dict(self.gates[f"{layer}.skip"])["residual"] * projected
        y = sum(w * ACTIVATIONS[label](y) for label, w in self.gates[f"{layer}.activation"])
        if min(y.shape[2:]) > 1:
            y = sum(w * POOLS[label](y, 2) for label, w in self.gates[f"{layer}.pool"])
        y = y * mask[None, :, None, None]
        if self.noise is not None:
            uniform = self.noise[f"{key}.dropout"].double()
            factor = sum(
                w * (uniform >= float(label)).double() / (1.0 - float(label))
                for label, w in self.gates[f"{layer}.dropout"]
            )
            y = y * factor[:, :, None, None]
        return y

    def features(self, x):
        depths = dict(self.gates["depth"])
        total = torch.zeros(len(x), max(self.space.layout.widths), dtype=torch.float64)
        for place in range(1, max(map(int, depths)) + 1):
            x = self.block(x, place)
            if str(place) in depths:
                total[:, : x.shape[1]] += depths[str(place)] * x.mean((2, 3))
        return total


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
@pytest.mark.parametrize("noisy", [False, True])
def test_supernet_is_the_sum_over_candidates(rich_space, double_supernet, random_gates, kind, noisy):
    shape = (3, 9, 6)
    net, parameters = double_supernet(rich_space, shape)
    inputs = images(5, shape)
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        gates = random_gates(rich_space, kind, generator)
        noise = net.draw_noise(5, generator) if noisy else None
        expected = Reference(rich_space, parameters, gates, noise=noise).features(inputs)
        torch.testing.assert_close(net(inputs, gates, noise), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_statistics_are_recorded_and_used(rich_space, double_supernet, random_gates, kind):
    shape = (2, 7, 8)
    net, parameters = double_supernet(rich_space, shape)
    gates = random_gates(rich_space, kind, torch.Generator().manual_seed(0))
    check_statistics(
        net, lambda seen: Reference(rich_space, parameters, gates, statistics=seen), gates, shape, all_computed=True
    )
