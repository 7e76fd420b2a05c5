"""The grid space: its choices, its networks against hand-written ones, and what they inherit."""

from collections.abc import Mapping, Sequence
from itertools import product
from operator import le

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock

import lit_metanas as lm
from lit_metanas.inputs.batches import random_inputs
from lit_metanas.kinds.images.image_kind import CONV_NET, IMAGE_NETWORKS, RES_NET
from lit_metanas.spaces.choice_space import complete
from lit_metanas.spaces.grid.grid_blocks import scaled_kernel
from lit_metanas.spaces.grid.grid_space import SeriesImage
from lit_metanas.testing.network_check import check_choices

SPACE = lm.GridSpace(activations=("ReLU", "GELU", "SiLU", "ReLU6"))
SHAPE, WAY = (3, 32, 32), 7
MAX, AVG, MEANS = nn.MaxPool2d(2), nn.AvgPool2d(2), (nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_a_supernet_holds_the_weights_of_all_children_and_refuses_to_compute() -> None:
    space = lm.GridSpace(
        stages=(2,), depths=(1,), widths=(8, 16), growths=("1", "2"), activations=("ReLU",), stems=("conv",),
        downs=("max", "stride"), norms=("batch", "none"), blocks=("conv", "inverted"), readouts=("average",),
        dropouts=(0.0,), branch_dropouts=(0.0,),
    )  # fmt: skip
    check_choices(space, 0)
    supernet = space.supernet((1, 12, 12))
    weights = dict(supernet.named_parameters())
    for architecture in space.architectures():
        child = space.child(architecture, (1, 12, 12), WAY)
        for name, own in space.supernet_weights(child).items():
            if not name.startswith("head.") and not name.endswith((".mean", ".var")):
                assert all(map(le, own.shape, weights[name].shape))
    gates = lm.spaces.one_hot(space.choices, architecture)
    with pytest.raises(ValueError, match="GridSpace: a supernet only holds weights: take LayeredSpace, or search by a"):
        supernet(torch.rand(2, 1, 12, 12), gates)


def normed(channels: int, width: int, size: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, size, stride, size // 2, bias=False), nn.BatchNorm2d(width)]


def conv_net(widths: Sequence[int], pool: nn.Module, head: Sequence[nn.Module], *, convs: int = 1) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        for _ in range(convs):
            layers += [*normed(channels, width, 3), nn.ReLU()]
            channels = width
        layers.append(pool)
    return nn.Sequential(*layers, *head)


def res_net_10() -> nn.Module:
    blocks = [BasicBlock(16, 16)]
    for before, width in ((16, 32), (32, 64), (64, 128)):
        blocks.append(BasicBlock(before, width, 2, nn.Sequential(*normed(before, width, 1, 2))))
    return nn.Sequential(*normed(3, 16, 3), nn.ReLU(), *blocks, *MEANS, nn.Linear(128, WAY))


def mobile_net() -> nn.Module:
    blocks: list[nn.Module] = []
    for before, width in ((16, 16), (16, 32), (32, 64)):
        blocks += [InvertedResidual(before, width, 1 + (width > before), 4), InvertedResidual(width, width, 1, 4)]
    return nn.Sequential(*normed(3, 16, 3, 2), nn.ReLU6(), *blocks, *MEANS, nn.Linear(64, WAY))


POINTS: Mapping[str, tuple[nn.Module, Mapping[str, str]]] = {
    "Conv-4": (
        conv_net([64] * 4, MAX, [nn.Flatten(), nn.Linear(256, WAY)]), {**CONV_NET, "width": "64", "growth": "1"}
    ),
    "the pyramid": (
        conv_net([16, 32, 64, 64], AVG, [*MEANS, nn.Linear(64, WAY)]),
        {**CONV_NET, "width": "16", "down": "avg", "readout": "average"},
    ),
    "32-64-128-128": (conv_net([32, 64, 128, 128], MAX, [nn.Flatten(), nn.Linear(512, WAY)]), CONV_NET),
    "VGG-8": (
        conv_net([32, 64, 128, 128], MAX, [nn.Flatten(), nn.Linear(512, WAY)], convs=2), {**CONV_NET, "depth": "2"}
    ),
    "ResNet-10": (res_net_10(), RES_NET),
    "MobileNetV2": (
        mobile_net(),
        {**RES_NET, "stem": "conv_2", "stages": "3", "depth": "2", "block": "inverted", "expansion": "4",
         "squeeze": "none", "activation": "ReLU6"},
    ),
}  # fmt: skip


def drawn(network: nn.Module, seed: int) -> nn.Module:
    """The network with weights and statistics that tell its layers apart."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(tensor + 0.2 * torch.rand(tensor.shape, generator=generator) * (1 + ("var" in name)))
    return network.eval()


@pytest.mark.parametrize("name", POINTS)
def test_known_networks_are_points_of_the_space(name: str) -> None:
    plain, labels = POINTS[name]
    architecture = complete(SPACE, labels)
    child = SPACE.child(architecture, SHAPE, WAY)
    parameters = sum(each.numel() for each in plain.parameters())
    assert SPACE.cost(architecture, SHAPE, WAY).parameters == parameters
    for own, known in zip(child.state_dict().values(), drawn(plain, 0).state_dict().values(), strict=True):
        own.copy_(known)
    images = torch.rand(5, *SHAPE)
    for training in (False, True):
        torch.testing.assert_close(child.train(training)(images), plain.train(training)(images), rtol=1e-4, atol=1e-4)


def test_a_search_begins_with_networks_of_different_structure() -> None:
    space = lm.GridSpace()
    found = [complete(space, labels) for labels in IMAGE_NETWORKS]
    assert len(set(found)) == len(found) >= 8
    for architecture, labels in zip(found, IMAGE_NETWORKS, strict=True):
        assert {choice.name for choice in space.choices if choice.name in labels} <= set(architecture)
        assert space.by_choice(labels).keys() <= {choice.name for choice in space.choices}
        assert space.cost(architecture, SHAPE, WAY).flops < 150e6
    assert {one["block"] for one in found} == {"conv", "residual", "inverted", "convnext"}
    assert lm.kinds.kind.kind_named("images").first == IMAGE_NETWORKS


def drawn_labels(space: lm.SearchSpace) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({choice.name: st.sampled_from(choice.labels) for choice in space.choices})


@given(drawn_labels(SPACE))
def test_equal_networks_are_one_architecture(labels: dict[str, str]) -> None:
    architecture = SPACE.canonical(labels)
    assert SPACE.canonical(architecture) == architecture
    assert ("expansion" in architecture) == ("squeeze" in architecture) == (labels["block"] == "inverted")
    assert ("branch_dropout" in architecture) == (labels["block"] != "conv")
    depths = [name for name in architecture if name.endswith(".depth")]
    assert depths == [f"stage{place}.depth" for place in range(1, int(labels["stages"]) + 1)]
    assert widths(labels) == widths(architecture)
    others = [one for one in ("1", "1.5", "2", "2_to_4") if widths({**labels, "growth": one}) == widths(labels)]
    assert architecture["growth"] == others[0]


def widths(labels: Mapping[str, str]) -> list[int]:
    """Channels of the stages, spelled out."""
    found = []
    for place in range(int(labels["stages"])):
        times = min(4, 2**place) if labels["growth"] == "2_to_4" else float(labels["growth"]) ** place
        exact = int(labels["width"]) * times
        found.append(
            next(width for width in (8 * int(exact / 8 + 0.5), 8 * int(exact / 8 + 1)) if width >= 0.9 * exact)
        )
    return [min(256, width) for width in found]


@pytest.mark.parametrize("size", [16, 33, 96])
@pytest.mark.parametrize("stem", ["conv", "conv_2", "patch_2", "patch_4"])
@pytest.mark.parametrize("down", ["max", "stride"])
def test_images_of_all_sizes_are_read(size: int, stem: str, down: str) -> None:
    labels = {**CONV_NET, "stem": stem, "down": down, "stages": "5", "width": "8", "growth": "1"}
    network = SPACE.child(complete(SPACE, labels), (3, size, size), WAY)
    side = size // int(stem[-1]) if stem.startswith("patch") else -(-size // (1 + stem.endswith("2")))
    for stage in range(5):
        if down == "max":
            side = max(1, side // 2)
        elif stage:
            side = -(-side // 2)
    read = -(-side // -(-side // 4))
    assert network.head.in_features == 8 * read**2
    assert network.eval()(torch.rand(2, 3, size, size)).shape == (2, WAY)


def test_readouts_are_what_they_say() -> None:
    images = torch.rand(4, *SHAPE)
    made = {}
    for readout in ("average", "gem", "flat"):
        labels = {**CONV_NET, "stages": "2", "readout": readout}
        torch.manual_seed(0)
        network = drawn(SPACE.child(complete(SPACE, labels), SHAPE, WAY), 3)
        made[readout] = network.embed(images)
        if readout == "gem":
            network.body.readout.power.data.fill_(1.0)
            torch.testing.assert_close(network.embed(images), made["average"], rtol=1e-4, atol=1e-5)
    assert (made["gem"] >= made["average"] - 1e-5).all()
    torch.testing.assert_close(made["flat"].unflatten(1, (64, 16)).mean(2), made["average"])


def test_scaled_weights_are_those_of_plain_loops() -> None:
    weight, gain = torch.randn(3, 4, 3, 3, dtype=torch.float64), torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    found = scaled_kernel(weight, gain)
    for out in range(3):
        rows = weight[out].flatten()
        expected = gain[out] * (rows - rows.mean()) / (rows.var(correction=0) * len(rows)).sqrt()
        torch.testing.assert_close(found[out].flatten(), expected)


def test_an_example_loses_its_branch_or_gets_more_of_it() -> None:
    drop = lm.Builder({"drop": ("0.25",)}, mixed=False).branch_dropout("drop", (0.0, 0.25))
    inputs = torch.ones(4000, 3, 2, 2)
    outputs = drop(inputs)
    kept = outputs[:, 0, 0, 0] > 0
    assert 0.7 < kept.float().mean() < 0.8
    torch.testing.assert_close(outputs, inputs * kept[:, None, None, None] / 0.75)
    assert drop.eval()(inputs) is inputs


def test_children_draw_weights_of_their_own_size() -> None:
    part = lm.Split(torch.rand(4, *SHAPE), torch.tensor([0, 1, 0, 1]))
    task = lm.Task("toy", 2, part, part, part)
    estimator = lm.estimators.TrainingEstimator(task, SPACE, 0, lm.Recipe(epochs=1, learning_rate=0.0))
    labels = {**CONV_NET, "width": "8", "growth": "1"}
    weights = estimator(complete(SPACE, labels), fidelity=1.0).weights
    assert weights is not None
    kernels = {name: value for name, value in weights.items() if value.dim() == 4}
    assert len(kernels) == 4
    for value in kernels.values():  # PyTorch's bound for a layer of this size
        assert 0.9 < value.abs().max() * value[0].numel() ** 0.5 <= 1.0


def test_weights_of_another_space_are_refused() -> None:
    architecture = complete(SPACE, CONV_NET)
    with pytest.raises(ValueError, match="hold none of this network's"):
        SPACE.child(architecture, SHAPE, WAY, {"body.layers.1.shift": torch.ones(3)})
    name = next(iter(SPACE.supernet_weights(SPACE.child(architecture, SHAPE, WAY))))
    with pytest.raises(ValueError, match="come from another"):
        SPACE.child(architecture, SHAPE, WAY, {name: torch.ones(3)})


@pytest.mark.parametrize(("features", "steps", "joined"), [(4, 11, 4), (41, 249, 8), (41, 40, 1)])
def test_a_series_is_an_image_of_its_steps_and_features(features: int, steps: int, joined: int) -> None:
    image, series = SeriesImage(lm.SeriesShape(features, steps)), random_inputs(3, lm.SeriesShape(features, steps))
    made = image(series)
    assert image.joined == joined
    assert made.shape == (3, *image.shape) == (3, joined + 1, -(-steps // joined), features - 1)
    for example, row, column in product(range(3), range(made.shape[2]), range(features - 1)):
        own = range(row * joined, min(steps, (row + 1) * joined))
        values = [float(series[example, column, step]) for step in own] + [0.0] * (joined - len(own))
        within = sum(float(series[example, -1, step]) for step in own) / joined
        assert made[example, :, row, column].tolist() == pytest.approx([*values, within])
    assert made.is_contiguous(memory_format=torch.channels_last)


def test_series_have_the_network_of_their_images_however_far_they_are_padded() -> None:
    shape = lm.SeriesShape(9, 40)
    image = SeriesImage(shape)
    for labels in (CONV_NET, {**RES_NET, "block": "convnext"}):
        architecture = complete(SPACE, {**labels, "width": "8", "stages": "3"})
        child = drawn(SPACE.child(architecture, shape, WAY), 0)
        plain = SPACE.child(architecture, image.shape, WAY).eval()
        plain.load_state_dict(child.state_dict())
        series = random_inputs(4, shape)
        series[:, :, 25:] = 0.0
        torch.testing.assert_close(child(series), plain(image(series)))
        torch.testing.assert_close(child(series[:, :, :25]), child(series))
        with pytest.raises(ValueError, match="41 steps, and the network is for up to 40"):
            child(torch.rand(1, 9, 41))
