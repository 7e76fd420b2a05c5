"""NAS-Bench-101's child and supernet against plain sums over candidates, each other, and the benchmark's counts."""

from itertools import product

import pytest
import torch
from nas_bench_101_examples import C1, C3, FIRST, INCEPTION, POOL
from space_toys import PlainNetwork, check_channels_last, check_export, check_statistics, convolution, decided, images

from lit_metanas.spaces import Gate, NASBench101, one_hot


def tiny(**options):
    return NASBench101(**{"channels": 7, "stacks": 2, "cells": 1, "merge_isomorphs": False, **options})


def maxima(inputs, step):
    """Of 3x3 pixels around each, or of blocks of 2x2."""
    height, width = inputs.shape[2:]
    low, high = (1, 2) if step == 1 else (0, 2)
    rows = [
        torch.stack(
            [
                inputs[:, :, max(0, y - low) : y + high, max(0, x - low) : x + high].amax((2, 3))
                for x in range(0, width, step)
            ],
            -1,
        )
        for y in range(0, height, step)
    ]
    return torch.stack(rows, -2)


class Reference(PlainNetwork):
    """All candidates at each vertex, and the mean over all sets of vertices that the output may concatenate."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.last = self.space.vertices - 1
        self.gates = {name: {k: float(w) for k, w in weights.items()} for name, weights in self.gates.items()}

    def convolve(self, x, key):
        return self.normalise(convolution(x, self.parameters[f"{key}.kernel"]), key).clamp(min=0)

    def edges(self):
        """Probability of each edge and that its source is reached."""
        reached, edges = {0: 1.0}, {}
        for target in range(1, self.last + 1):
            missed = 1.0
            for source in range(target):
                edges[source, target] = self.gates[f"edge{source}-{target}"].get("yes", 0.0) * reached[source]
                missed *= 1 - edges[source, target]
            reached[target] = 1 - missed
        return edges

    def cell(self, x, place, width):
        edges, middle = self.edges(), range(1, self.last)
        key = f"cells.{place}"
        splits = []
        for inside in product((False, True), repeat=self.last - 1):
            joined = [vertex for vertex, here in zip(middle, inside, strict=True) if here]
            probability = 1.0
            for vertex in middle:
                probability *= edges[vertex, self.last] if vertex in joined else 1 - edges[vertex, self.last]
            if joined:
                splits.append((probability, joined))
        values = {}
        for vertex in middle:
            total = torch.zeros(len(x), width, *x.shape[2:], dtype=x.dtype)
            if edges[0, vertex]:
                total = total + edges[0, vertex] * self.convolve(x, f"{key}.projections.edge0-{vertex}")
            for source in range(1, vertex):
                total = total + edges[source, vertex] * values[source]
            total = total * self.mask(vertex, splits, edges, width)[:, None, None]
            values[vertex] = sum(
                weight
                * (maxima(total, 1) if label == POOL else self.convolve(total, f"{key}.operations.op{vertex}.{label}"))
                for label, weight in self.gates[f"op{vertex}"].items()
            )
        output = torch.zeros(len(x), width, *x.shape[2:], dtype=x.dtype)
        if edges[0, self.last]:
            output = output + edges[0, self.last] * self.convolve(x, f"{key}.projections.edge0-{self.last}")
        for probability, joined in splits:
            parts = [values[vertex][:, : self.share(vertex, joined, width)] for vertex in joined]
            output = output + probability * torch.cat(parts, 1)
        return output

    def share(self, vertex, joined, width):
        return width // len(joined) + (joined.index(vertex) < width % len(joined))

    def mask(self, vertex, splits, edges, width):
        """The probability that a vertex has each channel."""
        mask = torch.zeros(width, dtype=torch.float64)
        for probability, joined in splits:
            least = width // len(joined)
            mask[:least] += probability
            if least < width:
                mask[least] += probability * self.larger(vertex, joined, edges, width)
        return mask

    def larger(self, vertex, joined, edges, width):
        if vertex in joined:
            return self.share(vertex, joined, width) - width // len(joined)
        missed = 1.0
        for target in range(vertex + 1, self.last):
            missed *= 1 - edges[vertex, target] * self.larger(target, joined, edges, width)
        return 1 - missed

    def features(self, x):
        x = self.convolve(x, "stem")
        for place in range(self.space.stacks * self.space.cells):
            stack = place // self.space.cells
            if place and place % self.space.cells == 0:
                x = maxima(x, 2)
            x = self.cell(x, place, self.space.channels * 2**stack)
        return x.mean((2, 3))


@pytest.mark.parametrize("options", [{"vertices": 5}, {"vertices": 4, "cells": 2, "channels": 2}, {"vertices": 2}])
def test_supernet_is_the_mean_over_wirings(double_supernet, random_gates, options):
    space, shape = tiny(**options), (3, 7, 6)
    net, parameters = double_supernet(space, shape)
    assert net.features == 2 * space.channels
    inputs = images(4, shape)
    for seed in range(3):
        gates = random_gates(space, "soft", torch.Generator().manual_seed(seed))
        expected = Reference(space, parameters, gates).features(inputs)
        torch.testing.assert_close(net(inputs, gates), expected, rtol=1e-9, atol=1e-10)


def test_a_few_gates_may_be_decided(double_supernet, random_gates):
    space, shape = tiny(vertices=5, fixed={"edge0-2": ["no"], "edge1-3": ["yes"], "op2": [POOL, C1]}), (3, 7, 6)
    net, parameters = double_supernet(space, shape)
    inputs = images(4, shape)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        gates, one = random_gates(space, "soft", generator), random_gates(space, "index", generator)
        gates |= {name: one[name] for name in ("edge0-1", "edge1-2", "edge3-4", "op1")}
        expected = Reference(space, parameters, gates).features(inputs)
        torch.testing.assert_close(net(inputs, gates), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", ["soft", "index"])
def test_statistics_are_recorded_and_used(double_supernet, random_gates, kind):
    space, shape = tiny(vertices=5), (2, 7, 8)
    net, parameters = double_supernet(space, shape)
    gates = random_gates(space, "soft", torch.Generator().manual_seed(3))
    if kind == "index":
        ladder = ([[int(column > row) for column in range(4)] for row in range(4)], ["input", C3, C1, "output"])
        gates = decided(space, space.from_matrix(*ladder), torch.float64, False)
        record = {}
        net(images(6, shape, seed=1), gates, record=record)
        query = images(3, shape, seed=2)
        assert len(record) > 8
        assert not torch.allclose(net(query, gates, statistics=record), net(query, gates))
        return
    check_statistics(net, lambda seen: Reference(space, parameters, gates, seen), gates, shape, all_computed=True)


def test_a_supernet_takes_isomorphs_apart():
    with pytest.raises(ValueError, match="set merge_isomorphs to false"):
        NASBench101(channels=8).supernet((1, 8, 8))
    whole = NASBench101(channels=8, stacks=1, cells=1)
    fixed = whole.restricted(whole.from_matrix(*FIRST))
    assert fixed.supernet((1, 8, 8)).features == 8


def test_channels_last_stays_channels_last(random_gates):
    space = tiny(cells=2)
    net = space.supernet((1, 8, 8))
    gates = random_gates(space, "soft", torch.Generator().manual_seed(0))
    check_channels_last(net, list(net.cells), gates, 1)


def test_gates_of_a_sampled_child_get_gradients(double_supernet):
    space = tiny()
    net, _ = double_supernet(space, (1, 8, 8))
    architecture = space.from_matrix(*FIRST)
    gates = {
        name: Gate(gate.weights.double().requires_grad_(), gate.index)
        for name, gate in one_hot(space.choices, architecture).items()
    }
    net(images(8, (1, 8, 8)), gates).square().sum().backward()
    slopes = {name: gate.weights.grad for name, gate in gates.items()}
    assert {name for name in slopes if slopes[name] is not None} == {
        name for name, label in architecture.items() if label == "yes" or name.startswith("op")
    }
    for name in ("edge2-6", "edge5-6", "op2", "op5"):  # no convolution behind them
        assert abs(float(slopes[name][gates[name].index])) > 1e-3


def test_an_empty_sample_is_zero_and_has_a_gradient(double_supernet):
    space = tiny()
    net, _ = double_supernet(space, (1, 8, 8))
    gates = decided(space, {choice.name: choice.labels[0] for choice in space.choices}, torch.float64, False)
    features = net(images(8, (1, 8, 8)), gates)
    assert features.shape == (8, 14)
    features.sum().backward()
    assert not net.stem.kernel.grad.any()
    with pytest.raises(ValueError, match="computes nothing: no path leads from input to output"):
        space.child(space.canonical({choice.name: choice.labels[0] for choice in space.choices}), (1, 8, 8), 3)


@pytest.mark.parametrize(("cell", "parameters"), [(INCEPTION, 2_694_282), (FIRST, 8_555_530)])
@pytest.mark.parametrize("merge", [True, False])
def test_published_parameters(cell, parameters, merge):
    space = NASBench101(merge_isomorphs=merge)
    architecture = space.from_matrix(*cell)
    assert space.cost(architecture, (3, 32, 32), 10).parameters == parameters
    with torch.device("meta"):
        child = space.child(architecture, (3, 32, 32), 10)
    assert sum(p.numel() for p in child.parameters() if p.requires_grad) == parameters


def test_child_exports(tmp_path):
    space = tiny()
    check_export(space.child(space.from_matrix(*INCEPTION), (3, 9, 7), 5), tmp_path / "child.pt2")
