"""The union of spaces: its choices, its networks, and what they inherit."""

from unittest.mock import patch

import pytest
import torch

import lit_metanas as lm
from lit_metanas.records import SearchRecord, Trial
from lit_metanas.searchers.halving.proposals import fitting
from lit_metanas.searchers.mutation import mutate
from lit_metanas.spaces import OneHotEncoding, UnionSpace
from lit_metanas.spaces.choice_space import named_networks
from lit_metanas.spaces.union.union_space import in_family
from lit_metanas.testing.network_check import check_choices

SHAPE, WAY = lm.SeriesShape(7, 20), 3
STEPS = lm.SequenceSpace(operations=("conv_3", "gru"), depths=(1, 2), widths=(8,), activations=("ReLU",))
GRID = lm.GridSpace(
    stages=(1, 2), depths=(1,), widths=(8, 16), activations=("ReLU",), stems=("conv",), downs=("max", "avg"),
    norms=("batch",), blocks=("conv", "residual"), readouts=("average",),
)  # fmt: skip
SPACE = UnionSpace({"steps": STEPS, "grid": GRID})
GRU = {"operation": "gru"}  # of a group of choices


def test_its_choices_pass_the_test_kit() -> None:
    check_choices(SPACE, 0)


def test_an_architecture_has_the_choices_of_its_family_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    found = [SPACE.sample(generator) for _ in range(40)]
    assert {one["family"] for one in found} == {"steps", "grid"}
    for one in found:
        own = lm.Architecture({name.split(".", 1)[1]: label for name, label in one.items() if name != "family"})
        space = SPACE.families[one["family"]]
        assert space.canonical(own) == own
        assert all(name == "family" or name.startswith(f"{one['family']}.") for name in one)
        assert SPACE.cost(one, SHAPE, WAY) == space.cost(own, SHAPE, WAY)
    assert SPACE.size == STEPS.size + GRID.size
    all_found = list(UnionSpace({"grid": GRID}).architectures())
    assert len(all_found) == len(set(all_found)) == len(list(GRID.architectures()))
    vectors = OneHotEncoding(SPACE)(found)
    same = torch.tensor([[one == other for other in found] for one in found])
    assert torch.equal(torch.cdist(vectors, vectors) == 0, same)


def test_searches_begin_with_named_networks_of_both_families_and_change_one_into_the_other() -> None:
    named = ({"steps.layer1.operation": "gru"}, {"grid.block": "residual"})
    first = named_networks(SPACE, [in_family("steps", GRU), in_family("grid", {"block": "residual"})])
    assert [one["family"] for one in first] == ["steps", "grid"]
    assert all(labels.items() <= one.items() for labels, one in zip(named, first, strict=True))
    generator = torch.Generator().manual_seed(0)
    changed = [mutate(SPACE, first[0], generator) for _ in range(80)]
    assert {one["family"] for one in changed} == {"steps", "grid"}
    assert all(SPACE.canonical(one) == one for one in changed)


def test_a_child_inherits_from_its_own_family_alone() -> None:
    one, other = named_networks(SPACE, [in_family("steps", GRU), in_family("grid", {"width": "8"})])
    inputs = torch.rand(4, *SHAPE)
    learned = SPACE.supernet_weights(SPACE.child(one, SHAPE, WAY))
    torch.manual_seed(1)
    fresh = SPACE.child(other, SHAPE, WAY).eval()
    torch.manual_seed(1)
    found = SPACE.child(other, SHAPE, WAY, learned).eval()
    torch.testing.assert_close(found(inputs), fresh(inputs), rtol=0, atol=0)
    both = {**learned, **SPACE.supernet_weights(fresh)}
    torch.testing.assert_close(SPACE.child(other, SHAPE, WAY, both).eval()(inputs), fresh(inputs))
    wider = SPACE.canonical({**other, "grid.width": "16"})
    kernels = SPACE.supernet_weights(SPACE.child(wider, SHAPE, WAY, both))["grid.body.stems.conv.conv.weight"]
    torch.testing.assert_close(kernels[:8], both["grid.body.stems.conv.conv.weight"])


def test_first_weights_are_those_of_families_that_draw_a_supernet() -> None:
    torch.manual_seed(0)
    found = SPACE.first_weights(SHAPE)
    torch.manual_seed(0)
    own = STEPS.first_weights(SHAPE)
    assert own
    torch.testing.assert_close(found, {f"steps.{name}": value for name, value in own.items()}, rtol=0, atol=0)


def test_records_of_a_family_are_records_of_the_union() -> None:
    own = STEPS.sample(torch.Generator().manual_seed(0))
    trials = [Trial(own, 0.5, lm.Cost(queries=1))]
    joined = SearchRecord("t", [Trial(lm.Architecture(in_family("steps", own)), 0.5, lm.Cost())], space="UnionSpace")
    foreign = SearchRecord("t", trials, space="LayeredSpace")
    found = fitting([SearchRecord("t", trials, space="SequenceSpace"), joined, foreign], SPACE)
    known = [[trial.architecture for trial in record.trials] for record in found]
    assert known == [[joined.trials[0].architecture]] * 2
    steps = [SearchRecord("t", trials, space="SequenceSpace")]
    assert not fitting(steps, SPACE.restricted({"family": "grid"}))
    assert not fitting(steps, SPACE.limited(lambda one: "too large"))


def test_families_of_different_inputs_are_used_one_by_one() -> None:
    both = UnionSpace({"steps": STEPS, "rows": lm.MLPSpace()})
    assert both.shapes == ()
    with pytest.raises(ValueError, match="MLPSpace is for rows of numbers, and the inputs are"):
        both.check_shape(SHAPE)
    rows = both.restricted({"family": "rows"})
    assert rows.shapes == (lm.RowShape,)
    one = rows.sample(torch.Generator().manual_seed(0))
    assert rows.child(one, lm.RowShape(5), WAY, rows.first_weights(lm.RowShape(5)))(torch.rand(2, 5)).shape == (2, WAY)
    assert both.cost(one, lm.RowShape(5), WAY) == rows.cost(one, lm.RowShape(5), WAY)
    other = both.restricted({"family": "steps"}).sample(torch.Generator().manual_seed(0))
    assert rows.violation(other) == "its family 'steps' is left out"


def test_a_supernet_only_holds_weights() -> None:
    supernet = SPACE.supernet(SHAPE)
    assert set(SPACE.first_weights(SHAPE)) <= {name for name, _ in supernet.named_parameters()}
    gates = lm.spaces.one_hot(SPACE.choices, SPACE.sample(torch.Generator()))
    with pytest.raises(ValueError, match="UnionSpace: a supernet only holds weights: take the space of one family"):
        supernet(torch.rand(2, *SHAPE), gates)


@pytest.mark.parametrize(
    "architecture", named_networks(SPACE, [in_family("steps", GRU), in_family("grid", {})]), ids=str
)
def test_scores_of_a_long_series_are_the_mean_over_its_windows(architecture: lm.Architecture) -> None:
    space, long = UnionSpace(SPACE.families, window=10), lm.SeriesShape(7, 28)  # three windows of ten steps
    network = space.child(architecture, long, WAY).eval()
    inputs = torch.rand(4, *long)
    inputs[:, -1] = 1
    for row, steps in enumerate((28, 20, 3, 0)):
        inputs[row, :, steps:] = 0
    padded = torch.nn.functional.pad(inputs, (0, 2))
    plain = space.families[architecture["family"]]
    own = {name.split(".", 1)[1]: label for name, label in architecture.items() if "." in name}
    whole = lm.SeriesShape(7, 10)
    window = plain.child(lm.Architecture(own), whole, WAY).eval()
    window.load_state_dict(network.get_submodule("window").state_dict())
    scores = network(inputs)
    for row, windows in enumerate((3, 2, 1, 1)):
        parts = [window(padded[row : row + 1, :, 10 * at : 10 * at + 10]) for at in range(windows)]
        torch.testing.assert_close(scores[row], torch.cat(parts).mean(0))
    with patch("lit_metanas.spaces.union.union_space.WINDOWS_AT_ONCE", 5):
        torch.testing.assert_close(network(inputs), scores)
    program = torch.export.export(network, (inputs,), dynamic_shapes=({0: torch.export.Dim.AUTO},)).module()
    torch.testing.assert_close(program(inputs[:3]), scores[:3])
    assert space.cost(architecture, long, WAY) == plain.cost(lm.Architecture(own), whole, WAY)
    heir = space.child(architecture, long, WAY, space.supernet_weights(network)).eval()
    torch.testing.assert_close(heir(inputs), scores)


def test_a_network_is_trained_on_one_window_that_sounds() -> None:
    space, long = UnionSpace({"steps": STEPS}, window=10), lm.SeriesShape(7, 30)
    network = space.child(space.sample(torch.Generator().manual_seed(0)), long, WAY).train()
    inputs = torch.arange(3.0).repeat_interleave(10).expand(200, 7, 30).clone()  # each window has its number
    inputs[:, -1] = 1
    inputs[:, :, 20:] = 0
    with patch.object(
        type(network.get_submodule("window")), "embed", side_effect=lambda given: given[:, :, 0]
    ) as embed:
        network.embed(inputs)
    (taken,) = embed.call_args.args
    assert taken.shape == (200, 7, 10)
    assert taken[:, 0].unique().tolist() == [0, 1]
    assert space.supernet(long).features == space.supernet(lm.SeriesShape(7, 10)).features
