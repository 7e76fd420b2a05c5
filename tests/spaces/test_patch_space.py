"""Ridge regressions on the likeness of patches: features against loops, what is learned, costs, and their export."""

import pytest
import torch
import torch.nn.functional as F
from space_toys import check_programs, check_weights_move

import lit_metanas as lm
from lit_metanas.spaces.any_input.patch_space import FAINTEST_CONTRAST, LEAST_LIKENESS, PatchNetwork
from lit_metanas.training.child import fit_child, score

SPACE = lm.spaces.PatchSpace()
MANY, FEW = SPACE.architectures()


def stripes(number, shape):
    """Noisy images of 8 bits with stripes that lie, stand or cross, at a drawn place, and these classes."""
    height, width = shape[1:]
    generator, labels = torch.Generator().manual_seed(0), torch.arange(number) % 3
    rows, columns = (torch.arange(size) // 2 % 2 for size in (height, width))
    kinds = torch.stack([rows[:, None].expand(height, width), columns.expand(height, width), rows[:, None] ^ columns])
    images = 120 * kinds[labels, None] + torch.randint(0, 100, (number, *shape), generator=generator)
    places = torch.randint(0, 4, (number, 2), generator=generator).tolist()
    moved = [image.roll(place, (1, 2)) for image, place in zip(images, places, strict=True)]
    return lm.Split(torch.stack(moved).to(torch.uint8), labels)


def slow_features(network, image):
    side, (high, wide) = network.side, network.cell
    height, width = image.shape[1:]
    rows, columns = height - side + 1, width - side + 1
    sums = {}
    for row in range(rows):
        for column in range(columns):
            patch = image[:, row : row + side, column : column + side].flatten()
            patch = (patch - patch.mean()) / (patch.var(unbiased=False) + FAINTEST_CONTRAST).sqrt()
            like = network.kernels.flatten(1) @ patch + network.shift
            both = torch.cat([(like - LEAST_LIKENESS).relu(), (-like - LEAST_LIKENESS).relu()])
            sums.setdefault((row // high, column // wide), []).append(both)
    means = torch.stack([torch.stack(sums[place]).mean(0) for place in sorted(sums)])
    pixels = []
    for channel in image:
        bands = channel.split(-(-height // 3))
        pixels += [part.mean() for band in bands for part in band.split(-(-width // 3), 1)]
    return torch.cat([means.T.flatten(), torch.stack(pixels)])


@pytest.mark.parametrize("shape", [(1, 14, 10), (3, 5, 9)])
def test_features_are_means_of_likenesses(shape):
    network, split = SPACE.child(FEW, lm.ImageShape(*shape), 3).double(), stripes(12, shape)
    inputs = split.inputs.double() / 255
    network.look_at(inputs, torch.Generator().manual_seed(0))
    assert network.side == min(6, *shape[1:])
    for own, image in zip(network.features(inputs), inputs, strict=True):
        torch.testing.assert_close(own, slow_features(network, image))


def test_larger_images_are_averaged():
    small, large = (PatchNetwork(lm.ImageShape(1, side, side), 100, 3) for side in (33, 66))
    images = torch.rand(9, 1, 33, 33)
    twice = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    for network, inputs in ((small, images), (large, twice)):
        network.look_at(inputs, torch.Generator())
    torch.testing.assert_close(large.features(twice), small.features(images))
    assert SPACE.cost(FEW, lm.ImageShape(1, 66, 66), 3) == SPACE.cost(FEW, lm.ImageShape(1, 33, 33), 3)


def test_patches_are_whitened():
    network, split = SPACE.child(MANY, lm.ImageShape(1, 20, 20), 3), stripes(200, (1, 20, 20))
    inputs = split.inputs.float() / 255
    network.look_at(inputs, torch.Generator().manual_seed(0))
    patches = F.unfold(inputs, 6).transpose(1, 2).flatten(0, 1)
    patches = patches - patches.mean(1, keepdim=True)
    patches = patches / (patches.var(1, unbiased=False, keepdim=True) + FAINTEST_CONTRAST).sqrt()
    likeness = patches @ network.kernels.flatten(1).T + network.shift
    assert float(likeness.mean(0).abs().max()) < 0.1  # the mean is taken away
    assert float(likeness.var(0).max()) < 1.1  # of a unit vector with whitened patches


def test_stripes_are_learned_and_weights_move():
    split = stripes(90, (1, 16, 16))
    recipe, shape = lm.Recipe(epochs=1, weight_decay=1.0), lm.ImageShape(1, 16, 16)
    child = lm.Child(space=SPACE, architecture=FEW, shape=shape, way=3, recipe=recipe)
    cost = fit_child(child, split.at(torch.arange(60)), seed=0)
    assert score(child, split.at(torch.arange(60, 90))) > 0.9
    assert cost.flops == 3 * 60 * SPACE.cost(FEW, shape, 3).flops
    check_weights_move(SPACE, child.network, FEW, shape, split.inputs.float() / 255)


def test_a_program_gives_the_same_scores(tmp_path):
    split, shape = stripes(30, (3, 40, 70)), lm.ImageShape(3, 40, 70)
    network = SPACE.child(FEW, shape, 3)
    network.solve(split, lm.Classification(3), 1.0, 1, 0)
    check_programs(network, split.inputs.float() / 255, tmp_path, shape=shape)
