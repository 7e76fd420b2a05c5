"""The number of cores follows what is really available."""

import os
from pathlib import Path

import joblib
import pytest

from lit_metanas.io import cores
from lit_metanas.io.cores import SHARED_BY, own_cores, usable_cores


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the groups, on a machine of eight cores on which nothing else works."""
    monkeypatch.delenv(SHARED_BY, raising=False)
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)
    monkeypatch.setattr(cores, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "_OWN_GROUP", tmp_path / "own")
    (tmp_path / "own").write_text("1:cpu:/old\n0::/outer/inner\n")
    (tmp_path / "groups" / "outer" / "inner").mkdir(parents=True)
    return tmp_path / "groups"


@pytest.mark.parametrize(
    ("own", "outer", "number"),
    [
        (None, None, 8),
        ("max 100000\n", None, 8),
        ("250000 100000\n", None, 2),
        ("50000 100000\n", "max 100000\n", 1),
        ("max 100000\n", "300000 100000\n", 3),
        ("900000 100000\n", "1600000 100000\n", 8),
        ("of another format\n", None, 8),
    ],
)
def test_a_container_may_have_a_share_of_the_time(
    groups: Path, own: str | None, outer: str | None, number: int
) -> None:
    for folder, text in ((groups / "outer" / "inner", own), (groups / "outer", outer)):
        if text is not None:
            (folder / "cpu.max").write_text(text)
    assert usable_cores() == own_cores() == number


def test_a_process_may_be_bound_to_some(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 6}, raising=False)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 3, raising=False)
    assert usable_cores() == own_cores() == 3
    for name in ("sched_getaffinity", "process_cpu_count"):  # as on other systems
        monkeypatch.delattr(os, name)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6
    assert joblib.Parallel(2, backend="threading")(joblib.delayed(own_cores)() for _ in "ab") == [1, 1]


@pytest.mark.parametrize("name", [SHARED_BY, "PYTEST_XDIST_WORKER_COUNT", "LOCAL_WORLD_SIZE", "WORLD_SIZE"])
def test_processes_side_by_side_share_them(groups: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for value, number in (("3", 2), ("1", 8), ("100", 1), ("several", 8)):
        monkeypatch.setenv(name, value)
        assert own_cores() == number
        assert usable_cores() == 8
