"""The layered space: what can be opened, fixed and restricted, its errors, and passes that it does without."""

import re

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lit_metanas.spaces import LayeredSpace, one_hot


def test_fixed_labels_restrict_single_choices():
    space = LayeredSpace(widths=(16, 32), fixed={"layer1.width": ["16"], "depth": ["4"], "layer2.kernel": ["5", "3"]})
    labels = {choice.name: choice.labels for choice in space.choices}
    assert labels["layer1.width"] == ("16",)
    assert labels["layer2.width"] == ("16", "32")
    assert labels["layer2.kernel"] == ("3", "5")


def test_restricted_never_widens():
    space = LayeredSpace(shared=True).restricted({"kernel": "5"})
    with pytest.raises(ValueError, match=r"Choice 'kernel' has no label '3': use 5\."):
        space.restricted({"kernel": "3"})
    with pytest.raises(ValueError, match="Unknown choice 'colour'"):
        space.restricted({"colour": "red"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernels": (3, 4)}, "kernel size 4 is not odd and positive"),
        ({"kernels": (-3,)}, "kernel size -3 is not odd and positive"),
        ({"kernels": (3, 3)}, "'layer1.kernel' repeats a label: 3, 3."),
        ({"dropouts": (float("nan"),)}, "dropout nan is not a probability below 1"),
        ({"depths": (0,)}, "the least depth is 0; give at least 1."),
        ({"depths": ()}, "'depth' has no candidates"),
        ({"widths": (8, -8)}, "the least width is -8; give at least 1."),
        ({"pools": ("maxx",)}, "unknown label 'maxx' of 'pools': did you mean 'max'?"),
        ({"pools": ("stride",)}, "unknown label 'stride' of 'pools': use max, avg."),
        ({"mix": "merge"}, "unknown label 'merge' of 'mix': did you mean 'merged'?"),
        ({"fixed": {"layer1.widht": ["32"]}}, "Unknown choice 'layer1.widht': LayeredSpace has 'layer1.width'."),
        ({"fixed": {"layer1.kernel": ["33"]}}, "Choice 'layer1.kernel' has no label '33': use 3, 5, 7."),
        ({"fixed": {"layer1.kernel": []}}, "Choice 'layer1.kernel' has no candidates"),
    ],
)
def test_errors_are_one_sentence(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        LayeredSpace(**arguments)
    message = str(caught.value)
    assert message[-1] in ".?…"
    assert ". " not in message
    assert "\n" not in message


class Operations(TorchDispatchMode):
    """Names of the operations that run in it."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def operations(space, mixture):
    net = space.supernet((1, 8, 8)).to(memory_format=torch.channels_last)
    with Operations() as seen:
        net(torch.rand(3, 1, 8, 8), mixture).sum().backward()
    return seen.names


def test_a_single_relu_overwrites_its_inputs():
    space = LayeredSpace(kernels=(3,), widths=(4,), activations=("ReLU",), pools=("avg",), dropouts=(0.0,))
    names = operations(space, one_hot(space.choices, space.sample(torch.Generator())))
    assert names.count("relu_") == 4
    assert "relu" not in names


def test_mixed_activations_leave_their_inputs_alone():
    space = LayeredSpace(kernels=(3,), widths=(4,), activations=("ReLU", "Tanh"), pools=("avg",), dropouts=(0.0,))
    gates = one_hot(space.choices, space.sample(torch.Generator()))
    soft = {
        name: type(gate)(torch.full_like(gate.weights, 1 / len(gate.weights))) if len(gate.weights) > 1 else gate
        for name, gate in gates.items()
    }
    assert "relu_" not in operations(space, soft)


def test_whole_parameters_are_not_cut():
    space = LayeredSpace(kernels=(3,), widths=(4,), activations=("ReLU",), pools=("avg",), dropouts=(0.0,))
    architecture = space.sample(torch.Generator())
    assert "slice" not in operations(space, one_hot(space.choices, architecture))
    wider = LayeredSpace(kernels=(3,), widths=(4, 6), activations=("ReLU",), pools=("avg",), dropouts=(0.0,))
    narrow = wider.canonical({**wider.sample(torch.Generator()), **{f"layer{i}.width": "4" for i in range(1, 5)}})
    assert "slice" in operations(wider, one_hot(wider.choices, narrow))


def test_first_block_is_channels_last():
    space = LayeredSpace(depths=(2,))
    net = space.supernet((1, 12, 12)).to(memory_format=torch.channels_last)
    seen = []
    net.layers[0].register_forward_hook(
        lambda module, inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    net(torch.rand(5, 1, 12, 12), one_hot(space.choices, space.sample(torch.Generator())))
    assert seen == [True]


def test_noise_lies_where_the_network_lies():
    net = LayeredSpace(dropouts=(0.0, 0.3), depths=(1,), widths=(6,)).supernet((1, 4, 4)).to("meta")
    assert net.draw_noise(2, torch.Generator().manual_seed(0))["layers.0.dropout"].device.type == "meta"
