"""Supernets and children of the cell spaces against plain sums over candidates, each other, and hooks' counts."""

import pytest
import torch
from space_toys import PlainNetwork, check_statistics, convolution, images

from lit_metanas.spaces import DARTSCell, MetaNASCell

SPACES = {"darts": DARTSCell, "metanas": MetaNASCell}


@pytest.fixture(params=SPACES)
def tiny(request):
    return lambda **options: SPACES[request.param](**{"channels": 2, "cells": 3, **options})


class Reference(PlainNetwork):
    """Plain sums over all candidates: gates count by their weights alone."""

    def kernel(self, key):
        return self.parameters[f"{key}.weight"]

    def halved(self, x, key):
        x = x.clamp(min=0)
        odd = torch.zeros_like(x)
        odd[:, :, :-1, :-1] = x[:, :, 1:, 1:]
        parts = [convolution(x, self.kernel(f"{key}.1.first"), 2), convolution(odd, self.kernel(f"{key}.1.second"), 2)]
        return self.normalise(torch.cat(parts, 1), f"{key}.2")

    def candidate(self, label, x, key, stride):
        if label == "skip_connect":
            return x if stride == 1 else self.halved(x, key)
        if label.endswith("pool_3x3"):
            blank = torch.full_like(x, -torch.inf if label.startswith("max") else torch.nan)
            height, width = x.shape[2:]
            shifted = []
            for y in (-1, 0, 1):
                for z in (-1, 0, 1):
                    moved = blank.clone()
                    moved[:, :, max(0, -y) : height - max(0, y), max(0, -z) : width - max(0, z)] = x[
                        :, :, max(0, y) : height - max(0, -y), max(0, z) : width - max(0, -z)
                    ]
                    shifted.append(moved[:, :, ::stride, ::stride])
            stacked = torch.stack(shifted)
            pooled = stacked.amax(0) if label.startswith("max") else stacked.nanmean(0)
            return self.normalise(pooled, f"{key}.1") if self.space.layout.normalised_pools else pooled
        if label.startswith("sep"):
            for first in (0, 4):
                x = convolution(x.clamp(min=0), self.kernel(f"{key}.{first + 1}"), stride if first == 0 else 1)
                x = self.normalise(convolution(x, self.kernel(f"{key}.{first + 2}")), f"{key}.{first + 3}")
            return x
        x = convolution(x.clamp(min=0), self.kernel(f"{key}.1"), stride, dilation=2 if label.startswith("dil") else 1)
        return self.normalise(convolution(x, self.kernel(f"{key}.2")), f"{key}.3")

    def edge(self, kind, source, node, x, key):
        stride = 2 if kind == "reduce" and source < 2 else 1
        total = torch.zeros_like(x[:, :, ::stride, ::stride])
        for label, weight in self.gates[f"{kind}.edge{source}-{node}"].items():
            if label != "none":
                total = total + weight * self.candidate(label, x, f"{key}.edges.{source}-{node}.{label}", stride)
        return total

    def cell(self, before, last, kind, shrunk, key):
        states = [
            self.halved(before, f"{key}.before")
            if shrunk
            else self.normalise(convolution(before.clamp(min=0), self.kernel(f"{key}.before.1")), f"{key}.before.2"),
            self.normalise(convolution(last.clamp(min=0), self.kernel(f"{key}.last.1")), f"{key}.last.2"),
        ]
        for node in range(2, 6 if isinstance(self.space, DARTSCell) else 5):
            edges = [self.edge(kind, source, node, states[source], key) for source in range(node)]
            if isinstance(self.space, DARTSCell):
                states.append(sum(edges))
                continue
            total = 0.0
            for pair, weight in self.gates[f"{kind}.inputs{node}"].items():
                first, second = pair.split("+")
                total = total + weight * (edges[int(first)] + edges[int(second)])
            states.append(total)
        return torch.cat(states[2:], 1)

    def features(self, x):
        x = self.normalise(convolution(x, self.kernel("body.stem.0")), "body.stem.1")
        before, last = x, x
        cells = self.space.layout.cells
        for place in range(cells):
            reduces = [n in (cells // 3, 2 * cells // 3) for n in (place, place - 1)]
            kind = "reduce" if reduces[0] else "normal"
            before, last = last, self.cell(before, last, kind, place > 0 and reduces[1], f"body.cells.{place}")
        return last.mean((2, 3))


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
@pytest.mark.parametrize("options", [{}, {"cells": 4, "channels": 3, "normalised_pools": False}])
def test_supernet_is_the_sum_over_candidates(tiny, double_supernet, random_gates, kind, options):
    space, shape = tiny(**options), (3, 9, 6)
    net, parameters = double_supernet(space, shape)
    inputs = images(4, shape)
    gates = random_gates(space, kind, torch.Generator().manual_seed(1))
    expected = Reference(space, parameters, gates).features(inputs)
    assert expected.shape == (4, net.features)
    torch.testing.assert_close(net(inputs, gates), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("kind", ["soft", "index"])
def test_statistics_are_recorded_and_used(tiny, double_supernet, random_gates, kind):
    space, shape = tiny(), (2, 7, 8)
    net, parameters = double_supernet(space, shape)
    gates = random_gates(space, kind, torch.Generator().manual_seed(2))
    check_statistics(
        net, lambda seen: Reference(space, parameters, gates, seen), gates, shape, all_computed=kind == "soft"
    )
    assert net.draw_noise(3, torch.Generator()) == {}
