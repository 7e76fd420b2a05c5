"""Changes of training images: what they do, and that an episode decides them."""

import math

import pytest
import torch

from lit_metanas.kinds import ArraySource, ImageAugmentation, TextSource
from lit_metanas.tasks import EpisodeDataModule

NOTHING = {"flip": 0.0, "zoom": 1.0, "colour": 0.0}


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def images(number=40, channels=3, side=8):
    return torch.rand(number, channels, side, side, generator=seeded(5))


def test_half_of_the_images_are_mirrored():
    before = images(400)
    after = ImageAugmentation(**{**NOTHING, "flip": 0.5})(before, seeded())
    mirrored = (after == before.flip(-1)).flatten(1).all(1)
    assert torch.equal(mirrored, ~(after == before).flatten(1).all(1))
    assert 0.4 < mirrored.double().mean() < 0.6


def test_a_cut_is_a_part_of_the_image():
    # Across an image whose pixels tell their place, a cut tells which part it is of: left, right, top and bottom.
    side = 32
    place = (torch.arange(side) + 0.5) / side
    across, down = place.expand(side, side), place[:, None].expand(side, side)
    before = torch.stack([across, down, torch.zeros(side, side)]).expand(300, 3, side, side)
    after = ImageAugmentation(**{**NOTHING, "zoom": 0.5})(before, seeded())
    width = (after[:, 0, 0, -2] - after[:, 0, 0, 1]) * side / (side - 3)
    height = (after[:, 1, -2, 0] - after[:, 1, 1, 0]) * side / (side - 3)
    area = width * height
    assert 0.495 < area.min() < 0.55
    assert 0.9 < area.max() <= 1.001
    assert 3 / 4 - 0.01 <= (width / height).min() < (width / height).max() <= 4 / 3 + 0.01
    centre = after[:, 0].mean((1, 2))
    assert centre.min() < 0.45 < 0.55 < centre.max()


def test_brightness_contrast_and_saturation_stay_within_their_factors():
    colour = ImageAugmentation(**{**NOTHING, "colour": 0.4})
    grey = (images(300, channels=1) * 0.3 + 0.2).expand(-1, 3, -1, -1)  # nothing is cut off at 0 or 1
    after = colour(grey, seeded())
    assert torch.allclose(after[:, 0], after[:, 2], atol=1e-6)
    brightness = after.mean((1, 2, 3)) / grey.mean((1, 2, 3))
    contrast = after.std((1, 2, 3)) / grey.std((1, 2, 3)) / brightness
    of_one_brightness = torch.tensor([0.5, 0.4, 0.457]).view(1, 3, 1, 1).expand(300, 3, 4, 4)
    red, _, blue = colour(of_one_brightness, seeded()).mean((2, 3)).unbind(1)
    saturation = (red - blue) / 0.043 / brightness / contrast
    for factors in (brightness, contrast, saturation):
        assert 0.59 < factors.min() < 0.65
        assert 1.35 < factors.max() < 1.41


def placed_by_loops(image, turn, slant, factor, right, below):
    """An image that is turned, slanted, scaled and moved, one pixel after the other, by distances in pixels."""
    channels, height, width = image.shape
    found = torch.zeros_like(image)
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5 - width / 2, row + 0.5 - height / 2
            x = x + math.tan(slant) * y
            x, y = math.cos(turn) * x - math.sin(turn) * y, math.sin(turn) * x + math.cos(turn) * y
            x, y = factor * x + right * width + width / 2 - 0.5, factor * y + below * height + height / 2 - 0.5
            x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
            left, top = min(int(x), width - 2), min(int(y), height - 2)
            across, down = x - left, y - top
            for channel in range(channels):
                corners = image[channel, top : top + 2, left : left + 2].tolist()
                upper = corners[0][0] * (1 - across) + corners[0][1] * across
                lower = corners[1][0] * (1 - across) + corners[1][1] * across
                found[channel, row, column] = upper * (1 - down) + lower * down
    return found


def test_places_against_plain_loops():
    before = torch.rand(5, 2, 6, 10, generator=seeded(5))
    change = ImageAugmentation(flip=0.0, turn=40.0, shear=20.0, scale=0.5, move=0.3)
    after = change(before, seeded())
    generator = seeded()
    torch.rand(8, 5, generator=generator)
    draws = 2 * torch.rand(5, 5, generator=generator) - 1
    for image, one, (turn, shear, scale, right, below) in zip(before, after, draws.T.tolist(), strict=True):
        expected = placed_by_loops(
            image, math.radians(40 * turn), math.radians(20 * shear), 1.5**scale, 0.3 * right, 0.3 * below
        )
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-5)


def test_a_rectangle_gets_the_mean_colour():
    before = images(200, side=20)
    after = ImageAugmentation(**{**NOTHING, "cover": 0.25})(before, seeded())
    changed = (after != before).all(1)
    shares = changed.double().mean((1, 2))
    assert shares.max() <= 0.25 * 1.2  # sides are rounded
    assert shares.max() > 0.2
    assert 0.09 < shares.mean() < 0.16
    covered = torch.where(changed[:, None], after - before.mean((2, 3), keepdim=True), 0.0)
    assert covered.abs().max() < 1e-6
    for one in changed[shares > 0]:
        down, across = one.any(1).nonzero().flatten(), one.any(0).nonzero().flatten()
        assert int(one.sum()) == (down[-1] - down[0] + 1) * (across[-1] - across[0] + 1)
    middle = changed.double().mean(0)
    assert middle[:10].sum() == pytest.approx(float(middle[10:].sum()), rel=0.2)


@pytest.mark.parametrize(("name", "value"), [("zoom", 1.5), ("colour", -0.1), ("turn", 181), ("cover", 2)])
def test_numbers_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        ImageAugmentation(**{name: value})


def data(augmentation, **more):
    source = ArraySource(images(120), torch.arange(120) % 12, fractions=(0.5, 0.25, 0.25))
    return EpisodeDataModule(source, way=3, query=2, steps_per_epoch=3, augmentation=augmentation, **more)


def test_an_episode_decides_its_changes_and_evaluation_has_none():
    plain, changed = data(None), data(ImageAugmentation(zoom=0.5))
    for part in ("support", "query"):
        one, again, other = (
            getattr(module.stream("train")[1, 2], part)
            for module in (changed, data(ImageAugmentation(zoom=0.5)), plain)
        )
        assert torch.equal(one.inputs, again.inputs)
        assert not torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.labels, other.labels)
    for subset in ("val", "test"):
        assert torch.equal(changed.stream(subset)[0, 1].query.inputs, plain.stream(subset)[0, 1].query.inputs)
    first, second = (changed.stream("train")[epoch, 2].query.inputs for epoch in (0, 1))
    assert not torch.equal(first, second)


class Sentences(TextSource):
    """Six sentences of each of two classes."""

    def sentences(self, subset):
        return {name: [f"{name} number {place}" for place in range(6)] for name in ("ant", "bee")}


def test_only_images_are_changed():
    stream = EpisodeDataModule(Sentences(), way=2, query=1, augmentation=ImageAugmentation()).stream("train")
    with pytest.raises(ValueError, match="and ImageAugmentation changes images: leave 'augmentation' out"):
        stream[0, 0]
