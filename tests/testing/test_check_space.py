"""The test kit: all spaces pass it, and each fault is told."""

from functools import partial

import pytest
import torch
from blocks import Blocks
from torch import nn

from lit_metanas.spaces import (
    DARTSCell,
    ENASMacro,
    Gate,
    LayeredSpace,
    MetaNASCell,
    NASBench201,
    NASBenchGraph,
    NetworkCost,
    SearchSpace,
)
from lit_metanas.spaces.architecture import labels_of
from lit_metanas.spaces.body_networks import BodySupernet
from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixture import largest
from lit_metanas.testing import check_space

SHAPE = (1, 8, 8)
WIDE = {"activations": ("Tanh", "ReLU"), "dropouts": (0.5, 0.0), "norms": ("none", "batch", "layer")}
OPEN = {**WIDE, "kernels": (7, 1, 3), "depths": (3, 1, 2), "widths": (6, 2, 4), "skips": ("residual", "none")}


def few(space, *labels):
    """All edges of a space of cells with these operations alone."""
    return {choice.name: labels for choice in space.choices if set(labels) <= set(choice.labels)}


EDGES = few(DARTSCell(), "none", "max_pool_3x3", "sep_conv_3x3")
META_EDGES = few(MetaNASCell(), "max_pool_3x3", "conv_1x5_5x1")
SPACES = {
    "layered": LayeredSpace(),
    "layered, one choice for all": LayeredSpace(shared=True),
    "layered, all open": LayeredSpace(**OPEN),
    "layered, normalised apart": LayeredSpace(**OPEN, mix="normalised", shared=True),
    "macro": ENASMacro(layers=6, channels=8),
    # Of two cells both would be reductions.
    "DARTS": DARTSCell(channels=4, cells=3),
    "DARTS, auxiliary classifier": DARTSCell(channels=4, cells=3, auxiliary=True, normalised_pools=False),
    "DARTS, few operations": DARTSCell(channels=2, cells=3, auxiliary=True, normalised_pools=False, fixed=EDGES),
    "MetaNAS": MetaNASCell(),
    "MetaNAS, few operations": MetaNASCell(channels=2, cells=3, fixed=META_EDGES),
    "NAS-Bench-201": NASBench201(channels=4, cells=1, merge_isomorphs=False),
    "NAS-Bench-Graph": NASBenchGraph(),
}


# Each has a smaller one of its kind beside it.
LARGE = ("DARTS", "DARTS, auxiliary classifier", "MetaNAS")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in SPACES]
)
def test_every_space_passes(name):
    before = torch.get_rng_state()
    check_space(SPACES[name])
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), before)


def test_a_space_of_one_body_passes():
    check_space(Blocks())


class Attention(nn.Module):
    """Attention between the pixels of an image."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 4, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.block = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)

    def forward(self, images):
        steps = self.first(images).flatten(2).transpose(1, 2)
        return self.block(self.attention(steps, steps, steps)[0]).transpose(1, 2)


class Trunk(nn.Module):
    """Layers with statistics that stay as they are."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-2)).requires_grad_(False)
        self.layers[1].running_mean += 0.5

    def forward(self, images):
        with torch.no_grad():
            return self.layers(images)

    def train(self, mode=True):
        return super().train(False)


class Own(SearchSpace):
    """A body of layers that are no choice, and one choice behind them."""

    def __init__(self, layers):
        self.layers = layers

    def body(self, shape, build):
        return nn.Sequential(*self.layers(shape[0]), build.choice("last", {"relu": nn.ReLU, "tanh": nn.Tanh}))


OWN = {
    "attention": lambda channels: [Attention(channels)],
    "batch-norm": lambda channels: [nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False)],
    "batch-norm of another epsilon": lambda channels: [nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4, eps=1e-2)],
    "three channels": lambda channels: [nn.Conv2d(3, 4, 3)],
    "a trunk that is not trained": lambda channels: [Trunk(), nn.Conv2d(4, 4, 1)],
}


@pytest.mark.parametrize("name", OWN)
def test_a_body_of_torchs_own_layers_passes(name):
    check_space(Own(OWN[name]))
    check_space(Own(OWN[name]), shape=(3, 9, 8), seed=1)


class Faulty(LayeredSpace):
    """A sound space, of which each subclass breaks one thing."""

    def __init__(self):
        super().__init__(
            kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0, 0.2), depths=(1, 2), widths=(2, 4)
        )


class Net(BodySupernet):
    def __init__(self, space, shape):
        super().__init__(space.body(shape, Builder(labels_of(space.choices))), shape, space.choices)


class FaultyNet(Faulty):
    """Its supernet breaks one thing."""

    def supernet(self, shape):
        return self.Supernet(self, shape)


class TwoNames(Faulty):
    def __init__(self):
        super().__init__()
        self.choices = (*self.choices, self.choices[0])


class Alternating(Faulty):
    def canonical(self, labels):
        kernel = {"1": "3", "3": "1"}[labels["layer1.kernel"]]
        return super().canonical({**labels, "layer1.kernel": kernel})


class Stubborn(Faulty):
    def suggest(self, trial):
        super().suggest(trial)
        return self.canonical({choice.name: choice.labels[0] for choice in self.choices})


class Unheard(Faulty):
    def distributions(self):
        return dict(list(super().distributions().items())[1:])


class Impossible(Faulty):
    def violation(self, architecture):
        return "too large"


class Wandering(Faulty):
    def equivalent(self, labels, below):
        return {**labels, "layer1.kernel": "1"}


class OtherChild(Faulty):
    def child(self, architecture, shape, way, weights=None):
        child = super().child(architecture, shape, way, weights)
        if weights:
            with torch.no_grad():
                next(child.parameters()).add_(0.01)
        return child


class Forgetful(Faulty):
    def supernet_weights(self, child):
        return {name: value * 1.1 for name, value in super().supernet_weights(child).items()}


class Cheap(Faulty):
    def cost(self, architecture, shape, way):
        cost = super().cost(architecture, shape, way)
        return NetworkCost(cost.parameters, cost.flops - 1)


class Careless(FaultyNet):
    class Supernet(Net):
        def flops(self, mixture):
            return 1


class Thorough(FaultyNet):
    """Computes all, whatever is sampled."""

    class Supernet(Net):
        def forward(self, inputs, mixture, *rest, **named):
            return super().forward(inputs, {n: Gate(g.weights) for n, g in mixture.items()}, *rest, **named)

        def flops(self, mixture):
            return super().flops({n: Gate(g.weights) for n, g in mixture.items()})


class Unrestrained(Faulty):
    def restricted(self, labels):
        return self


class Shifted(FaultyNet):
    """A restricted space's supernet computes something else."""

    class Supernet(Net):
        def __init__(self, space, shape):
            super().__init__(space, shape)
            self.shift = float(space.size < Faulty().size)

        def forward(self, *given, **named):
            return super().forward(*given, **named) + self.shift


class Deaf(FaultyNet):
    class Supernet(Net):
        def forward(self, inputs, mixture, *rest, **named):
            gates = dict(mixture)
            gate = mixture["layer2.activation"]
            gates["layer2.activation"] = Gate(gate.weights.detach(), gate.index)
            for name in mixture:
                mixture[name]
            return super().forward(inputs, gates, *rest, **named)


class Short(FaultyNet):
    class Supernet(Net):
        def draw_noise(self, examples, generator):
            return {name: value[:1] for name, value in super().draw_noise(examples, generator).items()}


class Drawing(FaultyNet):
    class Supernet(Net):
        def forward(self, inputs, *rest, **named):
            torch.rand(1)
            return super().forward(inputs, *rest, **named)


class NoChoice(SearchSpace):
    def body(self, shape, build):
        return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU())


class Overlooked(SearchSpace):
    """An open number of channels that one layer was not told of."""

    def body(self, shape, build):
        width = build.number("width", (4, 8))
        return nn.Sequential(build.conv(shape[0], width, 3), build.norm(width), nn.Conv2d(8, 4, 3))


class Whole(Overlooked):
    """A number of channels that is not looked at: a child has as many as the supernet."""

    def body(self, shape, build):
        width = build.number("width", (4, 8))
        return nn.Sequential(nn.Conv2d(shape[0], 2 * largest(width), 3), nn.ReLU())


class SizedByHand(SearchSpace):
    """A body that ends in a linear map of the pixels that 8 × 8 images leave."""

    def body(self, shape, build):
        conv = build.choice("kernel", {size: partial(build.conv, shape[0], 4, size) for size in (1, 3)}, norm=4)
        return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(16, 6))


class ForGrey(SearchSpace):
    """A body for images of one channel."""

    def body(self, shape, build):
        conv = build.choice("kernel", {size: partial(build.conv, 1, 4, size) for size in (1, 3)}, norm=4)
        return nn.Sequential(conv, nn.ReLU())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (SizedByHand, "Layer '4' (Linear) cannot take inputs of shape (64,)"),
        (ForGrey, "Layer '0' (MixedChoice), of choice 'kernel', cannot take inputs of shape (3, 16, 16)"),
    ],
)
def test_a_layer_that_fits_images_of_one_shape_alone_is_found(fault, reason):
    with pytest.raises(AssertionError) as caught:
        check_space(fault(), SHAPE)
    fits = "fits images of shape (1, 8, 8), but not images of shape (3, 16, 16), so size its layers"
    assert str(caught.value).startswith(f"{fault.__name__} {fits}")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (TwoNames, "Two choices have one name among depth, layer1.kernel, "),
        (Alternating, "Canonical changes "),
        (Stubborn, "A trial of {'depth': "),
        (Unheard, "The distributions for Optuna are not one for each choice, under the prefix 'arch.'."),
        (Impossible, "Of 1000 architectures none can be built."),
        (Wandering, "Equivalent labels of "),
        (OtherChild, "The child in evaluation and the supernet differ by "),
        (Forgetful, "A child that inherits from the child and it differ by "),
        (Cheap, "multiply-adds, but its child has "),
        (Careless, "The supernet reports 1 multiply-adds of "),
        (Thorough, "it computes other candidates, too."),
        (Unrestrained, "is restricted, but has labels ("),
        (Shifted, "A restricted supernet and the whole one differ by "),
        (Deaf, "Under the softmax relaxation no gradient reaches the logit of 'ReLU' of 'layer2.activation'."),
        (Short, "Noise for 4 inputs has not 4 rows."),
        (Drawing, "The supernet draws from PyTorch's global generator."),
        (NoChoice, "NoChoice has no choice: ask for one in its body, for instance by build.choice."),
        (Overlooked, "to have 8 channels, but got 4 channels instead): make it for such inputs."),
        (Whole, " for width=4: make every layer that depends on a choice by `build`."),
    ],
)
def test_a_fault_is_told_in_a_sentence(fault, sentence):
    with pytest.raises(ValueError if fault is Overlooked else AssertionError) as caught:
        check_space(fault(), SHAPE)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
