"""The tabular benchmarks, and the searchers against plain loops, on small tables."""

import importlib
import json
import random
from math import inf, sqrt
from pathlib import Path
from statistics import fmean, stdev

import pytest

import lit_metanas
from lit_metanas.estimators import NASBenchGraphTable, Table, TabularEstimator
from lit_metanas.records import Cost, SearchRecord, Trial
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace, NASBenchGraph

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
LABELS = ("a", "b", "c", "d")
CHOICES = 6


@pytest.fixture
def benchmark_module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


class Bags(ChoiceSpace):
    """Six letters, of which the order of the first three does not matter."""

    choices = tuple(Choice(f"x{place}", LABELS) for place in range(CHOICES))

    def canonical(self, labels):
        letters = list(super().canonical(labels).values())
        return Architecture({f"x{place}": letter for place, letter in enumerate([*sorted(letters[:3]), *letters[3:]])})


def rugged(letters):
    """A smooth part that evolution can follow, and a part without order."""
    return sum(map(LABELS.index, letters)) / 18 + random.Random("".join(letters)).random() / 4


class BagTable(Table):
    space = Bags()
    dataset = "bags"
    signals = ("val",)

    def score(self, architecture, signal):
        return rugged(architecture.values())


def plain_best(module, name, seed, queries):
    """The best value, on numbers instead of letters and without the package."""
    values = {}

    def identity(candidate):
        letters = [LABELS[label] for label in candidate]
        bag = (*sorted(letters[:3]), *letters[3:])
        return values.setdefault(bag, (len(values), rugged(bag)))

    draw = random.Random(f"plain {seed}")
    if name == "random":
        tried = module.random_search([4] * CHOICES, identity, queries, draw)
    else:
        tried = module.regularised_evolution(
            [4] * CHOICES, identity, lambda found: found[1], queries, draw, population=20, sample=5
        )
    assert len(set(tried)) == len(tried) == queries
    return max(value for _, value in tried)


@pytest.mark.slow
def test_searchers_agree_with_plain_loops_and_evolution_is_better(benchmark_module):
    module = benchmark_module("plain_search")
    searchers = benchmark_module("query_searchers")
    estimator = TabularEstimator(BagTable(), "val")
    queries, means = 50, {}
    for name in ("random", "evolution"):
        ours = []
        for seed in range(40):
            record = searchers.search(name, estimator, BagTable.space, queries, seed, problem="bags")
            assert sum(not trial.duplicate for trial in record.trials) == queries
            ours.append(record.best.value)
        plain = [plain_best(module, name, seed, queries) for seed in range(1000)]
        errors = (fmean(ours) - fmean(plain)) / sqrt(stdev(ours) ** 2 / len(ours) + stdev(plain) ** 2 / len(plain))
        assert abs(errors) < 2
        means[name] = fmean(ours), stdev(ours) / sqrt(len(ours))
    (low, low_error), (high, high_error) = means["random"], means["evolution"]
    assert high - low > 3 * sqrt(low_error**2 + high_error**2)


def test_what_was_chosen_is_the_best_by_validation_among_the_first_queries(benchmark_module):
    module = benchmark_module("nas_bench_201")
    names = [Architecture({"x": letter}) for letter in "abc"]
    values, queries = (0.2, 0.3, 0.3, 0.9), (1, 2, 2, 3)
    order = (names[0], names[1], names[1], names[2])
    trials = [Trial(a, v, Cost(queries=q)) for a, v, q in zip(order, values, queries, strict=True)]
    record = SearchRecord("problem", trials)
    assert [module.chosen(record, queries) for queries in (1, 2, 3, 50)] == [names[0], names[1], names[2], names[2]]


def test_differences_are_in_standard_errors_of_the_difference(benchmark_module):
    module = benchmark_module("nas_bench_201")
    ours = module.Row("cifar10", "random", 50, 93.0, 0.5, 100)
    plain = module.Row("cifar10", "plain random", 50, 92.9, 1.2, 400)
    other = module.Row("cifar10", "TPE", 50, 90.0, 1.0, 100)
    ((first, second, errors),) = module.differences([ours, plain, other])
    assert (first, second) == (ours, plain)
    assert errors == pytest.approx(0.1 / sqrt(0.05**2 + 0.06**2))


def test_the_published_table_gives_the_published_figures(benchmark_module, data_folder, tmp_path, capsys):
    module = benchmark_module("nas_bench_201")
    output = tmp_path / "figures.json"
    arguments = ["--datasets", "cifar10", "--queries", "10", "30", "--seeds", "5", "--plain-seeds", "400"]
    names = ["--searchers", "random", "evolution", "TPE"]
    module.main(["--table", str(data_folder / "nas_bench_201.npz"), *arguments, *names, "--output", str(output)])
    document = json.loads(output.read_text())
    rows = {(row["searcher"], row["queries"]): row for row in document["rows"]}
    assert set(rows) == {
        (name, queries)
        for name in ("random", "plain random", "evolution", "plain evolution", "TPE")
        for queries in (10, 30)
    }
    # Of 30 random cells the best by validation is far above the mean of all, and below the best.
    assert 93 < rows["plain random", 30]["mean"] < 94.2
    assert (
        rows["plain random", 10]["mean"] < rows["plain random", 30]["mean"] < rows["plain evolution", 30]["mean"] + 0.1
    )
    assert len(document["differences"]) == 4
    printed = capsys.readouterr().out
    assert "literature: DrNAS" in printed
    assert f"{rows['TPE', 30]['mean']:6.2f}" in printed


class Numbers(NASBenchGraphTable):
    """A made table of the whole space of graph networks: the more gcn, the better; ties are broken at random."""

    def __init__(self):
        self.dataset = "cora"
        self.space = NASBenchGraph(["gcn", "fc", "skip"])

    def score(self, architecture, signal):
        gcn = sum(label == "gcn" for label in architecture.values())
        return (gcn + random.Random(str(architecture)).random()) / 5


def test_queries_to_the_goal_are_counted(benchmark_module):
    module = benchmark_module("nas_bench_graph_queries")
    table = Numbers()
    values = sorted((table.score(a, "val") for a in table.space.architectures()), reverse=True)
    assert module.goal_of(table, 0.05) == values[int(0.05 * len(values)) - 1]
    assert module.goal_of(table, 1e-9) == values[0]
    goal = module.goal_of(table, 0.05)
    for seed in range(3):
        queries = module.needed(table, goal, "random", 90, seed)
        assert queries < inf
        # One query less is not enough, and one more changes nothing.
        assert module.needed(table, goal, "random", int(queries) - 1, seed) == inf or queries == 1
        assert module.needed(table, goal, "random", int(queries), seed) == queries
    assert module.needed(table, goal=2.0, searcher="random", limit=5, seed=0) == inf


def test_medians_and_what_did_not_arrive_are_written_and_printed(benchmark_module, tmp_path, capsys):
    module = benchmark_module("nas_bench_graph_queries")
    row = module.row_of(Numbers(), 0.9, "evolution", 60, 3)
    assert row.median == sorted(row.queries)[1]
    late = module.Row("cora", "random", inf, 1, (7.0, inf, inf))
    module.show([row, late], 60)
    printed = capsys.readouterr().out.splitlines()[-1]
    assert printed.split() == ["cora", f"{row.median:.0f}", ">", "60"]
    module.write(tmp_path / "rows.json", [row, late], {"cora": 0.9}, 60)
    stored = json.loads((tmp_path / "rows.json").read_text())["rows"]
    assert stored[0]["queries"] == list(row.queries)
    assert (stored[1]["median"], stored[1]["queries"]) == (None, [7.0, None, None])
