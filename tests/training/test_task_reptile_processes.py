"""TaskReptile in two processes does what it does in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ports import free_port
from task_processes import train

SCRIPT = Path(__file__).with_name("toys") / "task_processes.py"


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.filterwarnings("ignore:Task 'stripes/5' has no finite loss")
def test_two_processes_agree_with_one(tmp_path):
    one = train(tmp_path, 1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path.cwd())]), "OMP_NUM_THREADS": "1"}
    environment["MASTER_PORT"] = free_port()
    process = subprocess.run(
        ["timeout", "-k", "5", "600", sys.executable, str(SCRIPT), str(tmp_path), "2"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=650,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert first["cost"] == second["cost"] == one["cost"]
    assert one["cost"][3] == 6  # the broken task, once in each pass
    for key in ("losses", "score"):
        assert first[key] == second[key] == pytest.approx(one[key], abs=1e-10)
    for name, value in one["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        torch.testing.assert_close(first["weights"][name], value, rtol=0, atol=1e-10)
