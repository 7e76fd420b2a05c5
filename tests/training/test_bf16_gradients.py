"""Gradients in bf16 against those in float64, of a network of each family; what stays in float32."""

from copy import deepcopy
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from cipher_tasks import quiet_trainer
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.inputs.batches import at_least_float32, random_inputs
from lit_metanas.inputs.shapes import ImageShape, RowShape, SeriesShape, Shape, TokenShape
from lit_metanas.meta.differentiation import Differentiation
from lit_metanas.spaces import SearchSpace
from lit_metanas.spaces.operations import batch_normalise, halve
from lit_metanas.training.precision import BF16, FLOAT32, autocast

CPU = torch.device("cpu")
WAY, EXAMPLES = 5, 64
GREY, SERIES, TOKENS = ImageShape(1, 12, 12), SeriesShape(3, 12), TokenShape(13, 12)
OPEN = {"merge_isomorphs": False, "channels": 8}

# Spaces, inputs and the least cosine of a layer. Where it is below 0.99, norms in float32 would help cells and ENAS's
# networks, and cost passes over all values. DARTS's lose as much with the inputs of products alone
# rounded: each rounding turns around some ReLUs, and maxima of pooling, and the deeper a network, the more.
FAMILIES: dict[str, tuple[SearchSpace, Shape, float]] = {
    "layered": (lm.LayeredSpace(depths=(2,), widths=(8,)), GREY, 0.99),
    "darts": (lm.spaces.DARTSCell(channels=4, cells=1), GREY, 0.97),
    "metanas": (lm.spaces.MetaNASCell(channels=4, cells=1), GREY, 0.97),
    "enas": (lm.spaces.ENASMacro(layers=2, channels=8), GREY, 0.97),
    "nas-bench-101": (lm.spaces.NASBench101(vertices=4, channels=8, stacks=1, cells=1), GREY, 0.97),
    "nas-bench-201": (lm.spaces.NASBench201(cells=1, **OPEN), GREY, 0.97),
    "grid": (lm.GridSpace(stages=(2,), depths=(1,), widths=(16,)), GREY, 0.99),
    "mlp": (lm.MLPSpace(), RowShape(7), 0.99),
    "series": (lm.SequenceSpace(), SERIES, 0.99),
    "tokens": (lm.SequenceSpace(), TOKENS, 0.99),
    "encoder-decoder": (lm.EncoderDecoderSpace(lm.SequenceSpace(readouts=("each",)), target_steps=6), TOKENS, 0.99),
}


def layer_gradients(network: nn.Module, space: SearchSpace, inputs: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Of a step's loss in the caller's precision, in float64; the same dropout each time."""
    network = deepcopy(network).train()
    torch.manual_seed(1)
    scores = [at_least_float32(each) for each in space.training_scores(network, inputs, wanted)]
    sum(F.cross_entropy(each.flatten(0, -2), wanted.flatten()) for each in scores).backward()
    found: dict[str, list[Tensor]] = {}
    for name, weights in network.named_parameters():
        if weights.grad is not None:
            found.setdefault(name.rpartition(".")[0], []).append(weights.grad.double().flatten())
    return {name: torch.cat(parts) for name, parts in found.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_in_bf16_are_those_of_float64(family: str) -> None:
    space, shape, least = FAMILIES[family]
    network = space.child(space.sample(torch.Generator().manual_seed(0)), shape, WAY)
    inputs = random_inputs(EXAMPLES, shape)
    wanted = torch.randint(WAY, (EXAMPLES, 6) if space.scored == "target" else (EXAMPLES,))
    exact_inputs = inputs.double() if inputs.is_floating_point() else inputs
    exact = layer_gradients(network.double(), space, exact_inputs, wanted)
    with autocast(BF16, CPU):
        found = layer_gradients(network.float(), space, inputs, wanted)
    assert found.keys() == exact.keys()
    # What is before a norm may have no gradient but rounding.
    floor = 1e-3 * max(float(gradient.norm()) for gradient in exact.values())
    cosines = {
        name: float(F.cosine_similarity(gradient, found[name], 0))
        for name, gradient in exact.items()
        if gradient.norm() > floor
    }
    assert {name: cosine for name, cosine in cosines.items() if not cosine >= least} == {}


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("size", [(8, 6), (7, 6)])
def test_average_pooling_in_bf16_gives_the_same_numbers(size: tuple[int, int], up: bool) -> None:
    images = torch.randn(3, 4, *size).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    theirs, ours = torch.nn.AvgPool2d(2, ceil_mode=up)(images), halve("avg", images, up=up)
    assert torch.equal(ours, theirs)
    assert ours.stride() == theirs.stride()
    given = torch.randn_like(theirs)
    (expected,), (found,) = (torch.autograd.grad(each, images, given) for each in (theirs, ours))
    assert torch.equal(found, expected)
    whole = images.detach().unsqueeze(0)
    assert torch.equal(torch.vmap(partial(halve, "avg", up=up))(whole)[0], theirs)


def test_recorded_statistics_of_bf16_are_float32() -> None:
    images, record = (100 + torch.randn(50, 3, 4, 4)).bfloat16(), dict[str, Tensor]()
    batch_normalise(images, None, None, key="one", statistics=None, record=record)
    torch.testing.assert_close(record["one.mean"], images.double().mean((0, 2, 3)).float())
    torch.testing.assert_close(record["one.var"], images.double().var((0, 2, 3), correction=0).float())


@pytest.mark.parametrize("functional", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_what_is_differentiated_twice_has_no_autocast(functional: bool, second: bool) -> None:
    seen = []

    def loss(at: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        value = (at["weights"] @ at["weights"]).sum()
        seen.append((at["weights"] @ at["weights"]).dtype)
        return value.float(), value.detach()

    with autocast(BF16, CPU):
        Differentiation(functional, second)(loss, {"weights": torch.rand(3, 3, requires_grad=True)})
    assert seen == [torch.float32 if second else torch.bfloat16]


def hypergradient(precision: str) -> dict[str, Tensor]:
    """That of DARTS at second order, for a product of weights and logits."""
    inputs = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))

    def loss(weights: dict[str, Tensor], logits: dict[str, Tensor]) -> Tensor:
        return (inputs @ weights["w"] * logits["a"]).float().square().mean()

    given = {"w": torch.ones(4, 3, requires_grad=True)}, {"a": torch.full((3,), 0.5, requires_grad=True)}
    with autocast(precision, CPU):
        return lm.training.SecondOrder()(train_loss=loss, val_loss=loss, weights=given[0], logits=given[1], rate=0.1)


def test_a_second_order_hypergradient_is_the_same_in_bf16() -> None:
    assert torch.equal(hypergradient(BF16)["a"], hypergradient(FLOAT32)["a"])


class Noting(lm.meta.PrototypeHead):
    """Notes in what it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[torch.dtype, bool]] = set()

    def scores(self, head: dict[str, Tensor], features: Tensor, support: Tensor, labels: Tensor, way: int) -> Tensor:
        self.seen.add((features.dtype, torch.is_autocast_enabled("cpu")))
        return super().scores(head, features, support, labels, way)


def test_a_meta_training_in_bf16_has_distances_and_weights_in_float32() -> None:
    source = lm.kinds.ArraySource(torch.rand(60, 8, 8), torch.arange(60) % 6)
    head = Noting()
    model = lm.MetaSearch(space=lm.LayeredSpace(shared=True, widths=(4,), depths=(2,)), head=head)
    quiet_trainer(precision=BF16, limit_val_batches=0).fit(
        model, lm.EpisodeDataModule(source, way=2, steps_per_epoch=2)
    )
    assert head.seen == {(torch.float32, False)}
    assert {weights.dtype for weights in model.parameters()} == {torch.float32}
