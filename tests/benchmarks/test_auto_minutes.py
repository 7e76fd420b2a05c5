"""How long ``auto`` takes: what a row and the table have."""

import json
import sys

import pytest


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it reads what Linux reports of cores and memory")
def test_a_row_tells_of_a_process_of_its_own(load, tmp_path, capsys):
    pytest.importorskip("sklearn")
    module, file = load("auto_minutes"), tmp_path / "minutes.jsonl"
    for _ in range(2):  # the second time there is nothing to do
        module.main(["--data", str(tmp_path), "--sets", "wine", "--minutes", "0.1", "--output", str(file)])
    (row,) = map(json.loads, file.read_text().splitlines())
    assert row["seconds"] > 0
    assert row["busy"] > 0
    assert 100 < row["memory"] < 10_000
    assert row["test"] == pytest.approx(round(row["test"] / 100 * 70) / 70 * 100, abs=0.01)
    share = row["seconds"] / 6
    assert f"| wine | 0.1 | {row['seconds']:.0f} | {share:.0%} |" in capsys.readouterr().out


def test_a_run_that_fails_is_told(load, monkeypatch, tmp_path):
    module = load("auto_minutes")
    monkeypatch.setattr(module, "ONE_RUN", "raise SystemExit(3)")
    with pytest.raises(RuntimeError, match="auto on wine ended with exit code 3"):
        module.measure(tmp_path, "wine", 1.0)
