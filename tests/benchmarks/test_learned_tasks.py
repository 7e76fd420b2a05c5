"""Searches of learned tasks, on a pool whose scores are made up; and once with a pool that is trained."""

import importlib
import json
from itertools import product
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.samplers import RandomSampler, TPESampler

import lit_metanas
from lit_metanas.records import read_record_lines
from lit_metanas.spaces import Architecture
from lit_metanas.tasks import Glyphs

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
MEMBERS = 16


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def filled(module, path, seed=0):
    """A pool in which wide and deep networks are good on all tasks, beside what is the task's own."""
    pool = module.Pool(path, MEMBERS)
    draw = np.random.default_rng(seed)
    for problem in (*module.SOURCES[:2], module.TARGETS[0]):
        for member, architecture in enumerate(pool.architectures):
            val = 0.3 + 0.01 * int(architecture["layer2.width"]) + 0.1 * draw.random()
            pool.rows.append(module.Row(problem.id, member, 0, val, draw.random(), 0.0))
    pool.write()
    return pool


@pytest.fixture
def plan(benchmark):
    module = benchmark("learned_pool")
    return benchmark("learned_tasks").Plan(
        sources=module.SOURCES[:2],
        targets=module.TARGETS[:1],
        source_seeds=1,
        source_queries=8,
        seeds=2,
        queries=6,
    )


def test_an_interrupted_pool_goes_on(benchmark, tmp_path, monkeypatch):
    module = benchmark("learned_pool")
    asked = []

    def train(job):
        if len(asked) == 4:
            asked.append(None)
            raise KeyboardInterrupt
        asked.append((job.problem.id, job.member, job.seed))
        return module.Row(job.problem.id, job.member, job.seed, 0.5, 0.4, 1.0)

    monkeypatch.setattr(module, "train", train)
    wanted = [(module.SOURCES[0], 0), (module.SOURCES[0], 1)]
    with pytest.raises(KeyboardInterrupt):
        module.Pool(tmp_path / "pool.json", 3).fill(wanted)
    pool = module.Pool(tmp_path / "pool.json", 3)
    pool.fill(wanted)
    pool.fill(wanted)
    asked.remove(None)
    assert asked == [(module.SOURCES[0].id, member, seed) for seed, member in product((0, 1), range(3))]
    assert module.Pool(tmp_path / "pool.json", 3).rows == pool.rows
    assert len(set(pool.architectures)) == 3
    with pytest.raises(ValueError, match="other architectures"):
        module.Pool(tmp_path / "pool.json", 4)
    with pytest.raises(ValueError, match="0 trainings"):
        pool.scores(module.SOURCES[1], "val")


def test_sources_and_targets_share_no_class(benchmark):
    module = benchmark("learned_pool")
    assert (len(module.SOURCES), len(module.TARGETS)) == (12, 4)
    assert {problem.subset for problem in module.SOURCES} == {"train"}
    assert {problem.subset for problem in module.TARGETS} == {"test"}
    assert not set(Glyphs().classes("train")) & set(Glyphs().classes("test"))
    kinds = {problem.kind for problem in module.SOURCES}
    assert [problem.kind in kinds for problem in module.TARGETS] == [True, True, True, False]


def test_altered_images_are_what_they_say(benchmark):
    module = benchmark("altered_images")
    source = Glyphs(pool=1, ordinary=20)
    plain = source.inputs("test", 3, [4, 7])
    negative = module.AlteredImages(source, "negative", negative=True, noise=0.0, halved=False)
    assert torch.equal(negative.inputs("test", 3, [4, 7]), 255 - plain)
    halved = module.AlteredImages(source, "halved", negative=False, noise=0.0, halved=True)
    small = halved.inputs("test", 3, [4, 7])
    assert small.shape[1:] == halved.shape == (1, 14, 14)
    assert abs(float(small[1, 0, 5, 6]) - float(plain[1, 0, 10:12, 12:14].float().mean())) <= 0.5
    noisy = module.AlteredImages(source, "noisy", negative=False, noise=0.5, halved=False)
    both = noisy.inputs("test", 3, [4, 7])
    assert torch.equal(both[1:], noisy.inputs("test", 3, [7]))
    changes = both[plain == 0].float() / 255  # half of the normal distribution is cut off at 0
    assert changes.mean() == pytest.approx(0.5 / np.sqrt(2 * np.pi), abs=0.03)


class Says(RandomSampler):
    """Proposes what it was told."""

    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.labels.get(param_name.removeprefix("arch."), param_distribution.choices[0])


def asked(sampler, space, trials):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    found = []
    for number in range(trials):
        trial = study.ask()
        found.append(space.suggest(trial))
        study.tell(trial, number)
    return found


def test_the_nearest_untried_member_is_proposed(benchmark):
    module, pools = benchmark("pool_sampler"), benchmark("learned_pool")
    pool = pools.draw_pool(pools.SPACE, MEMBERS)
    wanted = pool[5]
    members = benchmark("pool_space").PoolSpace(pool, pools.SPACE)
    order = asked(module.PoolSampler(members, Says(wanted)), pools.SPACE, MEMBERS)
    assert order[0] == wanted
    assert set(order) == set(pool)

    def far(member):
        names = set(member) | set(wanted)
        return sum(member.get(name) != wanted.get(name) for name in names) / len(names)

    distances = [far(member) for member in order]
    assert distances == sorted(distances)
    assert 0 < distances[1] < distances[-1] <= 1


@pytest.mark.parametrize("inner", [None, TPESampler(seed=0, n_startup_trials=4)])
def test_all_members_come_once_in_another_order_for_each_seed(benchmark, inner):
    module, pools = benchmark("pool_sampler"), benchmark("learned_pool")
    reseed = importlib.import_module("lit_metanas.searchers.query.trial_loop").reseed
    pool = pools.draw_pool(pools.SPACE, MEMBERS)
    orders = []
    for seed in range(2):
        sampler = module.PoolSampler(benchmark("pool_space").PoolSpace(pool, pools.SPACE), inner)
        reseed(sampler, seed)
        orders.append(asked(sampler, pools.SPACE, MEMBERS))
    assert orders[0] != orders[1]
    assert all(set(order) == set(pool) for order in orders)


def test_a_pool_is_a_small_space(benchmark):
    module, pools = benchmark("pool_space"), benchmark("learned_pool")
    pool = pools.draw_pool(pools.SPACE, MEMBERS)
    space = module.PoolSpace(pool, pools.SPACE)
    assert list(space.architectures()) == pool
    assert (space.size, space.name) == (MEMBERS, "LayeredSpace")
    generator = torch.Generator().manual_seed(0)
    assert {space.sample(generator) for _ in range(500)} == set(pool)
    other = next(a for a in pools.draw_pool(pools.SPACE, 100, seed=1) if a not in pool)
    assert space.violation(pool[3]) is None
    assert space.violation(other) == "it is not in the pool"


def test_members_are_ordered_by_their_place_on_the_sources(benchmark):
    module = benchmark("learned_tasks")
    records = importlib.import_module("lit_metanas.records")
    pool = [Architecture({"x": letter}) for letter in "abcd"]

    def record(task, **scores):
        trials = [records.Trial(Architecture({"x": x}), value, records.Cost()) for x, value in scores.items()]
        return records.SearchRecord(task, trials)

    # On both tasks b is above the middle of what was tried and a below; c is in the middle; d was never tried.
    found = module.source_mean([record("one", a=0.1, b=0.9, c=0.5), record("two", a=10.0, b=20.0)], pool)
    assert found == [1, 2, 3, 0]


def test_the_interval_of_a_difference_is_over_tasks_and_seeds(benchmark):
    module = benchmark("regrets")
    ours = np.array([[1.0, 1.0], [3.0, 3.0]])
    assert module.difference(ours, ours - 0.5) == pytest.approx((0.5, 0.5, 0.5))
    mean, low, high = module.difference(ours, np.zeros((2, 2)))
    # Drawn with replacement, both tasks are the same in half of the draws.
    assert (mean, low, high) == pytest.approx((2.0, 1.0, 3.0))


def test_regrets_are_those_of_the_best_by_validation_so_far(benchmark):
    module = benchmark("regrets")
    draw = np.random.default_rng(0)
    # Few values, so that there are ties: of equals the first is kept.
    val, test = (draw.integers(6, size=(2, MEMBERS)) / 10 for _ in range(2))
    orders = np.stack([[draw.permutation(MEMBERS)[:9] for _ in range(5)] for _ in range(2)])
    found = module.regrets(orders, val, test)
    for task, seed in product(range(2), range(5)):
        order, third = orders[task, seed].tolist(), sorted(val[task])[-3]
        for count in range(1, 10):
            chosen = max(order[:count], key=lambda member: val[task, member])
            for signal, scores in (("val", val[task]), ("test", test[task])):
                expected = 100 * (scores.max() - scores[chosen])
                assert getattr(found, signal)[task, seed, count - 1] == pytest.approx(expected)
        arrived = [count for count, member in enumerate(order, start=1) if val[task, member] >= third]
        assert found.arrived[task, seed] == min(arrived, default=np.inf)
    assert module.arrivals({"x": module.regrets(orders[..., :1], val, test)})["x"][0] in (None, 1.0)


@pytest.mark.slow
def test_the_whole_way_from_a_pool_to_regrets(benchmark, plan, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module, pools = benchmark("learned_tasks"), benchmark("learned_pool")
    pool = filled(pools, tmp_path / "pool.json")
    embeddings = {p.id: (float(n), 1.0) for n, p in enumerate((*plan.sources, *plan.targets))}
    found = module.run(pool, plan, embeddings, tmp_path / "work", tmp_path)
    lines = read_record_lines(tmp_path / "work" / "records-1.jsonl", pools.SPACE)
    assert [(r.method, r.task_id, r.seed) for r in lines] == [
        (name, problem.id, 1) for name in (module.RANDOM, module.EVOLUTION) for problem in plan.sources
    ]
    assert all(len({t.architecture for t in record.trials}) == plan.source_queries for record in lines)
    for name, regret in found.items():
        assert regret.val.shape == (1, 2, plan.queries), name
        assert (np.diff(regret.val) <= 0).all()
        assert (regret.test >= 0).all()
    by_val, by_test = (pool.scores(plan.targets[0], signal) for signal in ("val", "test"))
    order = json.loads((tmp_path / "replays.json").read_text())["orders"][f"{plan.targets[0].id}, random, 1"]
    chosen = max(order[:4], key=lambda member: by_val[member])
    assert found["random"].val[0, 1, 3] == pytest.approx(100 * (by_val.max() - by_val[chosen]))
    assert found["random"].test[0, 1, 3] == pytest.approx(100 * (by_test.max() - by_test[chosen]))
    rows = module.rows_of(found, (3, 5))
    module.show(rows, module.arrivals(found))
    assert f"{found['TPE'].val[..., 2].mean():5.2f} [" in capsys.readouterr().out
    assert [(row.searcher, row.children) for row in rows] == 2 * list(product(found, (3, 5)))
    module.draw(found, tmp_path / "regrets.png")
    assert (tmp_path / "regrets.png").read_bytes().startswith(b"\x89PNG")

    # No search is told a test accuracy: others of these leave all as it was, and nothing is searched again.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "search", None)
        assert np.array_equal(
            module.run(pool, plan, embeddings, tmp_path / "work", tmp_path)["TPE"].val, found["TPE"].val
        )
    for number, row in enumerate(pool.rows):
        pool.rows[number] = pools.Row(row.task, row.member, row.seed, row.val, 1 - row.test, 0.0)
    again = module.run(pool, plan, embeddings, tmp_path / "poisoned", tmp_path / "poisoned")
    for name, regret in found.items():
        assert np.array_equal(again[name].val, regret.val), name
        assert not np.array_equal(again[name].test, regret.test), name


@pytest.mark.slow
def test_one_command_trains_searches_and_writes(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    module = benchmark("learned_tasks")
    few = ["--members", "6", "--epochs", "1", "--sources", "3", "--targets", "1", "--seeds", "2", "--queries", "4"]
    arguments = [*few, "--processes", "1", "--results", str(tmp_path / "results"), "--work", str(tmp_path / "work")]
    module.main(arguments)
    written = {path.name for path in (tmp_path / "results").iterdir()}
    assert written == {"pool.json", "embeddings.json", "replays.json", "regrets.json", "regrets.png"}
    document = json.loads((tmp_path / "results" / "regrets.json").read_text())
    assert set(document["rank correlations"]["two seeds"]) == {"small/train/0"}
    before = (tmp_path / "results" / "pool.json").read_bytes()
    monkeypatch.setattr(benchmark("learned_pool"), "train", None)
    module.main(arguments)
    assert (tmp_path / "results" / "pool.json").read_bytes() == before
    assert "regret by test" in capsys.readouterr().out
