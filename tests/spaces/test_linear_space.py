"""The space of linear classifiers: its features against plain ones, its choices, and what it refuses."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.testing import check_space

SHAPE = lm.RowShape(7)


def test_rows_are_taken_as_they_are_or_standardised_with_squares():
    space = lm.spaces.LinearSpace()
    check_space(space)
    rows = torch.randn(30, 7, generator=torch.Generator().manual_seed(0))
    coarse, fine = (space.child(lm.Architecture({"detail": label}), SHAPE, 3) for label in ("coarse", "fine"))
    assert torch.equal(coarse.embed(rows), rows)
    both = torch.cat([rows, rows**2], 1)
    expected = (both - both.mean(0)) / (both.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(fine.embed(rows), expected)
    twin = space.child(lm.Architecture({"detail": "fine"}), SHAPE, 3, space.supernet_weights(fine)).eval()
    torch.testing.assert_close(twin(rows), fine.eval()(rows))


def test_other_details_are_refused():
    with pytest.raises(ValueError, match="unknown label 'rough' of 'details'"):
        lm.spaces.LinearSpace(details=("rough",))
    with pytest.raises(ValueError, match="'details' is empty"):
        lm.spaces.LinearSpace(details=())


def test_it_is_exported_for_onnxruntime(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    inputs = torch.rand((24, *SHAPE), generator=torch.Generator().manual_seed(0))
    part = lm.Split(inputs, torch.arange(24) % 2)
    task = lm.Task("toy", 2, part, part, part)
    space, method = lm.spaces.LinearSpace(details=("fine",)), lm.searchers.FixedArchitecture({"detail": "fine"})
    found = lm.search(task, space, method=method, progress=False)
    found.export(tmp_path, onnx=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (scores,) = session.run(None, {session.get_inputs()[0].name: inputs[:5].numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(scores), found.network(inputs[:5]), atol=1e-4, rtol=1e-4)
