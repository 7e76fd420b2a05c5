"""The records that the package ships, and the search that begins with them."""

import json

import numpy as np
import pytest

import lit_metanas as lm
from lit_metanas.records.record_lines import SHIPPED_FILE


@pytest.fixture
def module(load):
    return load("auto_records")


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


def test_a_record_tells_networks_apart_from_recipes_and_what_each_cost(load, tmp_path):
    pools, records = load("pair_pool"), load("shipped_records")
    space = lm.default_space(lm.TokenShape(50, 8))
    pool = pools.PairPool(tmp_path / "pool.jsonl", 2, space, steps=10)
    problem = load("mixed_tasks").Problem("toy", "1", draw=lambda folders: None)
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


def test_the_data_set_of_a_task_is_left_out(module, load):
    (problem,) = [p for p in load("shipped_pools").SERIES if p.id == "GunPoint/all"]
    known = {record.task_id for record in lm.records.read_record_lines("shipped")}
    others = {record.task_id for record in module.others_of(problem)}
    assert known - others == {"GunPoint/all"}


def rows(module, tmp_path):
    draw = np.random.default_rng(0)
    for dataset, task, method, seed in (
        (d, t, m, s) for d in "abc" for t in "12" for m in module.METHODS for s in (0, 1)
    ):
        kind = "series" if dataset == "a" else "tokens"
        test = 50 + 10 * (method == module.METHODS[0]) + draw.random()
        yield module.Row(f"{dataset}/{task}", kind, method, seed, test, 10, 5, 0.1)


def test_the_table_compares_pairs_of_a_task_and_a_seed(module, tmp_path):
    found = list(rows(module, tmp_path))
    number, mine, other, mean, low, high = module.ahead(found, module.METHODS[1])
    by = {(row.task, row.seed, row.method): row.test for row in found}
    pairs = [by[t, s, module.METHODS[0]] - by[t, s, module.METHODS[1]] for t, s, m in by if m == module.METHODS[1]]
    assert number == len(pairs) == 12
    assert mean == pytest.approx(sum(pairs) / 12)
    assert mine - other == pytest.approx(mean)
    assert 8 < low < mean < high < 12
    assert len(list(module.table(found))) == 3 * 2


def test_a_run_goes_on(module, load, tmp_path, monkeypatch):
    problem = load("mixed_tasks").Problem("toy", "1", draw=lambda folders: object())
    monkeypatch.setattr(module, "PROBLEMS", {"series": [problem]})
    made = {method: module.Row(problem.id, "series", method, 0, 50.0, 10, 5, 0.1) for method in module.METHODS}
    monkeypatch.setattr(module, "search", lambda problem, kind, task, method, seed: made[method])
    path = tmp_path / "searches.jsonl"
    module.measure(None, path, [0])
    path.write_text(path.read_text()[:-20])
    assert module.measure(None, path, [0]) == list(made.values())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_methods_of_a_task_spend_as_much(module, load, place):
    words = ["red", "green", "blue"]
    task = lm.task_from_texts([f"{words[n % 3]} {n}" for n in range(60)], [words[n % 3] for n in range(60)])
    problem = load("mixed_tasks").Problem("toy", "1", draw=lambda folders: None)
    row = module.search(problem, "tokens", task, module.METHODS[place], 0, epochs=8)
    space = lm.default_space(task.shape)
    best = module.covering(module.others_of(problem), space, 1)[0].architecture
    learned = len(task.train) + len(task.val)
    flops = 8 * learned * 3 * space.cost(best, task.shape, task.way).flops
    assert row.search + row.training == pytest.approx(flops, rel=0.2)
