"""Seeds, and the fixtures of all tests."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import unflushed  # noqa: F401
from hypothesis import HealthCheck, settings
from optuna.storages import RDBStorage
from PIL import Image

settings.register_profile(
    "anywhere", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("anywhere")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """What a test and its fixtures draw does not depend on what ran before."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _closed_storages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the data bases that a test itself has opened; newer Pythons warn of open ones."""
    opened: list[RDBStorage] = []
    connect = RDBStorage.__init__

    def noted(self: RDBStorage, *args: object, **kwargs: object) -> None:
        connect(self, *args, **kwargs)
        opened.append(self)

    monkeypatch.setattr(RDBStorage, "__init__", noted)
    yield
    for storage in opened:
        storage.remove_session()
        storage.engine.dispose()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def data_folder(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--data")
    if folder is None or not folder.is_dir():
        pytest.skip("no folder with real data sets: give --data PATH")
    return folder


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
def texts(tmp_path: Path) -> Path:
    """A table of texts with two labels."""
    rows = [f"how do I {verb} sheet {number},{verb}" for verb in ("fold", "cut") for number in range(10)]
    (tmp_path / "texts.csv").write_text("\n".join(["sentence,intent", *rows]))
    return tmp_path / "texts.csv"
