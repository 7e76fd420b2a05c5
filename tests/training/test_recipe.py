"""Warm-up, averaged weights, mixup and mirroring of a child's training against plain loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import lit_metanas as lm
from lit_metanas.kinds.augmentation import mixed
from lit_metanas.kinds.kind import kind_named
from lit_metanas.tasks.sampling import changes_generator
from lit_metanas.training.child import batch_norms, fit_child, mirror_keeps_classes, score
from lit_metanas.training.recipes import WeightAverage, learning_rates

SHAPE = (1, 8, 8)
SPACE = lm.LayeredSpace(kernels=(3,), depths=(2,), widths=(4,), dropouts=(0.0,), pools=("max",), activations=("ReLU",))
LABELS = {choice.name: choice.labels[0] for choice in SPACE.choices}


def split(examples: int = 24, seed: int = 0) -> lm.Split:
    inputs = torch.rand(examples, *SHAPE, generator=torch.Generator().manual_seed(seed))
    return lm.Split(inputs, torch.arange(examples) % 3)


def child(**fields: Any) -> lm.Child:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        recipe = lm.Recipe(**{"epochs": 4, "batch_size": 8, **fields})
        return lm.Child(space=SPACE, architecture=LABELS, shape=SHAPE, way=3, recipe=recipe)


def state_of(one: lm.Child) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in one.network.state_dict().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("steps", "warmup"), [(20, 0.25), (20, 0.3), (7, 0.5), (5, 1.0), (3, 0.1)])
def test_learning_rates_against_the_formula(steps: int, warmup: float) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    schedule = learning_rates(optimizer, lm.Recipe(warmup=warmup), steps)
    rising, found = round(warmup * steps), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    expected = [0.4 * (place + 1) / (rising + 1) for place in range(rising)]
    falling = steps - rising
    expected += [0.2 * (1 + math.cos(math.pi * place / falling)) for place in range(falling)]
    assert found == pytest.approx(expected)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.0 if falling else 0.4)


@pytest.mark.parametrize("average", [0.1, 0.5, 1.0])
def test_averaged_weights_against_a_plain_loop(average: float, monkeypatch: pytest.MonkeyPatch) -> None:
    one, states = child(average=average), list[dict[str, Tensor]]()
    plain = WeightAverage.update_parameters

    def recorded(self: WeightAverage, network: nn.Module) -> None:
        states.append(state_of(one))
        plain(self, network)

    monkeypatch.setattr(WeightAverage, "update_parameters", recorded)
    fit_child(one, split(), seed=0)
    assert len(states) == 12
    expected = {name: value.double() for name, value in states[0].items()}
    for place, state in enumerate(states[1:], 1):
        share = max(1 / (12 * average + 1), 9 / (9 + place))
        for name, value in state.items():
            expected[name] = (1 - share) * expected[name] + share * value.double()
    assert not same(state_of(one), states[-1])
    assert batch_norms(one.network)
    for name, value in state_of(one).items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-4, atol=1e-6)
        else:
            assert int(value) == 12  # batches that batch norm has seen


def test_what_is_scored_are_averaged_weights() -> None:
    one, seen = child(average=0.5, epochs=3), list[tuple[Tensor, Tensor]]()

    def epoch_ended() -> None:
        before = state_of(one)
        one.eval()
        with torch.no_grad():
            seen.append((one(split().inputs), one.network(split().inputs)))
        one.train()
        assert same(before, state_of(one))

    fit_child(one, split(), seed=0, epoch_ended=epoch_ended)
    assert [torch.equal(averaged, last) for averaged, last in seen] == [False] * 3
    assert one.average is None
    one.eval()
    with torch.no_grad():
        torch.testing.assert_close(one(split().inputs), seen[-1][0])
    assert 0 <= score(one, split()) <= 1


def test_the_loss_of_mixed_examples_is_the_mixture_of_losses() -> None:
    one, data = child(mixup=0.7, label_smoothing=0.1), split()
    found = one.eval().step_loss(data.inputs, data.labels, seed=1, epoch=2, step=3)
    inputs, others, weight = mixed(data.inputs, 0.7, changes_generator("train", 1, 2, 3))
    assert 0 < weight < 1
    assert sorted(others.tolist()) == list(range(24))
    total = 0.0
    for place, other in enumerate(others.tolist()):
        mean = weight * data.inputs[place] + (1 - weight) * data.inputs[other]
        torch.testing.assert_close(inputs[place], mean)
        scores = one.network(mean[None]).detach()
        for label, share in ((data.labels[place], weight), (data.labels[other], 1 - weight)):
            total += share * float(cross_entropy(scores, label[None], label_smoothing=0.1)) / 24
    assert float(found.detach()) == pytest.approx(total, rel=1e-5)


def test_changes_keep_their_precision_under_autocast() -> None:
    seen: list[Tensor] = []
    for enabled in (False, True):
        one = child(augmentation="strong", mixup=0.2)
        one.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            one.step_loss(split().inputs, split().labels, seed=0, epoch=0, step=0)
    assert torch.equal(*seen)
    assert seen[1].dtype == torch.float32


def bars(upright: bool, examples: int = 90, seed: int = 0) -> lm.Split:
    """Images with a bright column at the left, in the middle or at the right, or such rows at the top, and so on."""
    labels = torch.arange(examples) % 3
    place = torch.arange(8)
    bright = ((place >= 3 * labels[:, None]) & (place < 3 * labels[:, None] + 2)).float()
    images = (bright[:, None] if upright else bright[..., None]).expand(-1, 8, 8)
    noise = torch.rand(examples, 8, 8, generator=torch.Generator().manual_seed(seed))
    return lm.Split((0.5 * images + 0.5 * noise)[:, None], labels)


@pytest.mark.parametrize("upright", [False, True])
def test_mirroring_is_allowed_where_classes_keep(upright: bool) -> None:
    """Mirrored columns at the left are at the right: a third of the images keep their class."""
    one = child(epochs=40)
    assert not mirror_keeps_classes(one, lm.Split(bars(upright).inputs[:0], bars(upright).labels[:0]))
    fit_child(one, bars(upright), seed=0)
    assert score(one, bars(upright, seed=1)) > 0.9
    assert mirror_keeps_classes(one, bars(upright, seed=1)) is not upright


def test_the_usual_recipe_is_that_of_the_kind_and_suits_data_and_objective() -> None:
    images = kind_named("images")
    for examples, size in ((10, 32), (999, 32), (1000, 64), (9999, 64), (10_000, 128)):
        part = lm.Split(torch.zeros(examples, 1, 2, 2), torch.zeros(examples).long())
        recipe = images.usual_recipe(lm.Task("some", 2, part, part, part))
        assert recipe == {**images.recipe, "batch_size": size}
    tokens = torch.ones(4, 5).long()
    spans = lm.Split(tokens, torch.zeros(4, 2).long())
    task = lm.Task("spans", 3, spans, spans, spans, vocabulary=9, objective=lm.Span())
    found = images.usual_recipe(task)
    assert found.keys() == {*images.recipe, "batch_size"} - {"label_smoothing", "augmentation"}


def test_parts_that_do_not_fit_are_refused() -> None:
    for name in ("warmup", "average", "label_smoothing"):
        with pytest.raises(ValueError, match=f"Recipe: {name} is 1.5; it must be at most 1"):
            lm.Recipe(**{name: 1.5})
    with pytest.raises(ValueError, match="Recipe: mixup is -1; it must be at least 0"):
        lm.Recipe(mixup=-1)
    space = lm.default_space(lm.TokenShape(50, 20))
    tokens: dict[str, Any] = {"shape": lm.TokenShape(50, 20), "way": 3, "space": space}
    tokens["architecture"] = space.sample(torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="mirror is for images, and the inputs are"):
        lm.Child(recipe=lm.Recipe(mirror=True), **tokens)
    with pytest.raises(ValueError, match="mixup is for classes or numbers of images or rows"):
        lm.Child(recipe=lm.Recipe(mixup=0.2), **tokens)
