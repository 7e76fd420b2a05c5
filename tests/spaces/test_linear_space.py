"""The space of linear classifiers: the test kit, its features against plain ones, and what it refuses."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.spaces.any_input.linear_space import (
    ImageFeatures,
    RowFeatures,
)
from lit_metanas.testing import check_space

SHAPES = [lm.ImageShape(1, 14, 10), lm.RowShape(7)]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_it_passes_the_test_kit(shape):
    check_space(lm.spaces.LinearSpace(), shape=shape)
    check_space(lm.spaces.LinearSpace(details=("fine",)), shape=shape)


def test_patches_are_averaged_and_those_at_the_end_are_smaller():
    features = ImageFeatures(lm.ImageShape(1, 1, 10), "coarse")
    assert features(torch.arange(10.0).view(1, 1, 1, 10)).tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5]]
    assert ImageFeatures(lm.ImageShape(3, 2, 40), "fine").length == 3 * 2 * 10  # too low for edges


def test_edges_are_told_by_direction_whatever_the_contrast():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1.0  # brighter on the right
    features = ImageFeatures(lm.ImageShape(1, 8, 8), "fine")
    assert features.length == 64 + 6 * 6 * 8
    one, other = features(torch.cat([image, 0.5 * image]))
    torch.testing.assert_close(one[:64], image.flatten())
    edges = one[64:].view(8, 6, 6)
    half = 0.5**0.5
    shares = torch.tensor([1, half, 0, 0, 0, 0, 0, half])  # in steps of 45 degrees from the right
    torch.testing.assert_close(edges[:, 3, 3] / edges[:, 3, 3].sum(), shares / shares.sum(), atol=1e-5, rtol=0)
    assert float(edges[:, :, 0].abs().sum()) == 0
    torch.testing.assert_close(other[64:], one[64:])


def test_rows_are_taken_as_they_are_or_with_squares():
    rows = torch.tensor([[1.0, -3.0]])
    assert RowFeatures(lm.RowShape(2), "coarse")(rows).tolist() == [[1, -3]]
    assert RowFeatures(lm.RowShape(2), "fine")(rows).tolist() == [[1, -3, 1, 9]]


def test_other_details_are_refused():
    with pytest.raises(ValueError, match="unknown label 'rough' of 'details'"):
        lm.spaces.LinearSpace(details=("rough",))
    with pytest.raises(ValueError, match="'details' is empty"):
        lm.spaces.LinearSpace(details=())


@pytest.mark.parametrize("shape", [(1, 28, 28), *SHAPES[1:]], ids=["images", "rows"])
def test_it_is_exported_for_onnxruntime(shape, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    inputs = torch.rand((24, *shape), generator=torch.Generator().manual_seed(0))
    part = lm.Split(inputs, torch.arange(24) % 2)
    task = lm.Task("toy", 2, part, part, part)
    space, method = lm.spaces.LinearSpace(details=("fine",)), lm.searchers.FixedArchitecture({"detail": "fine"})
    found = lm.search(task, space, method=method, progress=False)
    found.export(tmp_path, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (scores,) = session.run(None, {session.get_inputs()[0].name: inputs[:5].numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(scores), found.network(inputs[:5]), atol=1e-4, rtol=1e-4)
