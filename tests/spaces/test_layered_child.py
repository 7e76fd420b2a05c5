"""Children against the one-hot supernet, and as plain modules."""

import pytest
import torch

from lit_metanas.spaces import Architecture, Gate, LayeredSpace, one_hot
from lit_metanas.testing import check_space


def test_classifier_is_inherited_only_where_it_fits():
    space = LayeredSpace(shared=True, depths=(1,), widths=(4, 8))
    architecture = space.restricted({"width": "4"}).sample(torch.Generator().manual_seed(0))
    weights = dict(space.supernet((1, 6, 6)).named_parameters())
    head = torch.arange(40.0).reshape(5, 8)
    for way, width, inherits in ((5, 8, True), (4, 8, False), (5, 3, False)):
        given = {**weights, "head.weight": head[:, :width], "head.bias": torch.arange(5.0)}
        child = space.child(architecture, (1, 6, 6), way, weights=given)
        assert torch.equal(child.head.weight, head[:way, :4]) is inherits
        assert torch.equal(child.head.bias, torch.arange(float(way))) is inherits


def test_foreign_weights_are_refused():
    space = LayeredSpace(shared=True, kernels=(3,), depths=(2,), widths=(8,), skips=("residual",))
    architecture = space.sample(torch.Generator().manual_seed(0))
    weights = {name: value.detach() for name, value in space.supernet((1, 8, 8)).named_parameters()}
    for name in weights:
        lacking = {key: value for key, value in weights.items() if key != name}
        sentence = f"do not hold '{name}' .*: they come from another space, or from an earlier"
        with pytest.raises(ValueError, match=sentence):
            space.child(architecture, (1, 8, 8), 5, weights=lacking)
    with pytest.raises(ValueError, match=r"'body.layers.1.conv.3.weight' \(8, 1, 3, 3\), not \(8, 3, 3, 3\)"):
        space.child(architecture, (3, 8, 8), 5, weights=weights)


def test_a_flat_readout_keeps_the_places_of_the_last_map():
    space = LayeredSpace(kernels=(3,), depths=(1, 2), widths=(4, 2), readouts=("average", "flat"), dropouts=(0.0,))
    check_space(space, shape=(1, 7, 6))
    labels = {"depth": "2", "readout": "flat", "layer1.width": "2", "layer2.width": "4"}
    full = {**{choice.name: choice.labels[0] for choice in space.choices}, **labels}
    child = space.child(Architecture(full), (1, 7, 6), 3).eval()
    inputs = torch.rand(5, 1, 7, 6)
    maps = child.body.layers["2"](child.body.layers["1"](inputs, False), False)
    assert maps.shape == (5, 4, 1, 1)
    wide = space.child(Architecture({**full, "depth": "1", "layer1.width": "4"}), (1, 7, 6), 3).eval()
    assert wide.features == wide.head.in_features == 4 * 3 * 3
    torch.testing.assert_close(wide.embed(inputs), wide.body.layers["1"](inputs, False).reshape(5, -1))
    assert "readout" not in {choice.name for choice in LayeredSpace().choices}
    with pytest.raises(ValueError, match="unknown label 'flatt' of 'readouts': did you mean 'flat'"):
        LayeredSpace(readouts=("flatt",))


def test_rounding_up_pools_the_last_row_by_itself():
    space = LayeredSpace(
        kernels=(3,), pools=("avg", "max"), depths=(1, 2), widths=(4,), roundings=("down", "up"), dropouts=(0.0,),
        readouts=("average", "flat"),
    )  # fmt: skip
    check_space(space, shape=(1, 7, 6))
    labels = {choice.name: choice.labels[0] for choice in space.choices} | {"depth": "1", "readout": "flat"}
    down, up = (
        space.child(Architecture({**labels, "rounding": label}), (1, 7, 6), 3).eval() for label in ("down", "up")
    )
    assert (down.features, up.features) == (4 * 3 * 3, 4 * 4 * 3)
    up.load_state_dict({**down.state_dict(), "head.weight": up.head.weight})
    inputs = torch.rand(5, 1, 7, 6)
    block = up.body.layers["1"]
    inner = block.activation(block.conv(inputs))
    last = inner[:, :, 6:].reshape(5, 4, 1, 3, 2).mean(4)
    maps = torch.cat([down.embed(inputs).reshape(5, 4, 3, 3), last], dim=2)
    torch.testing.assert_close(up.embed(inputs).reshape(5, 4, 4, 3), maps)
    assert "rounding" not in {choice.name for choice in LayeredSpace().choices}


def test_a_mixture_of_roundings_keeps_the_statistics_of_each():
    space = LayeredSpace(
        kernels=(3,), pools=("avg",), depths=(2,), widths=(4,), roundings=("down", "up"), dropouts=(0.0,)
    )
    supernet = space.supernet((1, 7, 6)).double()
    mixture = one_hot(space.choices, space.sample(torch.Generator().manual_seed(0)))
    alone = {
        label: {**mixture, "rounding": Gate(torch.eye(2)[place], place)} for place, label in enumerate(("down", "up"))
    }
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    soft = {**mixture, "rounding": Gate(weights)}
    inputs, others = torch.rand(5, 1, 7, 6).double(), torch.rand(5, 1, 7, 6).double()
    records = {label: {} for label in alone}
    found = {}
    parts = torch.stack([supernet(inputs, one, record=records[label]) for label, one in alone.items()])
    torch.testing.assert_close(supernet(inputs, soft, record=found), torch.einsum("r,rnf->nf", weights, parts))
    assert found.keys() == {f"{label}.{name}" for label, record in records.items() for name in record}
    parts = torch.stack([supernet(others, one, statistics=records[label]) for label, one in alone.items()])
    torch.testing.assert_close(supernet(others, soft, statistics=found), torch.einsum("r,rnf->nf", weights, parts))
    assert supernet.flops(soft) == sum(supernet.flops(one) for one in alone.values())
