"""Relaxations against closed forms and enumeration, float64, and the gradients of sampled candidates."""

import pytest
import torch
import torch.nn.functional as F

from lit_metanas.relaxations import (
    PRUNED,
    AnnealedSoftmax,
    Argmax,
    GumbelSoftmax,
    SampledChild,
    Softmax,
    StraightThrough,
)
from lit_metanas.spaces import LayeredSpace, NASBench201

SOFT = [Softmax(), AnnealedSoftmax(), GumbelSoftmax(), StraightThrough()]
DISCRETE = [SampledChild(), Argmax()]
LOGITS = torch.tensor([0.3, -1.2, 0.9, 0.1], dtype=torch.float64)
NOISE = torch.tensor([0.2, 0.7, 0.4, 0.9], dtype=torch.float64)


def name(relaxation):
    return type(relaxation).__name__


def gumbel(noise):
    return -torch.log(-torch.log(noise))


def softmax_jacobian(p, temperature):
    return (torch.diag(p) - torch.outer(p, p)) / temperature


def gate_of(relaxation, logits=LOGITS, noise=NOISE, progress=0.5):
    return relaxation({"a": logits}, {"a": noise}, progress)["a"]


def jacobian(relaxation, progress=0.5):
    return torch.autograd.functional.jacobian(lambda v: gate_of(relaxation, v, progress=progress).weights, LOGITS)


def frequencies(relaxation, logits, draws=4000):
    generator = torch.Generator().manual_seed(0)
    count = torch.zeros(len(logits))
    for _ in range(draws):
        count[relaxation({"a": logits}, relaxation.draw_noise({"a": logits}, generator), 0.0)["a"].index] += 1
    return count / draws


@pytest.mark.parametrize(
    ("relaxation", "scores", "temperature"),
    [
        (Softmax(temperature=0.7), LOGITS, 0.7),
        (AnnealedSoftmax(start=1.0, end=0.1), LOGITS, 0.55),
        (GumbelSoftmax(start=2.0, end=1.0), LOGITS + gumbel(NOISE), 1.5),
    ],
    ids=["softmax", "annealed", "gumbel"],
)
def test_soft_weights_and_jacobian_have_their_closed_form(relaxation, scores, temperature):
    p = (scores / temperature).exp() / (scores / temperature).exp().sum()
    gate = gate_of(relaxation)
    assert gate.index is None
    torch.testing.assert_close(gate.weights, p, rtol=0, atol=1e-12)
    torch.testing.assert_close(jacobian(relaxation), softmax_jacobian(p, temperature), rtol=0, atol=1e-12)


FALLING = SampledChild(temperature=10.0, end=0.1)


@pytest.mark.parametrize(
    ("relaxation", "progress", "temperature"),
    [
        (StraightThrough(temperature=0.6), 0.5, 0.6),
        (SampledChild(temperature=0.6), 0.5, 0.6),
        *((FALLING, progress, temperature) for progress, temperature in ((0.0, 10.0), (0.5, 5.05), (1.0, 0.1))),
    ],
)
def test_hard_weights_have_the_soft_jacobian(relaxation, progress, temperature):
    scores = LOGITS + gumbel(NOISE)
    p = torch.softmax(scores / temperature, 0)
    gate = gate_of(relaxation, progress=progress)
    assert torch.equal(gate.weights, torch.eye(4, dtype=torch.float64)[scores.argmax()])
    torch.testing.assert_close(jacobian(relaxation, progress), softmax_jacobian(p, temperature), rtol=0, atol=1e-12)
    assert gate.index == (int(scores.argmax()) if isinstance(relaxation, SampledChild) else None)


def test_a_temperature_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="not positive"):
        SampledChild(temperature=1.0, end=0.0)


def test_gumbel_max_frequencies_are_the_softmax():
    p = torch.softmax(LOGITS, 0).float()
    assert (frequencies(SampledChild(), LOGITS) - p).abs().max() < 4 * 0.5 / 4000**0.5


def test_no_gradient_to_logits():
    gate = gate_of(Argmax(), LOGITS.clone().requires_grad_())
    assert not gate.weights.requires_grad
    assert gate.weights[gate.index] == 1
    assert gate.weights.sum() == 1


@pytest.mark.parametrize("relaxation", SOFT + DISCRETE, ids=name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_pruned_candidates_get_nothing(relaxation, dtype):
    logits = torch.tensor([PRUNED, 0.5, PRUNED * 0.51, -3.0], dtype=dtype, requires_grad=True)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        noise = relaxation.draw_noise({"a": logits}, generator)
        gate = relaxation({"a": logits}, noise, 1.0)["a"]
        assert gate.weights[0] == 0
        assert gate.weights[2] == 0
        assert gate.index in (None, 1, 3)
        torch.testing.assert_close(gate.weights.sum().item(), 1.0, rtol=0, atol=1e-6)
        if gate.weights.requires_grad:
            (first,) = torch.autograd.grad((gate.weights**2 @ torch.arange(4.0).to(dtype)), logits, create_graph=True)
            (second,) = torch.autograd.grad(first.square().sum(), logits)
            for gradient in (first, second):
                assert gradient.isfinite().all()
                assert gradient[0] == 0
                assert gradient[2] == 0


@pytest.mark.parametrize("relaxation", SOFT + DISCRETE, ids=name)
def test_single_label_is_one_computed_candidate(relaxation):
    gate = relaxation({"a": torch.zeros(1, requires_grad=True)}, {}, 0.3)["a"]
    assert gate.index == 0
    assert gate.weights.tolist() == [1.0]
    assert not gate.weights.requires_grad


@pytest.mark.parametrize("relaxation", [GumbelSoftmax(), StraightThrough(), SampledChild()], ids=name)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_noise_near_its_ends_is_finite_in_half_precision(relaxation, dtype):
    largest, least = 1 - 2**-24, torch.finfo(torch.float32).tiny  # what ``draw_noise`` can draw
    noise = torch.tensor([largest, 0.5, least])
    gate = gate_of(relaxation, torch.zeros(3, dtype=dtype), noise)
    assert gate.weights.dtype == dtype
    assert gate.weights.tolist() == pytest.approx([1, 0, 0], abs=1e-3)


COMMON = {"kernels": (1, 3), "depths": (3,), "widths": (6,), "dropouts": (0.0,)}


def made(space):
    torch.manual_seed(0)
    supernet = space.supernet((1, 8, 8))
    head = torch.nn.Linear(supernet.features, 3)
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if "shift" in name:
                parameter.normal_(0, 0.3)
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.randn(24, 1, 8, 8, generator=generator), torch.arange(3).repeat(8)
    return lambda mixture: F.cross_entropy(head(supernet(inputs, mixture)), labels)


def sizes(space, relaxation, draws=20):
    """Mean size of each choice's gradient over draws, of those with several candidates."""
    loss = made(space)
    generator = torch.Generator().manual_seed(1)
    logits = {choice.name: torch.zeros(len(choice.labels), requires_grad=True) for choice in space.choices}
    total = dict.fromkeys(logits, 0.0)
    for _ in range(draws):
        mixture = relaxation(logits, relaxation.draw_noise(logits, generator), 0.0)
        slopes = torch.autograd.grad(loss(mixture), list(logits.values()), allow_unused=True)
        for name, slope in zip(logits, slopes, strict=True):
            total[name] += 0.0 if slope is None else slope.abs().sum().item() / draws
    return {name: size for name, size in total.items() if len(logits[name]) > 1}


def test_choices_that_blocks_share_and_edges_of_a_cell_get_a_gradient():
    for space in (
        LayeredSpace(activations=("ReLU", "Tanh"), shared=True, **COMMON),
        NASBench201(channels=4, cells=1, merge_isomorphs=False),
    ):
        found = sizes(space, SampledChild())
        assert min(found.values()) > 0.05 * max(found.values())
        assert min(found.values()) > 1e-3


@pytest.mark.parametrize("mix", ["merged", "normalised"])
def test_a_block_gets_a_gradient_where_no_normalisation_cancels_its_gate(mix):
    """Before a saturating activation or a residual sum the kernel's gate matters in each block."""
    tanh = LayeredSpace(activations=("Tanh",), skips=("none", "residual"), mix=mix, **COMMON)
    residual = LayeredSpace(activations=("ReLU",), skips=("residual",), mix=mix, **COMMON)
    for space, groups in ((tanh, ("kernel", "skip")), (residual, ("kernel",))):
        found = sizes(space, SampledChild())
        wanted = [found[f"layer{layer}.{group}"] for layer in (1, 2, 3) for group in groups]
        assert min(wanted) > 0.05 * max(wanted)
        assert min(wanted) > 1e-3
