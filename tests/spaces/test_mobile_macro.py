"""The mobile space's choices, and its networks against published sizes."""

from itertools import product

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from lit_metanas.spaces import Architecture, MobileMacro, MobileStage

SPACE = MobileMacro(
    stages=[
        MobileStage(4, stride=2, depths=(3, 1, 2), skips=("none", "identity")),
        MobileStage(6, depths=(2,), kernels=(3,), skips=("identity", "none")),
    ],
    divisor=1,
)
ONE = MobileStage(8, depths=(1, 3, 4), widths=(1,), kernels=(3, 5), expansions=(2,), skips=("none", "identity"))
PUBLISHED = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
"""Expansion, channels, blocks and stride of MobileNetV2's stages: Table 2 of the paper."""


def mobilenet_v2(multiplier, stem):
    stages = [
        MobileStage(channels, stride, depths=(blocks,), widths=(multiplier,), kernels=(3,), expansions=(expansion,))
        for expansion, channels, blocks, stride in PUBLISHED
    ]
    return MobileMacro(stages=stages, stem=stem, stem_stride=2, last=1280)


def labels_of(space):
    return st.fixed_dictionaries({choice.name: st.sampled_from(choice.labels) for choice in space.choices})


@pytest.mark.parametrize(
    ("multiplier", "stem", "parameters", "flops"),
    # Parameters: torchvision's networks of these width multipliers; multiply-adds: 300 M in the paper's Table 4.
    [(1.0, 32, 3_504_872, 300_774_272), (0.5, 16, 1_968_680, None)],
)
def test_size_of_the_published_networks(multiplier, stem, parameters, flops):
    space = mobilenet_v2(multiplier, stem)
    assert space.size == 1
    architecture = space.sample(torch.Generator())
    cost = space.cost(architecture, (3, 224, 224), 1000)
    assert cost.parameters == parameters
    assert flops is None or cost.flops == flops
    with torch.device("meta"):
        child = space.child(architecture, (3, 224, 224), 1000)
    assert sum(p.numel() for p in child.parameters()) == parameters
    assert sum(type(m).__name__ == "InvertedResidual" for m in child.modules()) == 17


@pytest.fixture(scope="module")
def published():
    """Torchvision's network, with statistics and weights that tell its layers apart."""
    network = torchvision.models.mobilenet_v2(num_classes=7).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(1 + 0.2 * torch.rand(tensor.shape, generator=generator))
    return network


def test_weights_of_torchvision_give_its_outputs(published):
    space = mobilenet_v2(1.0, 32)
    child = space.child(space.sample(torch.Generator()), (3, 64, 64), way=7).eval()
    child.load_torchvision(published.state_dict())
    images = torch.rand(4, 3, 64, 64)
    torch.testing.assert_close(child(images), published(images), rtol=1e-5, atol=1e-5)


def test_weights_of_another_network_are_refused(published):
    space = mobilenet_v2(0.5, 16)
    child = space.child(space.sample(torch.Generator()), (3, 64, 64), way=7)
    before = {name: tensor.clone() for name, tensor in child.state_dict().items()}
    with pytest.raises(ValueError, match="give those of a mobilenet_v2 of this child's stages"):
        child.load_torchvision(published.state_dict())
    with pytest.raises(ValueError, match="of another network"):
        child.load_torchvision({})
    torch.testing.assert_close(child.state_dict(), before, rtol=0, atol=0)


def test_names_and_labels():
    assert [choice.name for choice in SPACE.choices][:9] == [
        "stage1.depth",
        "stage1.width",
        "stage1.block1.kernel",
        "stage1.block1.expansion",
        "stage1.block2.skip",
        "stage1.block2.kernel",
        "stage1.block2.expansion",
        "stage1.block3.skip",
        "stage1.block3.kernel",
    ]
    assert SPACE.choices[0].labels == ("1", "2", "3")
    assert {choice.group for choice in SPACE.choices} == {"depth", "width", "kernel", "expansion", "skip"}
    assert SPACE.size == 3 * 2 * 6 * 12 * 12 * (2 * 2 * 4)


@given(labels_of(SPACE))
def test_canonical_drops_what_does_not_matter(labels):
    architecture = SPACE.canonical(labels)
    assert SPACE.canonical(architecture) == architecture
    computed = {1: [1], 2: [1]}
    for stage, place in [(1, 2), (1, 3), (2, 2)]:
        deep = place <= int(labels[f"stage{stage}.depth"])
        if deep and labels[f"stage{stage}.block{place}.skip"] == "none":
            computed[stage].append(place)
    assert int(architecture["stage1.depth"]) == computed[1][-1]
    assert architecture["stage2.depth"] == "2"  # the only one
    for name, label in labels.items():
        place = name.split(".")[1]
        stage = int(name[5])
        if place.startswith("block") and name.endswith(("kernel", "expansion")):
            assert (name in architecture) == (int(place[5:]) in computed[stage])
        assert architecture.get(name, label) == label or name == "stage1.depth"
    assert SPACE.cost(labels, (1, 8, 8), 3) == SPACE.cost(architecture, (1, 8, 8), 3)
    assert SPACE.violation(architecture) is None


def blocks(labels):
    """What a stage of ``ONE`` computes, in its order."""
    places = [n for n in range(1, int(labels["stage1.depth"]) + 1) if labels.get(f"stage1.block{n}.skip") != "identity"]
    return tuple(labels[f"stage1.block{n}.kernel"] for n in places)


@pytest.mark.parametrize(
    ("fixed", "networks"),
    [({}, 2 + 4 + 8 + 16), ({"stage1.block3.kernel": ["3"], "stage1.block2.skip": ["identity"]}, None)],
)
def test_isomorphs_are_merged(fixed, networks):
    """Each network has one architecture, a shallow one with the first places."""
    space = MobileMacro(stages=[ONE], merge_isomorphs=True, fixed=fixed)
    apart = MobileMacro(stages=[ONE], fixed=fixed)
    names = [choice.name for choice in space.choices]
    seen = {}
    separate = set()
    for labels in product(*(choice.labels for choice in space.choices)):
        every = dict(zip(names, labels, strict=True))
        architecture = space.canonical(every)
        assert blocks(architecture) == blocks(every)
        assert space.canonical(architecture) == architecture
        for choice in space.choices:
            assert architecture.get(choice.name, choice.labels[0]) in choice.labels
        seen.setdefault(blocks(every), set()).add(architecture)
        separate.add(apart.canonical(every))
    assert {len(found) for found in seen.values()} == {1}
    assert networks is None or len(seen) == networks
    assert len(separate) > len(seen)
    if not fixed:
        # Depth 3 for two blocks, as there is no depth 2.
        assert seen["5", "3"] == {
            Architecture(
                {"stage1.depth": "3", "stage1.width": "1", "stage1.block1.kernel": "5", "stage1.block1.expansion": "2"}
                | {"stage1.block2.skip": "none", "stage1.block2.kernel": "3", "stage1.block2.expansion": "2"}
                | {"stage1.block3.skip": "identity"}
            )
        }
    with pytest.raises(ValueError, match="set merge_isomorphs to false"):
        space.supernet((1, 8, 8))
    found = next(iter(seen["3", "3"]))
    assert space.restricted({**{n: "none" for n in names if n.endswith("skip") and n not in found}, **found}).supernet(
        (1, 8, 8)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": []}, "number of stages is 0"),
        ({"stem": 0}, "stem is 0"),
        ({"last": 0}, "last is 0"),
        ({"stages": [MobileStage(0)]}, "stage 1: channels is 0"),
        ({"stages": [MobileStage(16), MobileStage(8, depths=())]}, "stage 2: depths is nothing"),
        ({"stages": [MobileStage(8, kernels=(3, 4))]}, "kernel size 4 is not odd"),
        ({"stages": [MobileStage(8, expansions=(1, 3))]}, "expansion 1 has no expanding convolution"),
        ({"stages": [MobileStage(8, widths=(0,))]}, "widths are 0"),
        ({"stages": [MobileStage(8, skips=("residual",))]}, "unknown skip 'residual'; use none, identity"),
        ({"stages": [MobileStage(8, widths=(0.9, 1))]}, r"two widths are the same number of channels \(8, 8\)"),
        ({"fixed": {"stage1.deph": ["1"]}}, "Unknown choice 'stage1.deph': MobileMacro has 'stage1.depth'"),
        ({"fixed": {"stage1.depth": ["4"]}}, "Choice 'stage1.depth' has no label '4': use 1, 2, 3"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        MobileMacro(**options)
