"""The benchmarks fit the package as it is now."""

from pathlib import Path

import pytest

import lit_metanas as lm

SCRIPTS = sorted((Path(lm.__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_all_that_a_script_names_is_there(script, load):
    for extra in ("sklearn", "scipy"):
        pytest.importorskip(extra)
    load(script.stem)
