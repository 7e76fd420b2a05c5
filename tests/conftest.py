"""What all tests share."""

import gc
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from optuna.storages import RDBStorage
from PIL import Image
from torch.utils._pytree import tree_leaves

sys.path += map(str, sorted(Path(__file__).parent.glob("*/toys")))  # modules that tests and their subprocesses share

LAUNCHERS = ["RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"]
TERMINALS = ["COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"]

import_module("unflushed")

# Nothing may depend on where the tests run: not on a scheduler, an account or a terminal, not on a shell that starts
# them in the background and so without Ctrl-C, not on how fast the machine is, and not on luck.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in [name for name in os.environ if name.startswith(("LIT_METANAS_", "SLURM_", "WANDB_"))]:
    del os.environ[name]
for name in LAUNCHERS + TERMINALS:
    os.environ.pop(name, None)
os.environ |= {"WANDB_INIT_TIMEOUT": "600", "WANDB_X_SERVICE_WAIT": "600"}
os.environ["LIT_METANAS_PROCESSES"] = "1024"  # which share the cores, so that none has several
settings.register_profile(
    "anywhere", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("anywhere")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=None, help="folder with real data sets, for tests that read them")
    parser.addoption("--postgres", default=None, help="address of a PostgreSQL server, for tests of shared studies")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--slow"):
        os.environ["FUZZ_SLOWLY"] = "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: give --slow"))


def pytest_collection_finish() -> None:
    """Leave out of each search for garbage what was imported and collected: 1.5 million objects, half a second."""
    gc.collect()
    gc.freeze()


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


class OnAccelerator(torch.Tensor):
    """Pretends to lie on an accelerator without double precision, such as Apple's."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.cpu:
            return args[0].as_subclass(torch.Tensor)
        if func is torch.cat and len({type(part) for part in args[0]}) > 1:
            raise RuntimeError("torch.cat of tensors on two devices")
        found = super().__torch_function__(func, types, args, kwargs)
        for leaf in tree_leaves(found):
            with torch._C.DisableTorchFunctionSubclass():
                if isinstance(leaf, cls) and leaf.dtype == torch.float64:
                    raise TypeError(f"{func} in double precision on an accelerator")
        return found


@pytest.fixture
def on_accelerator() -> Callable[[torch.Tensor], torch.Tensor]:
    """Makes tensors pretend so."""
    return lambda tensor: tensor.as_subclass(OnAccelerator)


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
