"""The records that the package ships, and the search that begins with them."""

import json

import pytest

import lit_metanas as lm
from lit_metanas.records.record_lines import SHIPPED_FILE


def test_what_the_package_ships_of_a_task_is_made_again_from_its_pool(load):
    made, pools = load("shipped_records"), load("shipped_pools")
    shapes = json.loads((pools.RESULTS / made.SHAPES).read_text())
    (problem,) = [p for p in pools.IMAGES if p.id == "digits/all"]
    (shipped,) = [record for record in lm.read_record_lines("shipped") if record.task_id == problem.id]
    assert made.record_of(problem, pools.pool_of("images"), shapes[problem.id]) == shipped


@pytest.mark.slow
def test_all_that_the_package_ships_is_made_again_from_the_pools(load, tmp_path, capsys):
    load("shipped_records").main(["--output", str(tmp_path / "again.jsonl")])
    assert (tmp_path / "again.jsonl").read_bytes() == SHIPPED_FILE.read_bytes()
    assert "searches, 0." in capsys.readouterr().out


def test_a_record_tells_networks_apart_from_recipes_and_what_each_cost(load, tmp_path):
    pools, records = load("mixed_pool"), load("shipped_records")
    space = lm.default_space(lm.TokenShape(50, 8))
    pool = pools.PairPool(tmp_path / "pool.jsonl", 2, steps=10, space=space)
    problem = load("mixed_tasks").Problem("toy", "1", "text", draw=lambda folders: None)
    for member in (1, 0):
        pool._add(pools.Row("toy/1", member, 0, 0.5 + member / 10, 0.0, 2.0))
    described = {"shape": ["tokens", 50, 8], "way": 3, "examples": 40}
    found = records.record_of(problem, pool, described)
    assert [trial.value for trial in found.trials] == [0.5, 0.6]
    flops = []
    for trial, pair in zip(found.trials, pool.pairs, strict=True):
        assert {**trial.architecture, **{n: f"{v:g}" for n, v in trial.recipe.items()}} == dict(pair)
        # Five passes of two steps of 32 images at most make ten steps of 40 examples.
        images = 5 * 40
        flops.append(3 * space.cost(trial.architecture, lm.TokenShape(50, 8), 3).flops * images)
    assert found.trials[-1].cost.flops == sum(flops)
    assert found.trials[-1].cost.seconds == 4.0
