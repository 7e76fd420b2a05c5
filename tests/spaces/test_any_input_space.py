"""One set of choices for all kinds of input."""

import pytest
import torch
import torch.nn.functional as F

from lit_metanas.inputs import ImageShape, SeriesShape, TokenShape
from lit_metanas.spaces import Architecture, SequenceSpace
from lit_metanas.spaces.any_input import AnyInputSpace
from lit_metanas.spaces.any_input.any_input_space import IMAGE_OPERATIONS
from lit_metanas.spaces.sequence.step_operations import OPERATIONS
from lit_metanas.testing import check_space

SHAPES = (ImageShape(1, 8, 8), SeriesShape(3, 11), TokenShape(13, 11))
PLAIN = {
    "activation": "ReLU",
    "depth": "1",
    "dropout": "0",
    "norm": "layer",
    "operation": "conv_3",
    "pool": "max",
    "readout": "mean",
    "skip": "none",
    "width": "4",
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
@pytest.mark.parametrize("shared", [True, False])
def test_a_space_keeps_what_is_asked_of_spaces(shape, shared):
    space = AnyInputSpace(
        operations=("conv_3", "sep_conv_3", "attention_2", "gru"),
        activations=("ReLU",),
        dropouts=(0.0, 0.2),
        depths=(1, 2),
        widths=(4,),
        shared=shared,
    )
    check_space(space, shape)


def test_several_widths_and_pools_that_are_left_out():
    space = AnyInputSpace(depths=(1, 2), widths=(4, 8), pools=("none",), activations=("ReLU",))
    check_space(space.restricted({"width": "8"}), SHAPES[0])


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_each_operation_is_one_for_each_kind_of_input(operation):
    space = AnyInputSpace(operations=(operation,), activations=("ReLU",), depths=(1,), widths=(4,))
    for shape in SHAPES:
        network = space.child(space.sample(torch.Generator().manual_seed(0)), shape, way=3)
        inputs = torch.ones(2, shape.steps).long() if isinstance(shape, TokenShape) else torch.rand(2, *shape)
        assert network(inputs).shape == (2, 3)
    assert IMAGE_OPERATIONS.keys() <= OPERATIONS.keys()


def test_a_sequence_has_the_network_of_the_sequence_space():
    options = {"activations": ("ReLU",), "dropouts": (0.0,), "depths": (1, 2), "widths": (8,), "pools": ("max", "avg")}
    options["readouts"] = ("mean", "max", "attention")
    ours = AnyInputSpace(operations=("conv_3", "gru"), **options)
    theirs = SequenceSpace(operations=("conv_3", "gru"), **options, shared=True)
    assert ours.choices == theirs.choices
    inputs = torch.randint(1, 13, (4, 11))
    for seed in range(4):
        architecture = ours.sample(torch.Generator().manual_seed(seed))
        networks = []
        for space in (ours, theirs):
            torch.manual_seed(0)
            networks.append(space.child(architecture, SHAPES[2], way=3).eval())
        assert torch.equal(networks[0](inputs), networks[1](inputs))


def test_a_convolution_sees_neighbours_in_both_directions():
    space = AnyInputSpace(operations=("conv_3",), activations=("ReLU",), dropouts=(0.0,), depths=(1,), widths=(4,))
    network = space.child(Architecture(PLAIN), (1, 8, 8), way=2).double()
    weights = dict(network.named_parameters())
    inputs = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    patches = F.conv2d(inputs, weights["body.stem.weight"], weights["body.stem.bias"], stride=2)
    layer = "body.layers.1.operation.conv_3"
    kernel, bias = (weights[f"{layer}.operation.layer.{name}"] for name in ("weight", "bias"))
    assert kernel.shape == (4, 4, 3, 3)
    seen = F.conv2d(patches, kernel, bias, padding=1).movedim(1, 3)
    normalised = F.layer_norm(seen, (4,), weights[f"{layer}.norm.weight"], weights[f"{layer}.norm.bias"]).movedim(3, 1)
    features = F.max_pool2d(normalised.relu(), 2).mean((2, 3))
    expected = features @ weights["head.weight"].T + weights["head.bias"]
    assert torch.allclose(network(inputs), expected, atol=1e-12)


def test_what_cannot_be_built_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="unknown label 'last' of 'readouts'"):
        AnyInputSpace(readouts=("last",))
    with pytest.raises(ValueError, match="patch is 0; give at least 1"):
        AnyInputSpace(patch=0)
    with pytest.raises(ValueError, match="2x2 pixels are smaller than 'patch', 4: lower it"):
        AnyInputSpace(patch=4).supernet((1, 2, 2))
