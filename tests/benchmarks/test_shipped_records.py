"""The records that the package ships."""

import json

import pytest

import lit_metanas as lm
from lit_metanas.records.record_lines import SHIPPED_FILE


def test_what_the_package_ships_of_a_task_is_made_again_from_its_pool(load):
    made, pools = load("shipped_records"), load("shipped_pools")
    shapes = json.loads((pools.RESULTS / made.SHAPES).read_text())
    (problem,) = [p for p in pools.TOKENS if p.id == "snips/intents"]
    (shipped,) = [record for record in lm.records.read_record_lines("shipped") if record.task_id == problem.id]
    assert made.record_of(problem, pools.pool_of("tokens"), shapes[problem.id]) == shipped


@pytest.mark.slow
def test_all_that_the_package_ships_is_made_again_from_the_pools(load, tmp_path, capsys):
    load("shipped_records").main(["--output", str(tmp_path / "again.jsonl")])
    assert (tmp_path / "again.jsonl").read_bytes() == SHIPPED_FILE.read_bytes()
    assert "searches, 0." in capsys.readouterr().out
