"""What a search costs at equal accuracy, on a pool whose scores are made up, and DARTS on a task that is."""

import json
from itertools import product

import numpy as np
import pytest
import torch

import lit_metanas as lm

MEMBERS = 6


@pytest.fixture
def module(load):
    return load("search_cost")


@pytest.fixture
def pool(load, module, tmp_path):
    """Six tasks of three data sets; the later a member, the better it is on all of them, and the dearer."""
    tasks, pools = load("mixed_tasks"), load("mixed_pool")
    problems = [tasks.Problem(dataset, name, "text", draw=lambda folders: None) for dataset in "abc" for name in "12"]
    kept, draw = pools.PairPool(tmp_path / "pool.jsonl", MEMBERS), np.random.default_rng(0)
    for problem, member in product(problems, range(MEMBERS)):
        val, test = (0.5 + 0.05 * member + 0.04 * draw.random() for _ in range(2))
        kept._add(pools.Row(problem.id, member, 0, round(val, 4), round(test, 4), 0.1))
    stream = load("mixed_stream").stream_of(kept, {p.id: () for p in problems}, problems)
    return module.Trained("toy", stream, np.tile(np.arange(1.0, MEMBERS + 1), (len(problems), 1)))


def drawn_orders(seeds):
    draw = np.random.default_rng(1)
    return [[draw.permutation(MEMBERS).tolist() for _ in range(seeds)] for _ in range(6)]


def test_a_search_pays_for_all_that_it_trains_until_its_choice_is_good_enough(module, pool):
    orders, goals = drawn_orders(5), np.linspace(55, 82, 6)
    found = module.needed(pool, orders, goals)
    mean = sum(range(1, MEMBERS + 1)) / MEMBERS
    for task, seed in product(range(6), range(5)):
        order, spent, reached = orders[task][seed], 0.0, False
        for number, member in enumerate(order, start=1):
            spent += (member + 1) / mean
            chosen = max(order[:number], key=lambda one: pool.stream.val[task, one])
            if reached := 100 * pool.stream.test[task, chosen] >= goals[task]:
                break
        assert found.children[task, seed] == number
        assert found.units[task, seed] == pytest.approx(spent)
        assert found.missed[task, seed] == (not reached)
    assert 0 < found.missed.mean() < 1


def test_the_cheapest_that_will_do_is_a_bound_of_what_any_search_pays(module, pool):
    goals = np.full(6, 65.0)
    bound = module.first_choice(pool, goals)
    assert (bound[:, None] <= module.needed(pool, drawn_orders(5), goals).units + 1e-9).all()
    assert bound.tolist() == [
        min(pool.units[task, m] for m in range(MEMBERS) if 100 * pool.stream.test[task, m] >= 65) for task in range(6)
    ]


def test_data_sets_are_drawn_again_with_all_their_tasks(module):
    values = np.array([[1.0], [3.0], [10.0]])
    means = module.drawn_again(["a", "a", "b"], values, draws=2000)
    # Both of a, one of a and b each, both of b.
    assert set(np.round(means[:, 0], 6)) == {2.0, round(14 / 3, 6), 10.0}


def test_equal_mean_accuracy_compares_whole_curves(module):
    baseline = [[50, 60, 70, 70], [1, 2, 3, 4]]
    own = [[55, 65, 70, 71], [0.5, 1.0, 1.5, 2.0]]
    curves = np.array([[*baseline, *own]], float)
    assert [float(each[0]) for each in module.until_level(curves, 2)] == [2, 1.0, 2.0]
    assert [float(each[0]) for each in module.until_level(curves, 4)] == [3, 1.5, 4 / 1.5]
    late = np.array([[*own, *baseline]], float)
    assert [float(each[0]) for each in module.until_level(late, 4)] == [4, 4.0, 0.5]  # never, and pays for all


def test_searches_are_kept_and_what_is_learned_elsewhere_pays(module, pool, tmp_path, capsys, monkeypatch):
    seeds = {name: min(count, 3) for name, count in module.SEEDS.items()}
    monkeypatch.setattr(module, "SEEDS", seeds)
    monkeypatch.setattr(module, "AFTER", (2, 3))
    kept = module.Kept(tmp_path / "orders.json")
    kept.fill([pool], seeds)
    again = module.Kept(tmp_path / "orders.json")
    monkeypatch.setattr(module, "search", None)
    again.fill([pool], seeds)  # nothing is searched again
    assert again.orders == kept.orders
    for name, found in kept.orders["toy"].items():
        assert all(sorted(order) == list(range(MEMBERS)) for each in found for order in each), name
    rows = list(module.rows_of("toy", [pool], kept.orders))
    best = {row.method: row for row in rows if row.goal == "1 point below the best"}
    assert best[module.MAIN].children < best["random"].children
    assert best["random"].times[0] > 1 > best["the cheapest that will do"].times[0] - 1e-9
    assert best[module.MAIN].times == (1, 1, 1)
    levels = list(module.levels_of(pool, kept.orders["toy"]))
    assert {level.after for level in levels} == {2, 3, MEMBERS}
    same = [level for level in levels if level.method == module.BASELINE]
    assert all(level.children <= level.after and level.times[0] >= 1 for level in same)
    module.show(rows, levels, [])
    assert "times the portfolio's cost" in capsys.readouterr().out


def test_a_training_costs_what_the_shipped_records_say(load, module):
    records, pools = load("shipped_records"), load("shipped_pools")
    (problem,) = [p for p in pools.IMAGES if p.id == "digits/all"]
    told = json.loads((pools.RESULTS / records.SHAPES).read_text())[problem.id]
    pool = pools.pool_of("images")
    record = records.record_of(problem, pool, told)
    shape = load("mixed_tasks").lm.ImageShape(*told["shape"])
    spent = [
        module.child_flops(pair, shape, told["way"], told["examples"], pool.steps, pool.space) for pair in pool.pairs
    ]
    assert sum(spent) == record.trials[-1].cost.flops


@pytest.fixture
def darts(load):
    return load("mixed_darts")


def test_darts_is_trained_with_the_recipe_of_another_network_and_charged_for_its_search(darts, load, tmp_path, pool):
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    part = lm.Split(images, torch.arange(40) % 2)
    task = lm.Task("a/1", way=2, train=part, val=part, test=part)
    problem = load("mixed_tasks").Problem("a", "1", "text", draw=lambda folders: task)
    best = pool.stream.pairs[-1]
    row = darts.search(task, best, steps=2, child_steps=3, seed=0)
    assert row.architecture["width"] == darts.WIDTH
    assert all(row.architecture[choice.name] == best[choice.name] for choice in load("mixed_pool").RECIPE)
    pair = lm.Architecture(row.architecture)
    assert row.training == darts.child_flops(pair, task.shape, 2, 40, 3)
    # A step is a pass of a weights' and a pass of a logits' minibatch through layers of all operations.
    alone, _ = load("mixed_pool").parts_of(pair, 40)
    assert row.search > 2 * 2 * 32 * 3 * darts.SPACE.cost(alone, task.shape, 2).flops
    path = tmp_path / "darts.jsonl"
    path.write_text(json.dumps(row.__dict__) + "\n" + json.dumps(row.__dict__)[:30])
    stream = load("mixed_stream").Stream(
        pool.stream.pairs, (problem, *pool.stream.problems[2:]), pool.stream.val[1:], pool.stream.test[1:], {}
    )
    others = [p.id for p in stream.problems[1:]]
    kept = [darts.Row(**{**row.__dict__, "task": name}) for name in others]
    path.write_text("".join(json.dumps(one.__dict__) + "\n" for one in kept) + json.dumps(row.__dict__)[:30])
    darts.measure(stream, None, path, [0], steps=2, child_steps=3)
    assert [one.task for one in darts.read(path)] == [*others, "a/1"]
    assert {**darts.read(path)[-1].__dict__, "seconds": row.seconds} == row.__dict__
