"""What GDAS computes in real supernets, and where its logits get a gradient."""

import pytest
import torch
import torch.nn.functional as F

from lit_metanas.relaxations import SampledChild, Softmax
from lit_metanas.spaces import LayeredSpace, NASBench201, one_hot

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
    return supernet, lambda mixture: F.cross_entropy(head(supernet(inputs, mixture)), labels)


def sizes(space, relaxation, draws=20):
    """Mean size of each choice's gradient over draws, of those with several candidates."""
    _, loss = made(space)
    generator = torch.Generator().manual_seed(1)
    logits = {choice.name: torch.zeros(len(choice.labels), requires_grad=True) for choice in space.choices}
    total = dict.fromkeys(logits, 0.0)
    for _ in range(draws):
        mixture = relaxation(logits, relaxation.draw_noise(logits, generator), 0.0)
        slopes = torch.autograd.grad(loss(mixture), list(logits.values()), allow_unused=True)
        for name, slope in zip(logits, slopes, strict=True):
            total[name] += 0.0 if slope is None else slope.abs().sum().item() / draws
    return {name: size for name, size in total.items() if len(logits[name]) > 1}


def test_the_temperature_falls_from_start_to_end():
    logits = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    noise = torch.tensor([0.2, 0.7, 0.5], dtype=torch.float64)
    scores = logits.detach() - torch.log(-torch.log(noise))
    for progress, temperature in [(0.0, 10.0), (0.5, 5.05), (1.0, 0.1)]:
        gate = SampledChild(temperature=10.0, end=0.1)({"a": logits}, {"a": noise}, progress)["a"]
        soft = (scores / temperature).exp() / (scores / temperature).exp().sum()
        (slope,) = torch.autograd.grad(gate.weights[gate.index], logits)
        chosen = torch.eye(3, dtype=torch.float64)[gate.index]
        torch.testing.assert_close(slope, soft[gate.index] * (chosen - soft) / temperature, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="not positive"):
        SampledChild(temperature=1.0, end=0.0)


@pytest.mark.parametrize(
    "space",
    [LayeredSpace(activations=("ReLU", "Tanh"), **COMMON), NASBench201(channels=2, cells=1, merge_isomorphs=False)],
    ids=lambda space: space.name,
)
def test_one_candidate_of_each_choice_is_computed(space):
    supernet, loss = made(space)
    generator = torch.Generator().manual_seed(2)
    logits = {choice.name: torch.zeros(len(choice.labels), requires_grad=True) for choice in space.choices}
    mixture = SampledChild()(logits, SampledChild().draw_noise(logits, generator), 0.0)
    labels = {choice.name: choice.labels[mixture[choice.name].index] for choice in space.choices}
    alone = one_hot(space.choices, space.canonical(labels))
    assert supernet.flops(mixture) == supernet.flops(alone) < supernet.flops(Softmax()(logits, {}, 0.0))
    weights = dict(supernet.named_parameters())
    ours, theirs = (
        torch.autograd.grad(loss(one), list(weights.values()), allow_unused=True) for one in (mixture, alone)
    )
    assert [slope is None for slope in ours] == [slope is None for slope in theirs]
    assert any(slope is None for slope in ours)
    torch.testing.assert_close(loss(mixture), loss(alone))


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


def test_a_gate_before_a_normalisation_gets_none_where_a_soft_mixture_does():
    space = LayeredSpace(activations=("ReLU",), mix="normalised", **COMMON)
    sampled, soft = sizes(space, SampledChild()), sizes(space, Softmax(), draws=1)
    for layer in (1, 2):
        for group in ("kernel", "pool"):
            assert sampled[f"layer{layer}.{group}"] < 1e-4 < 1e-3 < soft[f"layer{layer}.{group}"]
    assert sampled["layer3.kernel"] > 1e-2
