"""TaskReptile in two processes does what it does in one."""

from pathlib import Path

import pytest
import torch
from ranks import run_ranks
from task_processes import train

SCRIPT = Path(__file__).with_name("toys") / "task_processes.py"


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.filterwarnings("ignore:Task 'stripes/5' has no finite loss")
def test_two_processes_agree_with_one(tmp_path):
    one = train(tmp_path, 1)
    first, second = run_ranks(SCRIPT, tmp_path, "2", 2, seconds=600)
    assert first["cost"] == second["cost"] == one["cost"]
    assert one["cost"][3] == 6  # the broken task, once in each pass
    for key in ("losses", "score"):
        assert first[key] == second[key] == pytest.approx(one[key], abs=1e-10)
    for name, value in one["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        torch.testing.assert_close(first["weights"][name], value, rtol=0, atol=1e-10)
