"""A small space."""

import pytest
from auto_toys import shorten_trials
from plain_pixels import PlainPixelSpace

import lit_metanas as lm
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.spaces.any_input import LINEAR_SPACES
from lit_metanas.training import precision


@pytest.fixture(autouse=True)
def _no_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor without bf16, so that minutes do not decide by a clock how networks are trained."""
    monkeypatch.setattr(precision, "fast_bf16", lambda device: False)


@pytest.fixture
def space() -> lm.LayeredSpace:
    """A few small networks."""
    return lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8))


@pytest.fixture
def short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are trained for three epochs, on one part of the data, so that a small budget pays for several."""
    shorten_trials(monkeypatch, steps=3)


@pytest.fixture
def plain_linear_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear models of images are of average pixels, and are not averaged with networks."""
    monkeypatch.setitem(LINEAR_SPACES, frozenset({"detail"}), PlainPixelSpace)
    monkeypatch.setattr(ImageKind, "linear_space", PlainPixelSpace)
    monkeypatch.setattr(ImageKind, "features", {"coarse": "average pixels", "fine": "average pixels and edges"})
    monkeypatch.setattr(ImageKind, "averages_linear", False)
