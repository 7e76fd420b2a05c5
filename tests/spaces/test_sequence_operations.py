"""Candidates of the sequence space against plain loops, in float64; nothing behind an example's end matters to them."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lit_metanas.spaces.sequence.step_operations import (
    OPERATIONS,
    READOUTS,
    StepPool,
    Steps,
    current_steps,
    sinusoids,
    telling_steps,
)

WIDTH, LENGTHS = 8, (6, 1, 4, 0)
STEPS = Steps(torch.arange(6) < torch.tensor(LENGTHS)[:, None])


@pytest.fixture
def inputs():
    """Four examples, one of them without steps; zeros behind their ends."""
    generator = torch.Generator().manual_seed(0)
    return STEPS.blank(torch.randn(4, WIDTH, 6, dtype=torch.float64, generator=generator))


def make(label):
    return OPERATIONS[label](WIDTH, 6).double()


def told(layer, inputs, steps=STEPS):
    with telling_steps(steps):
        return layer(inputs)


def convolved(x, kernel, bias, dilation=1):
    """Zeros around ``(channels, steps)``, one tap after the other."""
    reach = kernel.shape[2] // 2
    found = torch.zeros(kernel.shape[0], x.shape[1], dtype=torch.float64)
    for step in range(x.shape[1]):
        for tap in range(kernel.shape[2]):
            place = step + dilation * (tap - reach)
            if 0 <= place < x.shape[1]:
                found[:, step] += kernel[:, :, tap] @ x[:, place]
    return found if bias is None else found + bias[:, None]


def separable(layer, x):
    depthwise, pointwise = layer
    kernel = torch.diag_embed(depthwise.weight[:, 0].T).permute(1, 2, 0)  # (width, width, size)
    return convolved(convolved(x, kernel, None), pointwise.weight, pointwise.bias)


def gated(layer, x):
    value, gate = convolved(x, layer.maps.weight, layer.maps.bias).chunk(2)
    return value * gate.sigmoid()


def attended(layer, x):
    rows = x.T + layer.positions[: x.shape[1]]
    query, key, value = (rows @ layer.weight.T + layer.bias).chunk(3, dim=1)
    heads = [part.view(len(rows), layer.heads, -1).transpose(0, 1) for part in (query, key, value)]
    mixed = F.scaled_dot_product_attention(*heads)
    return layer.output(mixed.transpose(0, 1).flatten(1)).T


def recurrent(layer, x):
    reference = nn.GRU(WIDTH, WIDTH // 2, bidirectional=True).double()
    for part, ending in ((layer.ahead, ""), (layer.back, "_reverse")):
        own = {"weight_ih": part.input_weight, "weight_hh": part.hidden_weight}
        own |= {"bias_ih": part.input_bias, "bias_hh": part.hidden_bias}
        for name, value in own.items():
            getattr(reference, f"{name}_l0{ending}").data = value.data
    return reference(x.T)[0].T


def inception(layer, x):
    narrow = convolved(x, layer.bottleneck.weight, None)
    made = [convolved(narrow, one.weight, one.bias) for one in layer.convolutions.parts]
    return torch.cat([*made, convolved(pooled(layer.pool, x), layer.pooled.weight, None)])


def pooled(layer, x):
    found = []
    for step in range(0, x.shape[1], layer.stride):
        first = max(0, step - layer.margin)
        window = x[:, first : step - layer.margin + layer.size]
        found.append(window.amax(1) if layer.kind == "max" else window.mean(1))
    return torch.stack(found, dim=1)


PLAIN = {
    "identity": lambda layer, x: x,
    **{f"conv_{size}": lambda layer, x: convolved(x, layer.weight, layer.bias) for size in (3, 5, 7)},
    **{f"sep_conv_{size}": separable for size in (3, 5, 7)},
    "conv_2_to_5": lambda layer, x: torch.cat([convolved(x, one.weight, one.bias) for one in layer.parts]),
    "dil_conv_3": lambda layer, x: convolved(x, layer.weight, layer.bias, dilation=2),
    "inception": inception,
    "gated_linear": gated,
    "attention_2": attended,
    "attention_4": attended,
    "gru": recurrent,
    "max_pool_3": pooled,
    "avg_pool_3": pooled,
}


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_is_its_plain_loop(label, inputs):
    layer = make(label)
    with torch.no_grad():
        found = told(layer, inputs)
        assert found.shape == inputs.shape
        assert found.isfinite().all()
        for example, length in enumerate(LENGTHS):
            if length:
                expected = PLAIN[label](layer, inputs[example, :, :length])
                torch.testing.assert_close(found[example, :, :length], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", ["max", "avg"])
def test_a_halving_pool_is_its_plain_loop(kind, inputs):
    layer, steps = StepPool(kind, 2, 2), Steps(STEPS.within[:, :5])
    found = told(layer, inputs[..., :5], steps)
    assert found.shape == (4, WIDTH, 3)
    for example, length in enumerate((5, 1, 4)):
        expected = pooled(layer, inputs[example, :, :length])
        assert expected.shape[1] == steps.every(2).lengths[example] == -(-length // 2)
        torch.testing.assert_close(found[example, :, : expected.shape[1]], expected, rtol=0, atol=1e-12)


def test_readouts_are_those_of_the_steps_within(inputs):
    found = {label: told(READOUTS[label](WIDTH), inputs) for label in ("mean", "max", "last")}
    layer = READOUTS["attention"](WIDTH).double()
    torch.testing.assert_close(told(layer, inputs), found["mean"])  # before it has learned anything
    nn.init.normal_(layer.score.weight)
    found["attention"] = told(layer, inputs)
    for example, length in enumerate(LENGTHS[:3]):
        x = inputs[example, :, :length]
        weights = torch.softmax(layer.score.weight[0, :, 0] @ x, 0)
        expected = {"mean": x.mean(1), "max": x.amax(1), "last": x[:, -1], "attention": x @ weights}
        for label, value in expected.items():
            torch.testing.assert_close(found[label][example], value, rtol=0, atol=1e-12)
    assert all(value[3].tolist() == [0.0] * WIDTH for value in found.values())
    assert {*found, "each"} == READOUTS.keys()
    assert torch.equal(told(READOUTS["each"](WIDTH), inputs + 1), STEPS.blank(inputs + 1))


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_can_be_differentiated_twice(label):
    layer = make(label)
    steps = Steps(torch.tensor([[True, True, True], [True, True, False], [False, False, False]]))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, WIDTH, 3, dtype=torch.float64, generator=generator)
    parameters = tuple(layer.parameters())

    def first(inputs):
        """Gradients of the parameters, as an inner step takes them, and of the inputs."""
        loss = steps.every(1).blank(told(layer, steps.blank(inputs), steps)).pow(3).sum()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, (*parameters, inputs), create_graph=True)])

    x.requires_grad_()
    found = first(x)
    direction = torch.randn(found.shape, dtype=torch.float64, generator=generator)
    (second,) = torch.autograd.grad(found @ direction, x)
    towards, small = torch.randn(x.shape, dtype=torch.float64, generator=generator), 1e-5
    ahead, back = (first((x + sign * small * towards).detach().requires_grad_()) for sign in (1, -1))
    slope = float((ahead - back).detach() @ direction) / (2 * small)
    assert second.isfinite().all()
    assert float((second * towards).sum()) == pytest.approx(slope, rel=1e-5, abs=1e-7)
    assert abs(slope) > 1e-3


def test_attention_knows_places_by_the_sines_and_cosines_of_the_paper(inputs):
    layer = make("attention_2")
    assert not torch.allclose(told(layer, inputs[:1])[0], told(layer, inputs.flip(2)[:1]).flip(2)[0])
    assert "positions" not in dict(layer.named_parameters())
    expected = [math.sin(2), math.cos(2), math.sin(0.02), math.cos(0.02)]
    assert sinusoids(3, 4)[2].tolist() == pytest.approx(expected, abs=1e-6)


def test_a_layer_is_told_the_steps_by_its_network_alone():
    with pytest.raises(RuntimeError, match="only its network knows"):
        current_steps()
