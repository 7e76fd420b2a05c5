"""The space of linear classifiers: the test kit, its features against plain ones, and what it refuses."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.spaces.any_input.linear_space import BUCKETS, MULTIPLIER, patch_means, series_moments, token_counts
from lit_metanas.testing import check_space

SHAPES = [lm.ImageShape(1, 28, 20), lm.SeriesShape(3, 11), lm.TokenShape(13, 11), lm.RowShape(7)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_it_passes_the_test_kit(shape):
    check_space(lm.LinearSpace(), shape=shape)
    check_space(lm.LinearSpace(details=("fine",)), shape=shape)


@pytest.mark.parametrize("detail", ["coarse", "fine"])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_scores_are_linear_in_the_features_and_nothing_else_is_learned(shape, detail):
    space = lm.LinearSpace()
    child = space.build(space.canonical({"detail": detail}), shape, way=3)
    assert {name for name, _ in child.named_parameters()} == {"head.weight", "head.bias"}
    assert child.flops == child.features * 3
    assert space.cost(child_labels := space.canonical({"detail": detail}), shape, 3).parameters == child.head.weight.numel() + 3
    assert child_labels["detail"] == detail


def test_patches_are_averaged_and_those_at_the_edge_are_smaller():
    image = torch.arange(10.0).view(1, 1, 1, 10)
    assert patch_means(image, [1, 4]).tolist() == [[1.5, 5.5, 8.5]]


def test_moments_are_those_of_the_steps_of_an_example():
    series = torch.zeros(2, 2, 6)
    series[0, 0, :4] = torch.tensor([1.0, 3.0, 5.0, 7.0])
    series[1, 0, :2] = torch.tensor([2.0, 4.0])
    series[0, 1, :4] = series[1, 1, :2] = 1
    found = series_moments(series, 2)
    torch.testing.assert_close(found, torch.tensor([[5**0.5, 4, 2, 6], [1.0, 3, 2, 4]]))
    torch.testing.assert_close(series_moments(series[:, :, :4], 2), found)
    torch.testing.assert_close(series_moments(series, 1), found[:, :2])


def test_tokens_are_counted_alone_and_in_a_row():
    tokens = torch.tensor([[4, 2, 4, 0, 0], [0, 0, 0, 0, 0]])
    found = token_counts(tokens, 5, 1)
    torch.testing.assert_close(found, torch.tensor([[0, 0, 1, 0, 2], [0, 0, 0, 0, 0]]) / 3**0.5)
    rows = token_counts(tokens, 5, 3)
    pairs = [(4 * MULTIPLIER + 2) % BUCKETS, (2 * MULTIPLIER + 4) % BUCKETS]
    places = [2, 4, *(5 + place for place in pairs), 5 + (pairs[0] * MULTIPLIER + 4) % BUCKETS]
    assert sorted(rows[0].nonzero().flatten().tolist()) == sorted(places)
    torch.testing.assert_close(rows[0, places], torch.tensor([1.0, 2, 1, 1, 1]) / 6**0.5)
    torch.testing.assert_close(token_counts(tokens[:, :3], 5, 3), rows)


def test_other_details_are_refused():
    with pytest.raises(ValueError, match="unknown label 'rough' of 'details'"):
        lm.LinearSpace(details=("rough",))
    with pytest.raises(ValueError, match="'details' is empty"):
        lm.LinearSpace(details=())
