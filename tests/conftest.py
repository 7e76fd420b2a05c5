"""What all tests share: the environment, options, and the plug-in `shared_fixtures`."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

gc.disable()  # until all is imported and collected: searching its millions of objects takes each process eleven seconds
sys.path += map(str, sorted(Path(__file__).parent.glob("**/toys")))  # modules that tests and their subprocesses share
pytest.register_assert_rewrite("space_toys", "body_toys")  # they hold assertions

LAUNCHERS = ["RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"]
TERMINALS = ["COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"]

# Nothing may depend on where the tests run: not on a scheduler, an account or a terminal, not on a shell that starts
# them in the background and so without Ctrl-C, not on how fast the machine is, and not on luck.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in [name for name in os.environ if name.startswith(("LIT_METANAS_", "SLURM_", "WANDB_"))]:
    del os.environ[name]
for name in LAUNCHERS + TERMINALS:
    os.environ.pop(name, None)
os.environ |= {"WANDB_INIT_TIMEOUT": "600", "WANDB_X_SERVICE_WAIT": "600"}
os.environ["LIT_METANAS_PROCESSES"] = "1024"  # which share the cores, so that none has several


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=None, help="folder with real data sets, for tests that read them")
    parser.addoption("--postgres", default=None, help="address of a PostgreSQL server, for tests of shared studies")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--slow"):
        os.environ["FUZZ_SLOWLY"] = "1"
    # The process that only hands tests out to others would import torch first, and let them wait for it.
    if hasattr(config, "workerinput") or not config.getoption("tx", None):
        config.pluginmanager.import_plugin("shared_fixtures")


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
    gc.set_threshold(10_000, 10, 10)  # with the usual 700 the search takes an eighth of all time
    gc.enable()
