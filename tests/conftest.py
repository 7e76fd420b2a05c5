"""What all tests share."""

from pathlib import Path

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=None, help="folder with real data sets, for tests that read them")
    parser.addoption("--postgres", default=None, help="address of a PostgreSQL server, for tests of shared studies")
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: give --slow"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def data_folder(request: pytest.FixtureRequest) -> Path:
    folder = request.config.getoption("--data")
    if folder is None or not folder.is_dir():
        pytest.skip("no folder with real data sets: give --data PATH")
    return folder
