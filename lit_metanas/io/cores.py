"""The cores of a processor that this process may use, and processes that end with the one that started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from multiprocessing import current_process, parent_process
from pathlib import Path
from threading import Thread

# Environment variable: the number of processes that share the cores, as `run` sets it for its steps.
SHARED_BY = "LIT_METANAS_PROCESSES"

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")

# Variables of processes that work side by side: of `run`, of pytest, of torchrun, and of Lightning's launcher.
_SHARED_BY = (SHARED_BY, "PYTEST_XDIST_WORKER_COUNT", "LOCAL_WORLD_SIZE", "WORLD_SIZE")


def usable_cores() -> int:
    """The cores that the system lets this process use; the machine may have more."""
    # A process may be bound to some cores, and a container may have a share of their time (`cpu.max` of cgroup v2).
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        bound = os.process_cpu_count()
    elif hasattr(os, "sched_getaffinity"):
        bound = len(os.sched_getaffinity(0))
    else:
        bound = os.cpu_count()
    # The cores whose time the groups of this process may use.
    quota = min((_limit(group / "cpu.max") for group in control_groups()), default=float("inf"))
    return max(1, int(min(bound or 1, quota)))


def own_cores() -> int:
    """The cores for this process alone, if others share them: those of a test run, of a job array, of joblib."""
    joblib = sys.modules.get("joblib.parallel")
    # Joblib runs this, in a process or a thread, while it runs other work.
    if current_process().daemon or (joblib is not None and joblib.get_active_backend()[0].nesting_level):
        return 1
    sharing = next((number for name in _SHARED_BY if (number := _positive(os.environ.get(name))) > 1), 1)
    return max(1, usable_cores() // sharing)


def shared_by(processes: int) -> dict[str, str]:
    """The variables by which a process knows that it is one of so many that share the cores of this one."""
    return {SHARED_BY: str(processes * max(1, _positive(os.environ.get(SHARED_BY))))}


def end_with_parent() -> None:
    """End this process as soon as the one that started it ends, even by a signal that cannot be caught."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def control_groups() -> Iterator[Path]:
    """The folders of the groups of this process, the innermost first (cgroup v2); none elsewhere than on Linux."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:
        return
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    own = _GROUPS / path.strip("/")
    yield from (group for group in (own, *own.parents) if group.is_relative_to(_GROUPS))


def _limit(file: Path) -> float:
    """The limit of one group, such as 1.5 for ``150000 100000``."""
    try:
        time, period = file.read_text().split()
        return float(time) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit is the word max
        return float("inf")


def _positive(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() else 0
