"""The mobile space's supernet against plain sums over candidates, its children, and hooks' counts."""

import pytest
import torch
import torch.nn.functional as F
from space_toys import (
    PlainNetwork,
    check_export,
    check_learned,
    check_statistics,
    decided,
)
from space_toys import images as drawn

from lit_metanas.spaces import Gate, MobileMacro, MobileStage, one_hot
from lit_metanas.testing import check_space

SHAPE = (2, 9, 7)
SPACE = MobileMacro(
    stages=[
        MobileStage(4, depths=(2,), widths=(1, 0.5), kernels=(5, 1, 3), expansions=(1,), skips=("identity", "none")),
        MobileStage(6, 2, depths=(3, 1, 2), widths=(0.5, 1), expansions=(2, 3), skips=("none", "identity")),
    ],
    stem=3,
    last=5,
    divisor=1,
)
BARE = MobileMacro(
    stages=[MobileStage(4, 3, kernels=(3, 7)), MobileStage(4, 2)], stem=3, stem_stride=2, last=None, divisor=2
)
SPACES = pytest.mark.parametrize("space", [SPACE, BARE], ids=["skips", "bare"])


def images(examples, seed=0, dtype=torch.float64):
    return drawn(examples, SHAPE, seed, dtype)


def kernel_of(taps, size):
    """A kernel of a size, of the taps that lie ring by ring around the centre, each ring row by row."""
    kernel = torch.zeros(len(taps), 1, size, size, dtype=taps.dtype)
    place = 0
    for ring in range(size // 2 + 1):
        for row in range(-ring, ring + 1):
            for column in range(-ring, ring + 1):
                if max(abs(row), abs(column)) == ring:
                    kernel[:, 0, size // 2 + row, size // 2 + column] = taps[:, place]
                    place += 1
    return kernel


class Reference(PlainNetwork):
    """Plain sums over all candidates at full width: gates count by their weights alone."""

    def normal(self, x, key):
        return self.normalise(x, f"body.{key}.norm")

    def pointwise(self, x, key):
        return self.normal(torch.einsum("nchw,oc->nohw", x, self.kernel(key)[:, :, 0, 0]), key)

    def kernel(self, key):
        return self.parameters[f"body.{key}.convolution.weight"]

    def widths(self, number):
        """Channels and weight of each width of a stage; 0 is the stem."""
        if not number:
            return [(self.space.stem, 1.0)]
        channels, gates = self.space.stages[number - 1].channels, self.gates[f"stage{number}.width"]
        return [(int(channels * float(label)), weight) for label, weight in gates.items()]

    def block(self, x, number, place):
        key, name = f"stages.{number - 1}.{place}", f"stage{number}.block{place}"
        expansions = {int(label): weight for label, weight in self.gates[f"{name}.expansion"].items()}
        entering = self.widths(number if place > 1 else number - 1)
        hidden = x if set(expansions) == {1} else self.pointwise(x, f"{key}.expand").clamp(0, 6)
        stride = self.space.stages[number - 1].stride if place == 1 else 1
        taps = self.kernel(f"{key}.depthwise")
        convolved = 0.0
        for label, weight in self.gates[f"{name}.kernel"].items():
            size = int(label)
            small = kernel_of(taps[:, : size**2], size)
            convolved = convolved + weight * F.conv2d(hidden, small, None, stride, size // 2, groups=len(taps))
        hidden = self.normal(convolved, f"{key}.depthwise").clamp(0, 6)
        mask = [
            sum(a * b for channels, a in entering for e, b in expansions.items() if j < channels * e)
            for j in range(len(taps))
        ]
        out = self.pointwise(hidden * torch.tensor(mask, dtype=x.dtype)[:, None, None], f"{key}.project")
        mask = [sum(weight for channels, weight in self.widths(number) if j < channels) for j in range(out.shape[1])]
        return out * torch.tensor(mask, dtype=x.dtype)[:, None, None]

    def features(self, x):
        stem = F.conv2d(x, self.kernel("stem"), None, self.space.stem_stride, 1)
        x = self.normal(stem, "stem").clamp(0, 6)
        for number in range(1, len(self.space.stages) + 1):
            depths = {int(label): weight for label, weight in self.gates[f"stage{number}.depth"].items()}
            total = 0.0
            for place in range(1, max(depths) + 1):
                if place == 1:
                    x = self.block(x, number, 1)
                else:
                    computed = self.gates[f"stage{number}.block{place}.skip"]["none"]
                    x = x + computed * self.block(x, number, place)
                total = total + depths.get(place, 0.0) * x
            x = total
        if self.space.last is not None:
            x = self.pointwise(x, "last").clamp(0, 6)
        return x.mean((2, 3))


@SPACES
@pytest.mark.parametrize("kind", ["soft", "hard", "index"])
def test_supernet_is_the_sum_over_candidates(double_supernet, random_gates, space, kind):
    net, parameters = double_supernet(space, SHAPE)
    for seed in range(4):
        gates = random_gates(space, kind, torch.Generator().manual_seed(seed))
        inputs = images(5, seed)
        expected = Reference(space, parameters, gates).features(inputs)
        torch.testing.assert_close(net(inputs, gates), expected, rtol=0, atol=1e-9)


@SPACES
def test_it_passes_the_test_kit(space):
    check_space(space, (2, 31, 25))  # on smaller images kernels of two sizes are the same


@pytest.mark.parametrize("kind", ["soft", "index"])
def test_statistics_are_recorded_and_used(double_supernet, random_gates, kind):
    net, parameters = double_supernet(BARE, SHAPE)
    gates = random_gates(BARE, kind, torch.Generator().manual_seed(2))
    if kind == "index":  # at full width, as the reference computes
        full = {c.name: max(c.labels, key=float) for c in BARE.choices if c.group in ("width", "expansion")}
        gates |= {name: decided(BARE, full, torch.float64, False)[name] for name in full}
    check_statistics(
        net, lambda seen: Reference(BARE, parameters, gates, seen), gates, SHAPE, all_computed=kind == "soft"
    )


def test_what_a_child_learned_comes_back():
    weights = dict(SPACE.supernet(SHAPE).named_parameters())
    check_learned(SPACE, weights, SPACE.sample(torch.Generator().manual_seed(3)), SHAPE)


def test_child_exports(tmp_path):
    check_export(BARE.child(BARE.sample(torch.Generator().manual_seed(4)), (3, 9, 7), 5), tmp_path / "child.pt2")


def test_a_gate_of_one_candidate_has_the_gradient_of_what_it_computes(double_supernet):
    """That of a hard gate on the parts that both compute; no normalisation cancels it."""
    net, _ = double_supernet(SPACE, SHAPE)
    architecture = {c.name: "none" if c.group == "skip" else max(c.labels, key=float) for c in SPACE.choices}
    found = []
    for one in (True, False):
        gates = {
            name: Gate(gate.weights.double().requires_grad_(), gate.index if one else None)
            for name, gate in one_hot(SPACE.choices, SPACE.canonical(architecture)).items()
        }
        net(images(6), gates).pow(3).sum().backward()
        found.append({name: gate.weights.grad for name, gate in gates.items()})
    for choice in SPACE.choices:
        if len(choice.labels) > 1:
            one, every = (slopes[choice.name] for slopes in found)
            torch.testing.assert_close(one, every)
            assert one.abs().max() > 1e-3, choice.name
