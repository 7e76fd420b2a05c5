"""The sequence space: what its networks compute does not depend on padding; what it may be asked for."""

import pytest
import torch
from space_toys import SERIES, SHAPES, TOKENS, labels, one_reader, only
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import blank_inputs, random_inputs
from lit_metanas.inputs.shapes import SeriesShape, TokenShape
from lit_metanas.spaces import Gate, SearchSpace, SequenceSpace, one_hot
from lit_metanas.spaces.sequence.step_operations import OPERATIONS, READOUTS, ParallelConvolutions
from lit_metanas.testing import check_space

WHOLE = tuple(label for label in READOUTS if label != "each")
ALL = {
    "operations": tuple(OPERATIONS),
    "activations": ("ReLU", "Sigmoid", "Tanh", "GELU"),
    "norms": ("layer", "none"),
    "readouts": WHOLE,
    "widths": (8,),
}


def padded(inputs, steps):
    """More steps behind the end, or fewer."""
    return nn.functional.pad(inputs, (0, steps - inputs.shape[-1]))


@SHAPES
@pytest.mark.parametrize(
    "options",
    [ALL, {**ALL, "pools": ("max", "avg"), "stride": 2}, {**ALL, "shared": True, "depths": (1, 3)}],
    ids=["all", "halved", "shared"],
)
def test_it_passes_the_test_kit(shape, options):
    check_space(SequenceSpace(**options), shape)


def examples(shape):
    """Five examples, each alone; of different lengths, one of them without steps."""
    inputs = random_inputs(5, shape)
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    lengths = (11, 1, 4, 7, 0)
    return [inputs[place : place + 1, ..., :length] for place, length in enumerate(lengths)]


@SHAPES
@pytest.mark.parametrize("label", [*OPERATIONS, *WHOLE, "pools", "stride"])
def test_scores_depend_neither_on_padding_nor_on_the_batch(label, shape):
    options = {
        "pools": {"pools": ("max",), "operations": ("conv_5",)},
        "stride": {"stride": 3, "operations": ("attention_2",)},
        **{readout: {"readouts": (readout,), "operations": ("conv_5",)} for readout in WHOLE},
    }.get(label, {"operations": (label,)})
    space = one_reader(**options)
    child = space.child(only(space), shape, 3).double().eval()
    alone = [one.clone() for one in examples(shape)]
    with torch.no_grad():
        together = child(torch.cat([padded(inputs, 11) for inputs in alone]))
        assert together.isfinite().all()
        assert len({tuple(row) for row in together.round(decimals=6).tolist()}) == 5
        for place, inputs in enumerate(alone):
            for steps in {max(1, inputs.shape[-1]), 9, 11}:
                if steps >= inputs.shape[-1]:
                    found = child(padded(inputs, steps))
                    torch.testing.assert_close(found[0], together[place], rtol=0, atol=1e-10)


@SHAPES
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2}, {"depths": (2,), "pools": ("max", "avg")}],
    ids=["open", "stride", "halved"],
)  # fmt: skip
def test_a_supernet_scores_each_step(shape, options, double_supernet, random_gates):
    """As its children do, and the mixture does not depend on padding, nor on the batch, either."""
    space = SequenceSpace(**{**ALL, "readouts": ("each",), "depths": (1, 2), **options})
    check_space(space, shape)
    net, _ = double_supernet(space, shape)
    outputs = {name: value.double() for name, value in space.output_weights(net.features, 3).items()}
    assert net.output_flops(3) == 8 * 3 * (11 if not options else 6 if "stride" in options else 3)
    alone = examples(shape)
    for kind in ("soft", "index"):
        gates = random_gates(space, kind, torch.Generator().manual_seed(0))
        together = net.scores(outputs, torch.cat([padded(inputs, 11) for inputs in alone]), gates)
        for place, inputs in enumerate(alone):
            found = net.scores(outputs, padded(inputs, max(1, inputs.shape[-1])), gates)
            torch.testing.assert_close(found[0], together[place, : found.shape[1]], rtol=0, atol=1e-10)


def test_a_supernet_refuses_depths_that_leave_different_numbers_of_steps():
    space = one_reader(readouts=("each",), pools=("max",), depths=(1, 2))
    net = space.supernet(TOKENS)
    with pytest.raises(ValueError, match="scores steps of one number, and depths 1, 2 are left, of which each"):
        net(blank_inputs(2, TOKENS), one_hot(space.choices, space.sample(torch.Generator())))
    check_space(space, TOKENS)  # of the children


@SHAPES
def test_a_gradient_is_finite_where_an_example_is_empty(shape):
    space = SequenceSpace(**ALL)
    net = space.supernet(shape).double()
    gates = {c.name: Gate(torch.full((len(c.labels),), 1 / len(c.labels), dtype=torch.float64)) for c in space.choices}
    inputs = torch.cat([padded(inputs, 11) for inputs in examples(shape)])
    gradients = torch.autograd.grad((net(inputs, gates) ** 2).sum(), list(net.parameters()))
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_text_cnn_is_a_point_of_it():
    """Kim 2014: vectors of words, convolutions of several sizes, the most of each channel over time, dropout."""
    space = one_reader(operations=("conv_2_to_5",), activations=("ReLU",), norms=("none",), skips=("none",),
                       depths=(1,), dropouts=(0.5,), readouts=("max",))  # fmt: skip
    network = space.child(only(space), TokenShape(20, 12), way=3).double().eval()
    vectors, head = network.body.stem.embedding.weight, network.head
    parts = next(own for own in network.modules() if isinstance(own, ParallelConvolutions)).parts
    tokens = torch.tensor([[4, 9, 2, 7, 7, 3, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0]])
    with torch.no_grad():
        for example, length in zip(tokens, (6, 1), strict=True):
            most = []
            for size, part in zip((2, 3, 4, 5), parts, strict=True):
                words = nn.functional.pad(vectors[example[:length]].T, (size // 2, (size - 1) // 2))
                maps = torch.einsum("ock,ctk->ot", part.weight, words.unfold(1, size, 1)) + part.bias[:, None]
                most.append(maps.relu().amax(1))
            torch.testing.assert_close(network(example[None])[0], head(torch.cat(most)))


@SHAPES
def test_steps_that_are_padding_in_all_examples_are_not_computed(shape):
    space = one_reader()
    child = space.child(only(space), shape, 5).eval()
    counts = []
    for steps in (4, 11):
        inputs = padded(blank_inputs(2, shape)[..., :steps], 11)
        with FlopCounterMode(display=False) as counter:
            child(inputs)
        counts.append(counter.get_total_flops() // 4 - 40)
    assert counts[0] * 11 == counts[1] * 4


def test_a_supernet_computes_one_width():
    space = one_reader(widths=(4, 8))
    sentence = r"a supernet is of one width, and 4, 8 are left: give 'widths' one, or search by a method that trains "
    with pytest.raises(ValueError, match=sentence):
        space.supernet(TOKENS)(blank_inputs(2, TOKENS), one_hot(space.choices, {}))
    check_space(space.restricted({"width": "8"}))
    architectures = {width: space.canonical({**labels(space), "width": width}) for width in ("4", "8")}
    sizes = [space.cost(architecture, TOKENS, 5).parameters for architecture in architectures.values()]
    assert sizes[0] < sizes[1]
    first = space.first_weights(TOKENS)
    narrow = space.child(architectures["4"], TOKENS, 5, first).body.stem.embedding.weight
    assert torch.equal(narrow, first["body.stem.embedding.weight"][:, :4])


def test_more_steps_than_a_network_is_for_are_told():
    child = one_reader().child(only(one_reader()), TOKENS, 5)
    with pytest.raises(ValueError, match="An input has 12 steps, and the network is for up to 11: cut it"):
        child(torch.ones(1, 12, dtype=torch.int64))
    child(padded(torch.ones(1, 11, dtype=torch.int64), 20))  # padding is left out


class OwnSequences(SearchSpace):
    shapes = (SeriesShape,)

    def body(self, shape, build):
        width = {str(size): size for size in (4, 8)}[build.question("width", (4, 8)).labels[-1]]
        return nn.Sequential(nn.Conv1d(shape.features, width, 3, padding=1), build.dropout("dropout", (0.1,), width))


def test_ones_own_body_may_be_for_series():
    space = OwnSequences()
    assert [choice.name for choice in space.choices] == ["width", "dropout"]
    check_space(space.restricted({"width": "8"}))
    child = space.child(space.canonical({"width": "4", "dropout": "0.1"}), SERIES, 5)
    dropped = child.body[1](torch.ones(50, 4, 11))
    assert set(dropped.amax(2).flatten().mul(0.9).round(decimals=4).tolist()) == {0.0, 1.0}
    assert torch.equal(dropped.amax(2), dropped.amin(2))  # whole channels
