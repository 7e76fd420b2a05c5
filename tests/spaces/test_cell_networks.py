"""Supernets and children of the cell spaces against plain sums over candidates, each other, and hooks' counts."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.spaces import DARTSCell, Gate, MetaNASCell, inherit, one_hot

SPACES = {"darts": DARTSCell, "metanas": MetaNASCell}


@pytest.fixture(params=SPACES)
def tiny(request):
    return lambda **options: SPACES[request.param](**{"channels": 2, "cells": 3, **options})


def images(examples, shape, seed=0, dtype=torch.float64):
    return torch.randn(examples, *shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def convolution(inputs, kernel, stride=1, dilation=1):
    """Cross-correlation with zeros around the image, one tap after the other; depthwise where the kernel is."""
    rows, columns = kernel.shape[2:]
    height, width = inputs.shape[2:]
    top, left = dilation * (rows // 2), dilation * (columns // 2)
    padded = F.pad(inputs, (left, left, top, top))
    formula = "nchw,c->nchw" if kernel.shape[1] == 1 and inputs.shape[1] > 1 else "nchw,oc->nohw"
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            y, x = dilation * row, dilation * column
            window = padded[:, :, y : y + height : stride, x : x + width : stride]
            tap = kernel[:, :, row, column]
            total = total + torch.einsum(formula, window, tap[:, 0] if formula.endswith("nchw") else tap)
    return total


class Reference:
    """Plain sums over all candidates: gates count by their weights alone."""

    def __init__(self, space, parameters, gates, statistics=None):
        self.space, self.parameters, self.statistics = space, parameters, statistics
        self.gates = {
            choice.name: dict(zip(choice.labels, gates[choice.name].weights, strict=True)) for choice in space.choices
        }
        self.seen = {}

    def normalise(self, x, key):
        mean = x.mean((0, 2, 3))
        var = ((x - mean[None, :, None, None]) ** 2).mean((0, 2, 3))
        self.seen |= {f"{key}.mean": mean, f"{key}.var": var}
        if self.statistics is not None:
            mean, var = self.statistics[f"{key}.mean"], self.statistics[f"{key}.var"]
        x = (x - mean[None, :, None, None]) / (var[None, :, None, None] + 1e-5).sqrt()
        if f"{key}.scale" in self.parameters:
            assert key == "body.stem.1"
            scale, shift = self.parameters[f"{key}.scale"], self.parameters[f"{key}.shift"]
            x = x * scale[None, :, None, None] + shift[None, :, None, None]
        return x

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
            return self.normalise(pooled, f"{key}.1") if self.space.normalised_pools else pooled
        if label.startswith("sep"):
            for first in (0, 4):
                x = convolution(x.clamp(min=0), self.kernel(f"{key}.{first + 1}"), stride if first == 0 else 1)
                x = self.normalise(convolution(x, self.kernel(f"{key}.{first + 2}")), f"{key}.{first + 3}")
            return x
        if label == "conv_3x3":
            return self.normalise(convolution(x.clamp(min=0), self.kernel(f"{key}.1"), stride), f"{key}.2")
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
    record = {}
    support, query = images(6, shape, seed=1), images(3, shape, seed=2)
    net(support, gates, record=record)
    reference = Reference(space, parameters, gates)
    reference.features(support)
    assert set(record) <= set(reference.seen)
    assert kind == "index" or set(record) == set(reference.seen)
    for name, value in record.items():
        torch.testing.assert_close(value, reference.seen[name], rtol=1e-9, atol=1e-10)
    expected = Reference(space, parameters, gates, statistics=reference.seen).features(query)
    actual = net(query, gates, statistics=record)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(net(query[:1], gates, statistics=record), actual[:1])
    assert net.draw_noise(3, torch.Generator()) == {}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@pytest.mark.parametrize("hard", [False, True])
def test_one_hot_supernet_is_the_child(tiny, dtype, tolerance, hard):
    space, shape = tiny(cells=4), (3, 9, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = space.supernet(shape).to(dtype)
    weights = dict(net.named_parameters())
    generator = torch.Generator().manual_seed(0)
    support, query = images(8, shape, 1, dtype), images(4, shape, 2, dtype)
    head = {"head.weight": images(5, (net.features,), 3, dtype), "head.bias": images(1, (5,), 4, dtype)[0]}
    for _ in range(2):
        architecture = space.sample(generator)
        gates = {
            name: Gate(gate.weights.to(dtype), None if hard else gate.index)
            for name, gate in one_hot(space.choices, architecture).items()
        }
        statistics = {}
        features = net(support, gates, record=statistics)
        child = space.child(architecture, shape, 5).to(dtype)
        child.inherit({**weights, **statistics, **head})
        child.eval()
        scores = net(query, gates, statistics=statistics) @ head["head.weight"].T + head["head.bias"]
        torch.testing.assert_close(child(query), scores, rtol=10 * tolerance, atol=10 * tolerance)
        torch.testing.assert_close(child.train().embed(support), features, rtol=tolerance, atol=tolerance)


def test_what_a_child_learned_comes_back(tiny):
    space, shape = tiny(), (2, 8, 8)
    weights = dict(space.supernet(shape).named_parameters())
    architecture = space.sample(torch.Generator().manual_seed(3))
    child = space.child(architecture, shape, 5, weights)
    for norm in child.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.uniform_(norm.weight)
    child(images(6, shape, dtype=torch.float32))  # moves the running statistics
    learned = space.learned(child)
    inputs = images(3, shape, 1, torch.float32)
    twin = space.child(architecture, shape, 5, learned)
    torch.testing.assert_close(twin.eval()(inputs), child.eval()(inputs), rtol=0, atol=0)
    kernels = {name for name in learned if name.startswith("body.") and name.endswith("weight")}
    assert kernels <= weights.keys()
    back = space.child(architecture, shape, 4, weights)
    assert all((m.weight == 1).all() for m in back.modules() if isinstance(m, nn.BatchNorm2d) and m.affine)
    lacking = {name: value for name, value in weights.items() if name not in kernels}
    with pytest.raises(ValueError, match=r"weights lack '.*': they come from another search space"):
        space.child(architecture, shape, 5, lacking)
    with pytest.raises(ValueError, match=r"hold 'stem.0.weight' \(6, 2, 3, 3\), not \(6, 3, 3, 3\)"):
        space.child(architecture, (3, 8, 8), 5, weights)


def test_restricted_supernet_is_the_larger_one_with_fewer_candidates(tiny, double_supernet, random_gates):
    space, shape = tiny(), (1, 8, 8)
    net, weights = double_supernet(space, shape)
    small = space.restricted({"normal.edge0-2": "skip_connect", "reduce.edge1-3": "sep_conv_3x3"})
    small = small.restricted({"reduce.edge2-4": "dil_conv_3x3", "normal.inputs3": "0+2"})
    small_net = small.supernet(shape).double()
    small_net.load_state_dict(inherit(weights, dict(small_net.named_parameters())))
    gates = random_gates(small, "soft", torch.Generator().manual_seed(0))
    large = {}
    for choice in small.choices:
        by_label = dict(zip(choice.labels, gates[choice.name].weights.tolist(), strict=True))
        labels = next(c.labels for c in space.choices if c.name == choice.name)
        large[choice.name] = Gate(torch.tensor([by_label.get(label, 0.0) for label in labels], dtype=torch.float64))
    inputs = images(4, shape)
    torch.testing.assert_close(small_net(inputs, gates), net(inputs, large), rtol=0, atol=1e-9)
    assert small_net.flops(gates) < net.flops(large)


def hook_count(child, shape):
    """Parameters and multiply-adds by hooks on the layers that have weights."""
    counts = {"parameters": 0, "flops": 0}

    def count(module, inputs, output):
        counts["parameters"] += sum(p.numel() for p in module.parameters())
        if isinstance(module, nn.Conv2d):
            counts["flops"] += module.weight[0].numel() * output[0].numel()
        elif isinstance(module, nn.Linear):
            counts["flops"] += module.weight.numel()

    handles = [
        module.register_forward_hook(count)
        for module in child.modules()
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))
    ]
    with torch.no_grad():
        child.eval()(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return counts["parameters"], counts["flops"]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 15, 22)])
@pytest.mark.parametrize("cells", [1, 2, 5])
def test_child_costs_what_its_layers_cost(tiny, shape, cells):
    space = tiny(cells=cells)
    generator = torch.Generator().manual_seed(sum(shape))
    architecture = space.sample(generator)
    cost = space.cost(architecture, shape, 5)
    child = space.child(architecture, shape, 5)
    assert (cost.parameters, cost.flops) == hook_count(child, shape)
    assert child.flops == cost.flops
    assert cost.parameters == sum(p.numel() for p in child.parameters())
    assert space.supernet(shape).flops(one_hot(space.choices, architecture)) == cost.flops - 5 * child.features


@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
def test_supernet_costs_what_it_computes(tiny, random_gates, kind):
    space, shape = tiny(), (3, 13, 10)
    net = space.supernet(shape)
    gates = random_gates(space, kind, torch.Generator().manual_seed(0))
    gates = {name: Gate(gate.weights.float(), gate.index) for name, gate in gates.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(images(2, shape, dtype=torch.float32), gates)
    # The counter's flop is half a multiply-add, and there are two images.
    assert net.flops(gates) * 4 == counter.get_flop_counts()["Global"][torch.ops.aten.convolution]


def test_every_weighed_gate_gets_a_gradient(tiny, double_supernet):
    space = tiny()
    net, _ = double_supernet(space, (1, 8, 8))
    weights = {c.name: torch.full((len(c.labels),), 0.2, dtype=torch.float64).requires_grad_() for c in space.choices}
    gates = {name: Gate(value) for name, value in weights.items()}
    net(images(6, (1, 8, 8)), gates).square().sum().backward()
    weighed = {choice.name for choice in space.weighed}
    for choice in space.choices:
        slope = weights[choice.name].grad
        if choice.name not in weighed:
            assert slope is None
            continue
        for label, value in zip(choice.labels, slope.tolist(), strict=True):
            assert (abs(value) > 1e-6) == (label != "none"), (choice.name, label)


def test_child_exports(tiny, tmp_path):
    space = tiny()
    child = space.child(space.sample(torch.Generator().manual_seed(4)), (3, 9, 7), 5).eval()
    inputs = images(6, (3, 9, 7), dtype=torch.float32)
    program = torch.export.export(child, (inputs[:2],), dynamic_shapes={"inputs": {0: Dim("n")}})
    torch.export.save(program, tmp_path / "child.pt2")
    loaded = torch.export.load(tmp_path / "child.pt2").module()
    torch.testing.assert_close(loaded(inputs), child(inputs))


def test_channels_last_stays_channels_last(tiny, random_gates):
    space = tiny()
    net = space.supernet((3, 8, 8)).to(memory_format=torch.channels_last)
    layouts = []
    for module in net.body.cells:
        module.register_forward_hook(
            lambda module, inputs, output: layouts.append(output.is_contiguous(memory_format=torch.channels_last))
        )
    gates = random_gates(space, "soft", torch.Generator().manual_seed(0))
    inputs = images(4, (3, 8, 8), dtype=torch.float32).contiguous(memory_format=torch.channels_last)
    net(inputs, {name: Gate(gate.weights.float()) for name, gate in gates.items()})
    assert layouts == [True] * 3
