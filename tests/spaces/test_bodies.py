"""Spaces of one body, against plain formulas, and what a body may not do."""

import re
from functools import partial

import pytest
import torch
from body_toys import Everything, everything
from space_toys import check_export, images
from torch import nn
from torch.func import functional_call, grad, vmap

from lit_metanas.spaces import Architecture, Builder, Gate, SearchSpace
from lit_metanas.spaces.mixture import OpenNumber, largest
from lit_metanas.testing import check_space

SHAPE = (2, 6, 5)


class Body(SearchSpace):
    """A space of any function from a shape and a builder to a module."""

    def __init__(self, make):
        self.make = make

    def body(self, shape, build):
        return self.make(shape, build)


def conv(build, channels, width):
    return {str(size): partial(build.conv, channels, width, size) for size in (1, 3)}


@pytest.fixture(params=[True, False], ids=["merged", "normalised"])
def space(request):
    return Everything(merge=request.param)


@pytest.mark.parametrize("kind", ["soft", "hard"])
@pytest.mark.parametrize("dropped", [True, False])
def test_the_supernet_computes_the_plain_formulas(space, double_supernet, random_gates, kind, dropped):
    net, weights = double_supernet(space, SHAPE)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        gates = random_gates(space, kind, generator)
        noise = {n: v.double() for n, v in net.draw_noise(7, generator).items()} if dropped else None
        found = net(images(7, SHAPE), gates, noise)
        expected = everything(space, weights, gates, images(7, SHAPE), noise)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)


def test_it_passes_the_test_kit(space):
    check_space(space, SHAPE)
    check_space(space.restricted({"depth": "3", "block2.kernel": "5", "block3.skip": "none", "width": "4"}), SHAPE)


def test_the_choices_of_a_part_have_its_name_in_front(space):
    def named(shape, build):
        with build.part("left"), build.part("first"):
            return space.body(shape, build)

    part, front = Body(named), "left.first."
    check_space(part, SHAPE)
    for own, one in zip(part.choices, space.choices, strict=True):
        assert (own.name, own.labels, own.group) == (front + one.name, one.labels, front + one.group)
        assert dict(own.active_if) == {front + name: labels for name, labels in one.active_if}


def test_choices_within_a_candidate_matter_only_where_it_is_chosen(space):
    conditions = {choice.name: dict(choice.active_if) for choice in space.choices}
    deep = {"depth": frozenset({"2", "3"})}
    assert conditions["width"] == conditions["depth"] == conditions["block1.kernel"] == {}
    assert conditions["block1.pool"] == {"block1.skip": frozenset({"pool"})}
    assert conditions["block2.dropout"] == deep
    assert conditions["block2.pool"] == {**deep, "block2.skip": frozenset({"pool"})}
    assert conditions["block3.kernel"] == {"depth": frozenset({"3"})}
    assert [choice.group for choice in space.choices][:3] == ["width", "depth", "kernel"]
    labels = {choice.name: choice.labels[0] for choice in space.choices}
    assert set(space.canonical({**labels, "depth": "1"})) == {
        "depth", "width", "block1.kernel", "block1.skip", "block1.activation", "block1.dropout"
    }  # fmt: skip


def test_tasks_may_be_mapped(space, double_supernet):
    net, weights = double_supernet(space, SHAPE)
    start = {c.name: images(3, (len(c.labels),), seed=place) for place, c in enumerate(space.choices)}
    tasks = torch.stack([images(6, SHAPE, seed=seed) for seed in range(3)])
    noise = {n: torch.stack([v.double()] * 3) for n, v in net.draw_noise(6, torch.Generator()).items()}

    def loss(weights, logits, inputs, noise):
        mixture = {name: Gate(torch.softmax(value, 0)) for name, value in logits.items()}
        return (functional_call(net, weights, (inputs, mixture, noise)) ** 2).sum()

    slope = grad(loss, argnums=(0, 1))
    plain = {name: value.detach() for name, value in weights.items()}
    mapped = vmap(slope, in_dims=(None, 0, 0, 0))(plain, start, tasks, noise)
    for task in range(3):
        one = slope(plain, *({n: v[task] for n, v in tree.items()} for tree in (start,)), tasks[task],
                    {n: v[task] for n, v in noise.items()})  # fmt: skip
        for found, expected in zip(mapped, one, strict=True):
            for name, value in expected.items():
                torch.testing.assert_close(found[name][task], value, rtol=1e-8, atol=1e-8)


def test_the_gradient_of_a_sampled_layer_is_not_cancelled_by_the_norm_behind_it():
    """It is where the norm follows the gate."""

    def behind(shape, build):
        return build.choice("kernel", conv(build, shape[0], 4), norm=4)

    def before(shape, build):
        return nn.Sequential(build.choice("kernel", conv(build, shape[0], 4)), build.norm(4))

    found = []
    for make in (behind, before):
        net = Body(make).supernet(SHAPE).double()
        weights = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
        features = net(images(6, SHAPE), {"kernel": Gate(weights, 1)}) ** 2
        found.append(float(torch.autograd.grad(features.sum(), weights)[0][1]))
    assert found[0] > 0.01
    assert abs(found[1]) < 1e-4 * found[0]


def test_a_soft_mixture_normalised_apart_has_statistics_for_each_candidate(double_supernet):
    def apart(shape, build):
        makes = conv(build, shape[0], 4)
        return build.choice(
            "kernel", {size: lambda make=make: nn.Sequential(make()) for size, make in makes.items()}, norm=4
        )

    space = Body(apart)
    net, _ = double_supernet(space, SHAPE)
    record = {}
    net(images(8, SHAPE), {"kernel": Gate(torch.tensor([0.5, 0.5], dtype=torch.float64))}, record=record)
    assert set(record) == {f"body.norm.{size}.{kind}" for size in (1, 3) for kind in ("mean", "var")}


def test_a_choice_of_several_conditions_has_either():
    def make(shape, build):
        one = {"relu": nn.ReLU, "tanh": nn.Tanh}
        kinds = {"a": partial(build.choice, "kind", one), "b": partial(build.choice, "kind", one), "c": nn.SiLU}
        return nn.Sequential(build.conv(shape[0], 4, 3), build.norm(4), build.choice("which", kinds))

    assert Body(make).choices[1].active_if == (("which", frozenset({"a", "b"})),)


def test_a_label_may_be_a_number():
    def make(shape, build):
        width = build.number("width", (4, 8))
        kernels = {size: partial(build.conv, shape[0], width, size) for size in (3, 5)}
        return nn.Sequential(build.choice("kernel", kernels, norm=width), nn.ReLU())

    space = Body(make)
    assert [choice.labels for choice in space.choices] == [("4", "8"), ("3", "5")]
    assert Builder().question("kind", (1, 2)).labels == ("1", "2")
    check_space(space, SHAPE)


@pytest.mark.parametrize(
    "labels",
    [("0.5", "0_5", "0%2E5", "0%252E5"), ("name", "name_", "%name"), ("training", "_modules", "keys"), ("", "_", "%")],
)
def test_each_label_has_a_layer_of_its_own(labels, tmp_path):
    space = Body(lambda shape, build: build.choice("op", dict.fromkeys(labels, partial(build.conv, shape[0], 4, 3))))
    net = space.supernet(SHAPE)
    assert len([name for name, _ in net.named_parameters() if name.endswith("weight")]) == len(labels)
    check_space(space, SHAPE)
    check_export(space.child(space.canonical({"op": labels[0]}), (3, 9, 7), 5), tmp_path / "child.pt2")


RELUS = {"r": nn.ReLU}
WRONG = {
    "Candidate '3' of 'kernel' is a layer: give what makes it": lambda _, build: build.choice(
        "kernel", {"3": nn.ReLU()}
    ),
    "Choice 'a' repeats a label: 3, 3.": lambda _, build: build.choice("a", {"3": nn.ReLU, 3: nn.Tanh}),
    "'depth' has 1 layers, and depths [1, 2]: give 1 to 1": lambda _, build: build.depth("depth", [nn.ReLU], (1, 2)),
    "Choice 'a' is asked for twice, with ('1', '2') and with ('0.1',).": lambda _, build: nn.Sequential(
        build.number("a", (1, 2)) and nn.ReLU(), build.dropout("a", (0.1,), 3)
    ),
    "Choice 'in' is asked for in two places that depend on different choices.": lambda _, build: nn.Sequential(
        *(build.choice(n, {"a": partial(build.choice, "in", RELUS), "b": nn.ReLU}) for n in "xy")
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_body_is_told_in_a_sentence(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        _ = Body(WRONG[text]).choices


REFUSED = {
    "Layer '1' (BatchNorm1d) has batch-norm statistics, which tasks may not share: use build.norm for images": (
        lambda _, build: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(60))
    ),
    "Layer '1' (MixedNorm) depends on choices or tasks, and stands at two places: build it twice.": (
        lambda _, build: nn.Sequential(*[build.norm(2)] * 2)
    ),
    "Layer '0' (Dropout) draws noise of its own: use build.dropout.": lambda _, build: nn.Sequential(nn.Dropout(0.5)),
    "Layer '2' (MaxPool2d) cannot take inputs of shape (2, 1, 1), for images of shape (2, 6, 5) (Given input ": (
        lambda _, build: nn.Sequential(*(nn.MaxPool2d(2) for _ in range(4)))
    ),
    "The body (MixedChoice), of choice 'kind', cannot take inputs of shape (2, 6, 5), for images of shape": (
        lambda _, build: build.choice("kind", {"a": partial(nn.Conv2d, 2, 4, 1), "b": partial(nn.Conv2d, 2, 8, 1)})
    ),
    "Choice 'kernel2' is new: the choices of a body may not depend on the shape of an image.": (
        lambda shape, build: build.choice(f"kernel{shape[0]}", conv(build, shape[0], 4))
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_body_that_no_supernet_can_have_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Body(REFUSED[text]).supernet(SHAPE)


def test_a_plain_batch_norm_is_one_of_the_builder():
    """Its weights and their names are the same, in whatever module it stands, and children keep it as it is."""

    def plain(shape, build):
        norm = nn.BatchNorm2d(4)
        nn.init.uniform_(norm.weight)
        return nn.Sequential(build.conv(shape[0], 4, 3), nn.Sequential(norm, nn.ReLU()))

    def built(shape, build):
        return nn.Sequential(build.conv(shape[0], 4, 3), nn.Sequential(build.norm(4), nn.ReLU()))

    net, twin = Body(plain).supernet(SHAPE), Body(built).supernet(SHAPE)
    weights = dict(net.named_parameters())
    assert (weights["body.1.0.scale"] != 1).all()
    twin.load_state_dict(net.state_dict())
    assert torch.equal(twin(images(3, SHAPE, dtype=torch.float32), {}), net(images(3, SHAPE, dtype=torch.float32), {}))
    child = Body(plain).child(Architecture({}), SHAPE, 5, weights)
    assert type(child.body[1][0]) is nn.BatchNorm2d
    assert torch.equal(child.body[1][0].weight, weights["body.1.0.scale"])


def test_a_space_without_a_body_says_so():
    with pytest.raises(NotImplementedError, match="SearchSpace has no body: define it, or choices, supernet, build"):
        _ = SearchSpace().choices


def test_weights_of_another_space_are_refused(space):
    architecture = space.sample(torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="they come from another space"):
        space.child(architecture, SHAPE, 5, {"body.0.weight": torch.ones(1)})


def test_weights_of_another_size_are_refused_where_no_number_is_open():
    small, large = (Body(lambda shape, build, width=w: build.conv(shape[0], width, 3)) for w in (2, 4))
    weights = dict(large.supernet(SHAPE).named_parameters())
    architecture = small.canonical({})
    with pytest.raises(ValueError, match=r"hold 'body.weight' \(4, 2, 3, 3\), not \(2, 2, 3, 3\): they come from"):
        small.child(architecture, SHAPE, 5, weights)


class Shares(nn.Module):
    """A layer of one's own: as many halves of the input as the choice says."""

    def __init__(self, choice):
        super().__init__()
        self.choice = choice

    def forward(self, inputs):
        gate = self.choice.gate()
        weights = gate.weights if gate.index is None else [gate.weights[gate.index]]
        return sum(
            weight * int(label) * inputs / 2
            for weight, label in zip(weights, self.choice.computed_labels(), strict=True)
        )


def test_a_layer_of_ones_own_looks_at_a_choice():
    def make(shape, build):
        shares = Shares(build.question("shares", ("1", "3")))
        return nn.Sequential(build.conv(shape[0], 4, 3), build.norm(4), shares, nn.Tanh())

    space = Body(make)
    check_space(space, SHAPE)
    assert space.child(space.canonical({"shares": "3"}), SHAPE, 5).body[2].choice.labels == ("3",)


WIDTH = OpenNumber("width", (8, 16))


def test_an_open_number_is_multiplied_and_divided_as_a_child_does():
    assert OpenNumber("width", (24 // 5, 48 // 5)) == 3 * WIDTH // 5
    assert largest(WIDTH * 2) == 32
    assert Builder({"a": ("2",)}, mixed=False).number("a", (2, 3)) == 2


@pytest.mark.parametrize(
    "compute",
    [
        lambda: WIDTH + 8, lambda: 32 - WIDTH, lambda: WIDTH * 0.5, lambda: [nn.ReLU()] * WIDTH, lambda: WIDTH * WIDTH,
        lambda: WIDTH // WIDTH, lambda: 16 // WIDTH, lambda: range(WIDTH), lambda: nn.Conv2d(3, WIDTH, 3),
    ],
)  # fmt: skip
def test_what_would_make_a_plain_number_of_an_open_one_is_refused(compute):
    with pytest.raises(TypeError, match="OpenNumber"):
        compute()


def test_hidden_channels_that_are_a_multiple_or_a_share_are_the_leading_ones():
    def make(shape, build):
        width = build.number("width", (2, 4))
        hidden = 3 * width
        return nn.Sequential(
            build.conv(shape[0], width, 1),
            build.norm(width),
            build.conv(width, hidden, 1),
            build.norm(hidden),
            nn.ReLU(),
            build.conv(hidden, hidden, 3, stride=2, depthwise=True),
            build.norm(hidden),
            build.conv(hidden, hidden // 2, 1),
            build.norm(hidden // 2),
            build.conv(hidden // 2, 5, 1),
        )

    check_space(Body(make), SHAPE)


def test_what_is_asked_for_elsewhere_does_not_matter_and_can_be_built() -> None:
    def body(shape, build):
        first = build.choice("size", conv(build, shape[0], 4), norm=4)
        with build.where("size", ["3"]):
            behind = build.choice("activation", {"relu": nn.ReLU, "tanh": nn.Tanh})
        return nn.Sequential(first, behind)

    space = Body(body)
    assert space.canonical({"size": "1", "activation": "tanh"}) == Architecture({"size": "1"})
    check_space(space, SHAPE)
