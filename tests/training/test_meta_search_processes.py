"""Two and four processes do what one does."""

import json
from pathlib import Path

import pytest
import task_processes
import torch
from ranks import run_ranks
from two_processes import train

SCRIPT = Path(__file__).with_name("toys") / "two_processes.py"
TASK_SCRIPT = SCRIPT.with_name("task_processes.py")


def run(folder, **options):
    """Train in as many processes as ``devices``, and return what each of them wrote."""
    folder.mkdir(exist_ok=True)
    if options["devices"] == 1:
        return [train(folder, **options)]
    return run_ranks(SCRIPT, folder, json.dumps(options), options["devices"], seconds=1500)


def compare(one, *ranks, within, steps):
    first = ranks[0]
    for other in ranks[1:]:
        assert first["state"].keys() == other["state"].keys() == one["state"].keys()
        for name, value in first["state"].items():
            assert torch.equal(value, other["state"][name]), f"ranks differ in {name}"
        for key in ("architecture", "losses", "metrics", "test", "messages"):
            assert first[key] == other[key], key
    for name, value in one["state"].items():
        if name.startswith("module "):
            torch.testing.assert_close(first["state"][name], value, rtol=0, atol=within, msg=lambda m, n=name: n + m)
    assert first["architecture"] == one["architecture"]
    assert first["losses"] == pytest.approx(one["losses"], abs=within)
    assert first["metrics"] == pytest.approx(one["metrics"], abs=within)
    assert "val/accuracy" in one["metrics"]
    assert first["images"] == one["images"]
    assert len(first["test"]) == len(one["test"]) == 13
    # One message in each step, all guards on, beside Lightning's own about SIGTERM; and two for each comparison, the
    # size of an object and the object, after the steps 1, 6, 11, ...
    messages = {"allreduce": steps - 1, "broadcast": steps - 2, "allgather": 2 * ((steps - 1) // 5)}
    assert first["messages"] == messages
    assert one["messages"] == {}


def test_two_processes_agree_with_one(tmp_path):
    options = {"method": "sampled, SGD", "steps": 11}
    (one,) = run(tmp_path / "one", devices=1, **options)
    first, second = run(tmp_path / "two", devices=2, **options)
    compare(one, first, second, within=1e-5, steps=11)
    assert first["test"] == one["test"]  # in the episodes' order
    assert len(set(one["test"])) > 2


@pytest.mark.slow
@pytest.mark.timeout(7000)
@pytest.mark.parametrize("method", ["soft", "fomaml", "sampled, SGD"])
def test_other_methods_on_two_and_four_processes(method, tmp_path):
    options = {"method": method, "steps": 20}
    (one,) = run(tmp_path / "one", devices=1, **options)
    for devices in (2, 4):
        compare(one, *run(tmp_path / str(devices), devices=devices, **options), within=1e-5, steps=20)


@pytest.mark.slow
@pytest.mark.timeout(7000)
def test_two_processes_go_on_where_two_left_off_bit_for_bit(tmp_path):
    options = {"method": "sampled", "devices": 2, "steps": 4, "max_epochs": 3}
    whole = run(tmp_path / "whole", saves=[6], **options)
    assert len(whole[0]["losses"]) == 12
    for name, done in {"epoch": 4, "step6": 6}.items():
        checkpoint = str(tmp_path / "whole" / f"{name}.ckpt")
        resumed = run(tmp_path / name, resume=checkpoint, **options)
        for first, second in zip(whole, resumed, strict=True):
            assert second["losses"] == first["losses"][done:]
            assert second["metrics"] == first["metrics"]
            assert second["test"] == first["test"]
            assert second["state"].keys() == first["state"].keys()
            for key, value in first["state"].items():
                assert torch.equal(second["state"][key], value), f"{name}: {key}"


@pytest.mark.slow
@pytest.mark.timeout(2000)
@pytest.mark.filterwarnings("ignore:Task 'stripes/5' has no finite loss")
def test_tasks_on_two_processes_agree_with_one(tmp_path):
    one = task_processes.train(tmp_path, 1)
    first, second = run_ranks(TASK_SCRIPT, tmp_path, "2", 2, seconds=600)
    assert first["cost"] == second["cost"] == one["cost"]
    assert one["cost"][3] == 6  # the broken task, once in each pass
    for key in ("losses", "score"):
        assert first[key] == second[key] == pytest.approx(one[key], abs=1e-10)
    for name, value in one["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        torch.testing.assert_close(first["weights"][name], value, rtol=0, atol=1e-10)
