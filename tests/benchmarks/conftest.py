"""What the tests of several benchmarks share."""

import importlib
from pathlib import Path

import pytest

import lit_metanas as lm

FOLDER = Path(lm.__file__).parent.parent / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a benchmark by its name."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module
