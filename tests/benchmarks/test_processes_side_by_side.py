"""Fits side by side: all are waited for, and a failure reports its errors."""

import sys

import pytest


def test_a_failed_fit_tells_its_errors_when_the_others_have_ended(load, tmp_path):
    written = tmp_path / "written"
    fails = [sys.executable, "-c", "raise SystemExit('no memory')"]
    lasts = [sys.executable, "-c", f"import time; time.sleep(0.5); open({str(written)!r}, 'w')"]
    with pytest.raises(SystemExit, match="ended with 1:\nno memory"):
        load("processes").run_together([fails, lasts])
    assert written.exists()
    written.unlink()
    load("processes").run_together([lasts])
    assert written.exists()
