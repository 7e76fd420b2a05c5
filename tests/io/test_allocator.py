"""The tuned allocator: on under glibc, a no-op elsewhere, and no pages given back."""

import platform
import subprocess
import sys

import pytest

from lit_metanas.io.allocator import SWITCH, tune_allocator

FAULTS = """
import resource, sys, torch
from lit_metanas.io import tune_allocator
print(tune_allocator())
torch.set_num_threads(1)
def step(): return torch.ones(16, 1 << 20).add_(1)
for _ in range(3): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5): step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is tuned")
def test_memory_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {}
    for switch in ("0", "1"):
        monkeypatch.setenv(SWITCH, switch)
        done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=600, check=True)
        tuned, count = done.stdout.split()
        assert tuned == ("True" if switch == "1" else "False")
        faults[switch] = int(count)
    assert faults["1"] < 100 < faults["0"]


def test_no_op_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr("platform.libc_ver", lambda: ("musl", "1.2"))
    assert not tune_allocator()
    monkeypatch.setattr("platform.libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr("torch.accelerator.is_available", lambda: True)
    assert not tune_allocator()
