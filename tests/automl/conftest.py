"""A small space."""

import pytest

import lit_metanas as lm


@pytest.fixture
def space() -> lm.LayeredSpace:
    """A few small networks."""
    return lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8))
