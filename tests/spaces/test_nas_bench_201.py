"""NAS-Bench-201: its notation, order and isomorphs, and its networks against plain sums and the benchmark's counts."""

import re
from itertools import product

import numpy as np
import pytest
import torch
from space_toys import PlainNetwork, convolution, images

from lit_metanas.spaces import NASBench201
from lit_metanas.spaces.body_networks import BodySupernet

TOTAL = 5**6
LABELS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.fixture(scope="module")
def space():
    return NASBench201()


@pytest.fixture(scope="module")
def architectures(space):
    return [space.from_index(index) for index in range(TOTAL)]


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
        (123, "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"),
    ],
)
def test_published_indices(space, index, text):
    architecture = space.from_string(text)
    assert space.from_index(index) == architecture
    assert space.to_index(architecture) == index
    assert space.to_string(architecture) == text


def test_every_index_and_every_notation_in_both_directions(space, architectures):
    assert len(set(architectures)) == TOTAL
    texts = [space.to_string(architecture) for architecture in architectures]
    assert len(set(texts)) == TOTAL
    for index, (architecture, text) in enumerate(zip(architectures, texts, strict=True)):
        assert space.to_index(architecture) == index
        assert space.from_string(text) == architecture


def test_order_is_that_of_the_table(space, architectures, data_folder):
    table = np.load(data_folder / "nas_bench_201.npz", allow_pickle=False)
    names = table["op_names"].tolist()
    edges = [f"edge{source}-{target}" for target, source in table["edges"].tolist()]
    for architecture, row in zip(architectures, table["ops"].tolist(), strict=True):
        assert [architecture[edge] for edge in edges] == [names[operation] for operation in row]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|",
        "|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|",
    ],
)
def test_what_is_no_notation_is_refused(space, text):
    with pytest.raises(ValueError, match=re.escape(f"'{text}' is not a cell of NAS-Bench-201: write |x~0|+")):
        space.from_string(text)


def value(architecture):
    """A cell on numbers: an operation scrambles its number, but keeps zero; equal graphs have equal values."""
    prime = 2**61 - 1

    def compute(operation, number):
        if operation == "none" or number == 0:
            return 0
        place = LABELS.index(operation)
        return number if operation == "skip_connect" else pow(number + 1_000_003 * place, 3 + 2 * place, prime)

    nodes = [123_456_789_012_345_677]
    for target in (1, 2, 3):
        nodes.append(sum(compute(architecture[f"edge{s}-{target}"], nodes[s]) for s in range(target)) % prime)
    return nodes[3]


def test_isomorphs_are_the_published_ones(space, architectures):
    groups = {}
    for index, architecture in enumerate(architectures):
        groups.setdefault(space.canonical(architecture), []).append(index)
    assert len(groups) == 6_466
    for representative, members in groups.items():
        assert space.to_index(representative) == members[0]
        assert len({value(architectures[member]) for member in members}) == 1
    # The published formula leaves some equal graphs apart.
    assert len({value(architecture) for architecture in architectures}) == 4_930


def test_restricted_spaces_merge_among_what_is_left(space):
    everything = space
    space = NASBench201(fixed={"edge1-2": ["skip_connect", "none"], "edge0-1": ["none"]})
    narrow = space.restricted({"edge2-3": "nor_conv_3x3"})
    labels = {choice.name: choice.labels for choice in narrow.choices}
    assert labels["edge2-3"] == ("nor_conv_3x3",)
    assert labels["edge0-1"] == ("none",)
    assert narrow.size == 2 * 5**3
    every = [dict(zip(labels, values, strict=True)) for values in product(*labels.values())]
    merged = {narrow.canonical(each) for each in every}
    for architecture in merged:
        assert all(label in labels[name] for name, label in architecture.items())
        assert narrow.canonical(architecture) == architecture
    # Node 1 is empty, so that of its edges only the empty ones are left.
    assert len(merged) < 2 * 5**3
    assert len({everything.canonical(each) for each in every}) == len(merged)
    with pytest.raises(ValueError, match="Choice 'edge1-2' has no label 'nor_conv_1x1': use none, skip_connect"):
        narrow.restricted({"edge1-2": "nor_conv_1x1"})


DATASETS = {"cifar10": ((3, 32, 32), 10), "cifar100": ((3, 32, 32), 100), "ImageNet16-120": ((3, 16, 16), 120)}


def tiny(**options):
    return NASBench201(**{"channels": 4, "cells": 1, "merge_isomorphs": False, **options})


def neighbourhood(inputs):
    """Mean of the 3x3 pixels around each pixel, as far as they lie in the image."""
    ones = torch.ones_like(inputs)
    kernel = torch.eye(inputs.shape[1], dtype=inputs.dtype)[:, :, None, None].expand(-1, -1, 3, 3)
    return convolution(inputs, kernel) / convolution(ones, kernel)


def halved(inputs):
    """Means of 2x2 blocks, the last ones smaller where the size is odd."""
    height, width = inputs.shape[2:]
    rows = [
        torch.stack([inputs[:, :, y : y + 2, x : x + 2].mean((2, 3)) for x in range(0, width, 2)], -1)
        for y in range(0, height, 2)
    ]
    return torch.stack(rows, -2)


class Reference(PlainNetwork):
    """Plain sums over all candidates of all edges: gates count by their weights alone."""

    def convolve(self, x, key, stride=1):
        x = x if key == "stem" else x.clamp(min=0)
        return self.normalise(convolution(x, self.parameters[f"body.{key}.conv.weight"], stride), f"body.{key}.norm")

    def candidate(self, label, x, key):
        if label == "none":
            return torch.zeros_like(x)
        if label == "skip_connect":
            return x
        return neighbourhood(x) if label == "avg_pool_3x3" else self.convolve(x, f"{key}.{label}.1")

    def cell(self, x, place):
        nodes = [x]
        for target in (1, 2, 3):
            total = torch.zeros_like(x)
            for source in range(target):
                edge = f"edge{source}-{target}"
                for label, weight in self.gates[edge].items():
                    total = total + weight * self.candidate(label, nodes[source], f"cells.{place}.edges.{edge}")
            nodes.append(total)
        return nodes[3]

    def features(self, x):
        x = self.convolve(x, "stem")
        for stage in range(3):
            if stage:
                key = f"reductions.{stage - 1}"
                residual = convolution(halved(x), self.parameters[f"body.{key}.projection.weight"])
                x = residual + self.convolve(self.convolve(x, f"{key}.first", stride=2), f"{key}.second")
            for place in range(self.space.cells):
                x = self.cell(x, stage * self.space.cells + place)
        return self.normalise(x, "body.last").clamp(min=0).mean((2, 3))


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
@pytest.mark.parametrize("options", [{}, {"cells": 2, "channels": 2}])
def test_supernet_is_the_sum_over_candidates(double_supernet, random_gates, kind, options):
    space, shape = tiny(**options), (3, 9, 6)
    net, parameters = double_supernet(space, shape)
    assert net.features == 4 * space.channels
    inputs = images(5, shape)
    for seed in range(3):
        gates = random_gates(space, kind, torch.Generator().manual_seed(seed))
        expected = Reference(space, parameters, gates).features(inputs)
        torch.testing.assert_close(net(inputs, gates), expected, rtol=0, atol=1e-10)
        assert net.flops(gates) == BodySupernet.flops(net, gates)


def test_a_supernet_takes_isomorphs_apart():
    with pytest.raises(ValueError, match="set merge_isomorphs to false"):
        NASBench201(channels=4, cells=1).supernet((1, 8, 8))
    fixed = NASBench201(channels=4, cells=1).restricted(NASBench201().from_index(7))
    assert fixed.supernet((1, 8, 8)).features == 16


def test_published_example():
    """The benchmark's first architecture on CIFAR-10."""
    space = NASBench201()
    cost = space.cost(space.from_index(0), (3, 32, 32), 10)
    assert cost.parameters == 129_306
    assert cost.flops + 10 == 15_647_370
    child = space.child(space.from_index(0), (3, 32, 32), 10)
    assert sum(p.numel() for p in child.parameters()) == 129_306
    assert child.flops == cost.flops


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("step", [40, pytest.param(1, marks=pytest.mark.slow)])
def test_costs_are_those_of_the_table(data_folder, dataset, step):
    table = np.load(data_folder / "nas_bench_201.npz", allow_pickle=False)
    column = table["datasets"].tolist().index(dataset)
    parameters, megaflops = table["params"][:, column].tolist(), table["flops_M"][:, column].tolist()
    space = NASBench201()
    shape, way = DATASETS[dataset]
    for index in range(0, 15_625, step):
        cost = space.cost(space.from_index(index), shape, way)
        assert cost.parameters == parameters[index]
        assert abs((cost.flops + way) / 1e6 - megaflops[index]) < 2e-5


@pytest.mark.parametrize("step", [1500, pytest.param(75, marks=pytest.mark.slow)])  # 11 and 209 architectures
def test_parameters_of_built_networks_are_those_of_the_table(data_folder, step):
    table = np.load(data_folder / "nas_bench_201.npz", allow_pickle=False)
    space = NASBench201()
    for column, dataset in enumerate(table["datasets"].tolist()):
        shape, way = DATASETS[dataset]
        for index in range(0, 15_625, step):
            with torch.device("meta"):
                child = space.child(space.from_index(index), shape, way)
            assert sum(p.numel() for p in child.parameters()) == table["params"][index, column]
            assert child.flops == space.cost(space.from_index(index), shape, way).flops
