"""The mobile space's supernet against plain sums over candidates, its children, and hooks' counts."""

import pytest
import torch
import torch.nn.functional as F
from space_toys import (
    PlainNetwork,
    check_channels_last,
    check_export,
    check_learned,
    check_statistics,
    decided,
    widened,
)
from space_toys import images as drawn
from torch import nn

from lit_metanas.spaces import Gate, MobileMacro, MobileStage, inherit, one_hot
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


@SPACES
def test_what_a_child_learned_comes_back(space):
    weights = dict(space.supernet(SHAPE).named_parameters())
    generator = torch.Generator().manual_seed(3)
    for _ in range(6):
        check_learned(space, weights, space.sample(generator), SHAPE)


def test_child_exports(tmp_path):
    check_export(BARE.child(BARE.sample(torch.Generator().manual_seed(4)), (3, 9, 7), 5), tmp_path / "child.pt2")


@SPACES
def test_channels_last_stays_channels_last(random_gates, space):
    net = space.supernet((3, 8, 8))
    gates = random_gates(space, "soft", torch.Generator().manual_seed(0))
    check_channels_last(net, list(net.body.stages), gates, 3)


def test_child_is_what_the_paper_draws():
    """A plain loop over the layers of a child, as they follow one another in Figure 4d of MobileNetV2's paper."""
    architecture = SPACE.canonical(
        {choice.name: choice.labels[-1] for choice in SPACE.choices} | {"stage2.block2.skip": "none"}
    )
    child = SPACE.child(architecture, SHAPE, 4).double().eval()
    with torch.no_grad():
        for value in child.state_dict().values():
            if value.dtype == torch.float64:
                value.uniform_(0.2, 1.0, generator=torch.Generator().manual_seed(value.numel()))
    layers = [m for m in child.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    pairs = list(zip(layers[::2], layers[1::2], strict=True))

    def apply(x, pair):
        convolution, norm = pair
        x = F.conv2d(
            x, convolution.weight, None, convolution.stride, convolution.kernel_size[0] // 2, 1, convolution.groups
        )
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()
        return (x - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]

    x = images(3)
    expected = apply(x, pairs[0]).clamp(0, 6)
    # Two blocks without an expansion and two with one; the last is skipped.
    for group, residual in [(pairs[1:3], False), (pairs[3:5], True), (pairs[5:8], False), (pairs[8:11], True)]:
        inner = expected
        for pair in group[:-1]:
            inner = apply(inner, pair).clamp(0, 6)
        inner = apply(inner, group[-1])
        expected = expected + inner if residual else inner
    assert len(pairs) == 12
    expected = apply(expected, pairs[11]).clamp(0, 6).mean((2, 3)) @ child.head.weight.T + child.head.bias
    torch.testing.assert_close(child(x), expected, rtol=0, atol=1e-10)
    assert [convolution.kernel_size[0] for convolution, _ in pairs if convolution.groups > 1] == [3, 3, 7, 7]
    assert child.body.stages[0]["1"].depthwise.convolution.stride == (1, 1)
    assert child.body.stages[1]["1"].depthwise.convolution.stride == (2, 2)


@SPACES
def test_every_gate_gets_a_gradient(double_supernet, space):
    net, _ = double_supernet(space, SHAPE)
    weights = {c.name: torch.full((len(c.labels),), 0.4, dtype=torch.float64).requires_grad_() for c in space.choices}
    net(images(6), {name: Gate(value) for name, value in weights.items()}).pow(3).sum().backward()
    for choice in space.choices:
        if len(choice.labels) > 1:
            for label, slope in zip(choice.labels, weights[choice.name].grad.tolist(), strict=True):
                # An identity adds nothing to a block's input.
                assert (abs(slope) > 1e-6) == (label != "identity"), (choice.name, label)


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


@SPACES
def test_a_choice_that_a_space_lacks_cannot_be_restricted(space):
    with pytest.raises(ValueError, match=r"Unknown choice 'stage1\.block1\.skip'"):
        space.restricted({"stage1.block1.skip": "none"})


def test_partly_restricted_supernet_under_soft_mixtures(double_supernet, random_gates):
    net, weights = double_supernet(SPACE, SHAPE)
    small = SPACE.restricted(
        {"stage1.width": "0.5", "stage1.block2.skip": "identity", "stage2.block1.kernel": "5", "stage2.depth": "2"}
    )
    small_net = small.supernet(SHAPE).double()
    small_net.load_state_dict(inherit(weights, dict(small_net.named_parameters())))
    gates = random_gates(small, "soft", torch.Generator().manual_seed(0))
    large = widened(SPACE, small, gates)
    inputs = images(4)
    torch.testing.assert_close(small_net(inputs, gates), net(inputs, large), rtol=0, atol=1e-10)


def test_a_child_refuses_foreign_weights():
    architecture = SPACE.sample(torch.Generator().manual_seed(0))
    child = SPACE.child(architecture, SHAPE, 3)
    weights = child.supernet_weights()
    with pytest.raises(ValueError, match=r"do not hold 'body\.stem\.convolution\.weight'"):
        child.inherit({n: v for n, v in weights.items() if "stem" not in n})
    before = child.head.weight.clone()
    child.inherit({**weights, "head.weight": torch.zeros(4, child.features), "head.bias": torch.zeros(4)})
    assert torch.equal(child.head.weight, before)
    wider = torch.cat([torch.ones(3, child.features), torch.zeros(3, 2)], 1)
    child.inherit({**weights, "head.weight": wider, "head.bias": torch.ones(3)})
    assert torch.equal(child.head.weight, torch.ones(3, child.features))
