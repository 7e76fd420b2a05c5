"""The augmentation of each kind of input against plain loops, and its place in the training of a child."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import lit_metanas as lm
from lit_metanas.inputs.preprocessing import UNKNOWN
from lit_metanas.inputs.shapes import PADDING
from lit_metanas.kinds import augmentation
from lit_metanas.kinds.augmentation import (
    AUGMENTATIONS,
    MASKS,
    add_noise,
    augment,
    colours_can_change,
    hide_tokens,
    mask_series,
)
from lit_metanas.training import child as child_module
from lit_metanas.training.child import fit_child, score


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(examples: int = 12) -> Tensor:
    return torch.rand(examples, 3, 8, 8, generator=drawn(1))


def series(examples: int = 12, bands: int = 16, steps: int = 30) -> Tensor:
    """Of lengths from 3 to 30."""
    values = torch.randn(examples, bands + 1, steps, generator=drawn(1))
    lengths = torch.linspace(3, steps, examples).round().long()
    within = torch.arange(steps) < lengths[:, None]
    values *= within[:, None]
    values[:, -1] = within.float()
    return values


def tokens(examples: int = 12, steps: int = 20) -> Tensor:
    found = torch.randint(UNKNOWN + 1, 50, (examples, steps), generator=drawn(1))
    lengths = torch.linspace(1, steps, examples).round().long()
    return found * (torch.arange(steps) < lengths[:, None])


def rows(examples: int = 12) -> Tensor:
    return torch.randn(examples, 5, generator=drawn(1))


KINDS: dict[str, Callable[..., Tensor]] = {"images": images, "series": series, "tokens": tokens, "rows": rows}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_function_of_the_generator_and_does_nothing_where_there_is_none(kind: str) -> None:
    inputs = KINDS[kind]()
    before = inputs.clone()
    for strength in ("light", "strong"):
        one, again, other = (augment(inputs, strength, drawn(seed)) for seed in (3, 3, 4))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert (one.shape, one.dtype) == (inputs.shape, inputs.dtype)
    generator = drawn()
    state = generator.get_state()
    assert augment(inputs, "none", generator) is inputs
    assert torch.equal(generator.get_state(), state)
    assert torch.equal(inputs, before)


def test_images_are_mirrored_if_they_may_be() -> None:
    """A ramp from left to right still rises from left to right, however it is turned and whatever is covered."""
    ramps = torch.linspace(0.2, 0.8, 16).expand(50, 1, 16, 16)
    for strength in AUGMENTATIONS:
        for mirror in (False, True):
            changed = augment(ramps, strength, drawn(), colours=True, mirror=mirror)
            rising = changed[..., 8:].mean((1, 2, 3)) > changed[..., :8].mean((1, 2, 3))
            assert 15 < int(rising.sum()) < 35 if mirror else bool(rising.all())
            assert 0 <= float(changed.min()) <= float(changed.max()) <= 1


def test_colours_change_where_they_may() -> None:
    flat = torch.full((20, 3, 8, 8), 0.75)
    for strength in ("light", "strong"):
        torch.testing.assert_close(augment(flat, strength, drawn()), flat)
        assert bool((augment(flat, strength, drawn(), colours=True) != flat).any(1).all())
    for images in (flat, flat * 0):
        assert colours_can_change(images)
    for others in (flat * 2, -flat, flat[:0], flat[0]):
        assert not colours_can_change(others)
    assert not colours_can_change(torch.where(torch.arange(20)[:, None, None, None] == 7, torch.nan, flat))


@pytest.mark.parametrize("standardised", [False, True])
def test_colours_of_all_batches_change_or_of_none(standardised: bool) -> None:
    """One image alone is outside [0, 1], so that most batches are within."""
    one, data = made("images", lm.Recipe(epochs=2, batch_size=4, augmentation="strong"))
    flat = torch.linspace(0.2, 0.8, len(data))[:, None, None, None].repeat(1, 3, 8, 8)  # of which cutting changes none
    if standardised:
        flat[0] = 3.0
    seen: list[Tensor] = []
    one.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    fit_child(one, lm.Split(flat, data.labels), seed=0)
    known = {round(float(value), 4) for value in flat[:, 0, 0, 0]}
    changed = [{round(float(value), 4) for value in batch[:, 0, 0, 0]} - known for batch in seen]
    assert len(changed) == 6
    assert not any(changed) if standardised else all(changed)


def masked_by_loops(inputs: Tensor, bands: float, steps: float, generator: torch.Generator) -> Tensor:
    """SpecAugment, one example, one mask, one number after the other."""
    found = inputs.clone()
    draws = torch.rand(2, 2, MASKS, len(inputs), generator=generator).tolist()
    features = inputs.shape[1] - 1
    for place, (example, new) in enumerate(zip(inputs, found, strict=True)):
        length = int(example[-1].sum())
        mean = float(example[:-1, :length].mean()) if length else 0.0
        for kind, size, widest in ((0, features, bands), (1, length, steps)):
            for mask in range(MASKS):
                width = int(draws[kind][0][mask][place] * (int(widest * size) + 1))
                begin = int(draws[kind][1][mask][place] * (size - width + 1))
                for at in range(begin, begin + width):
                    if kind == 0:
                        new[at, :length] = mean
                    else:
                        new[:-1, at] = mean
    return found


@pytest.mark.parametrize(("bands", "steps"), [(0.4, 0.3), (0.0, 0.5), (0.5, 0.0), (1.0, 1.0)])
def test_masks_of_series_against_plain_loops(bands: float, steps: float) -> None:
    inputs = torch.cat([series(), torch.zeros(1, 17, 30)])
    for seed in range(5):
        found = mask_series(inputs, bands, steps, drawn(seed))
        torch.testing.assert_close(found, masked_by_loops(inputs, bands, steps, drawn(seed)))
        assert torch.equal(found[:, -1], inputs[:, -1])
        assert not bool(found.masked_select(inputs[:, -1:] == 0).any())


def test_words_are_hidden_at_the_told_rate_and_padding_stays() -> None:
    texts = tokens(2000)
    found = hide_tokens(texts, 0.3, drawn())
    changed = found != texts
    assert bool((found[changed] == UNKNOWN).all())
    assert not bool(changed[texts == PADDING].any())
    assert float(changed.sum() / (texts != PADDING).sum()) == pytest.approx(0.3, abs=0.01)


def test_noise_of_rows_is_that_of_their_columns() -> None:
    columns = torch.tensor([0.5, 1.0, 30.0, 0.0])
    given = torch.randn(20_000, 4, generator=drawn(1)) * columns + 2
    noise = add_noise(given, 0.3, drawn()) - given
    torch.testing.assert_close(noise.std(0), 0.3 * columns.clamp(max=1), rtol=0.03, atol=1e-6)
    torch.testing.assert_close(noise.mean(0), torch.zeros(4), rtol=0, atol=0.01)
    one = given[:1]
    assert torch.equal(add_noise(one, 0.3, drawn()), one)


def made(kind: str, recipe: lm.Recipe) -> tuple[lm.Child, lm.Split]:
    """A network, and what it learns from."""
    inputs = KINDS[kind]()
    shape = lm.inputs.shape_of(inputs, vocabulary=50)
    space = lm.default_space(shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        architecture = space.sample(drawn(2))
        one = lm.Child(space=space, architecture=architecture, shape=shape, way=3, recipe=recipe)
    return one, lm.Split(inputs, torch.arange(len(inputs)) % 3)


@pytest.mark.parametrize(("scored", "moved"), [("input", True), ("step", False)])
def test_series_with_an_answer_a_step_are_not_moved(monkeypatch: pytest.MonkeyPatch, scored: str, moved: bool) -> None:
    one, data = made("series", lm.Recipe(augmentation="light"))
    monkeypatch.setattr(type(one.objective), "scored", scored)
    monkeypatch.setattr(augmentation, "mask_series", lambda inputs, *others: inputs)
    seen: list[Tensor] = []
    one.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    one.step_loss(data.inputs, data.labels, seed=0, epoch=0, step=0)
    assert torch.equal(seen[0], data.inputs) is not moved


def test_each_step_is_changed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    one, data = made("rows", lm.Recipe(augmentation="light"))
    seen: list[Tensor] = []
    one.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    for seed, epoch, step in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)):
        one.step_loss(data.inputs, data.labels, seed=seed, epoch=epoch, step=step)
    assert len({tuple(inputs.flatten().tolist()) for inputs in seen}) == 4
    monkeypatch.setattr(child_module, "augment", lambda *args: pytest.fail("examples are changed"))
    score(one, data)
    plain, data = made("rows", lm.Recipe(epochs=1))
    fit_child(plain, data, seed=0)
