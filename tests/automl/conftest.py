"""Small data of several kinds."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lit_metanas as lm


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of ten images of 8x8 pixels, bright and dark."""
    generator = np.random.default_rng(0)
    for name, least in (("bright", 150), ("dark", 0)):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = generator.integers(least, least + 100, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "images"


@pytest.fixture
def arrays() -> tuple[np.ndarray, list[str]]:
    """Forty grey images of two classes, bright and dark."""
    X = np.random.default_rng(0).random((40, 8, 8)).astype(np.float32) / 2
    X[::2] += 0.5
    return X, ["bright", "dark"] * 20


@pytest.fixture
def space() -> lm.LayeredSpace:
    """A few small networks."""
    return lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), dropouts=(0,), depths=(1, 2), widths=(4, 8))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A table of texts with two labels."""
    rows = [f"how do I {verb} sheet {number},{verb}" for verb in ("fold", "cut") for number in range(10)]
    (tmp_path / "texts.csv").write_text("\n".join(["sentence,intent", *rows]))
    return tmp_path / "texts.csv"
