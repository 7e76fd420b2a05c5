"""The space of multilayer perceptrons: the test kit, its layers against plain ones, and what it refuses."""

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.inputs.shapes import RowShape
from lit_metanas.testing import check_space

ROWS = RowShape(5)
ALL = {"activations": ("ReLU", "Sigmoid", "GELU"), "dropouts": (0.0, 0.5), "widths": (4, 6)}


@pytest.mark.parametrize(
    "options",
    [{**ALL, "depths": (1, 2, 3)}, {**ALL, "shared": True}, {"depths": (0, 2), "widths": (3,), "norms": ("none",)}],
    ids=["free", "shared", "one width"],
)
def test_it_passes_the_test_kit(options):
    check_space(lm.MLPSpace(**options))


def built(**labels):
    space = lm.MLPSpace(dropouts=(0.0,), widths=(8,), shared=True)
    return space.build(space.canonical({"width": "8", **labels}), ROWS, way=3)


def test_layers_are_plain_ones():
    child = built(depth="2", norm="layer", activation="GELU", dropout="0", skip="residual").eval()
    first, second = child.body.layers["1"], child.body.layers["2"]
    inputs = torch.randn(4, 5)
    hidden = nn.functional.gelu(nn.functional.layer_norm(inputs @ first.linear.weight.T + first.linear.bias, (8,)))
    again = nn.functional.gelu(nn.functional.layer_norm(hidden @ second.linear.weight.T + second.linear.bias, (8,)))
    torch.testing.assert_close(child(inputs), child.head(hidden + again))
    assert child.flops == 5 * 8 + 8 * 8 + 8 * 3
