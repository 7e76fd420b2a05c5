"""Near copies among images: found after resizing, compression and other light, and not where there are none."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

import lit_metanas as lm
from lit_metanas.kinds.images import image_kind as compared
from lit_metanas.kinds.images.image_kind import ALIKE, SIDE, describe_near_copies, near_copies


def scene(seed: int) -> Image.Image:
    """A smooth picture, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((160, 120), Image.Resampling.BICUBIC)


def compressed(image: Image.Image) -> Image.Image:
    """With much loss."""
    image.save(file := BytesIO(), "JPEG", quality=30)
    return Image.open(file)


def tensor_of(*images: Image.Image) -> torch.Tensor:
    """Of shape ``(n, 3, 32, 32)``."""
    arrays = [np.asarray(each.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)) for each in images]
    return torch.from_numpy(np.stack(arrays)).movedim(3, 1)


def test_changed_files_are_found_and_other_images_are_not() -> None:
    scenes = [scene(seed) for seed in range(40)]
    changes = [compressed, lambda one: one.resize((80, 60)), lambda one: ImageEnhance.Brightness(one).enhance(0.8)]
    copies = tensor_of(*[changes[place % 3](one) for place, one in enumerate(scenes[:9])])
    others = tensor_of(*scenes[9:30])
    found = near_copies(torch.cat([copies, others]), tensor_of(*scenes[:9], *scenes[30:]))
    assert found.tolist() == [True] * 9 + [False] * 21


def test_the_correlation_is_numpys() -> None:
    one, other = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    halves = [each.mean(0).reshape(SIDE, 2, SIDE, 2).mean((1, 3)).flatten().numpy() for each in (one, other)]
    for weight in (0.0, 0.05, 0.1, 0.2, 0.5):
        mixed = (1 - weight) * one + weight * other
        expected = np.corrcoef(halves[0], (1 - weight) * halves[0] + weight * halves[1])[0, 1] >= ALIKE
        assert near_copies(mixed[None], one[None]).item() == expected
    assert not near_copies(torch.full((1, 3, 32, 32), 0.5), torch.full((1, 3, 32, 32), 0.5)).item()


def test_near_copies_in_the_test_part_are_named_once_and_equal_images_elsewhere() -> None:
    scenes = [scene(seed) for seed in range(30)]
    learned = lm.Split(tensor_of(*scenes[:20]), torch.arange(20) % 2)
    inputs = tensor_of(compressed(scenes[0]), scenes[1], *scenes[20:])
    task = lm.Task("walk", 2, learned, None, lm.Split(inputs, torch.arange(12) % 2))
    (sentence,) = describe_near_copies(task)
    assert sentence.startswith("'walk': 1 of the 12 images to test are nearly the same as one that is learned from")
    assert not describe_near_copies(replace(task, test=learned))  # equal ones are told elsewhere


def test_of_many_images_some_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    scenes = [scene(seed) for seed in range(12)]
    learned = lm.Split(tensor_of(*scenes), torch.arange(12) % 2)
    copies = lm.Split(tensor_of(*map(compressed, scenes)), learned.labels)
    monkeypatch.setattr(compared, "MOST_PAIRS", 5 * 12)
    monkeypatch.setattr(compared, "PAIRS_AT_ONCE", 24)
    (sentence,) = describe_near_copies(lm.Task("walk", 2, learned, None, copies))
    assert sentence.startswith("'walk': 5 of the 5 images to test that were compared are nearly the same as one")
