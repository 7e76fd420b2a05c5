"""The benchmarks of amortised search on small tables: what is learned from, what is counted, and what is resumed."""

import importlib
import json
from pathlib import Path
from statistics import fmean

import pytest
import torch

import lit_metanas
from lit_metanas.spaces import Choice, ChoiceSpace, OneHotEncoding

FOLDER = Path(lit_metanas.__file__).parent.parent / "benchmarks"
BUDGETS = (3, 8)


class Letters(ChoiceSpace):
    """Four choices of three letters; all a's cannot be built."""

    choices = tuple(Choice(name, tuple("abc")) for name in "wxyz")

    def violation(self, architecture):
        return "all a's" if set(architecture.values()) == {"a"} else None


@pytest.fixture
def amortised(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("amortised")


def problems(module):
    encoding = OneHotEncoding(Letters())
    features = encoding(encoding.candidates.architectures)
    found = []
    for number in range(3):
        weights = torch.linspace(0, 1, 12).double() ** 2 + 0.05 * number * torch.arange(12) % 3
        scores = dict(zip(encoding.candidates.architectures, (features @ weights).tolist(), strict=True))
        found.append(module.Problem(f"data{number}", encoding, scores, sorted(scores.values())[-2]))
    return found


def test_sources_are_searches_of_the_others_alone(amortised):
    """A search of the data set itself that is never made cannot be learned from."""
    made = problems(amortised)
    records = amortised.Records(made, random=1, evolutions=1, queries=25)
    surrogate = records.surrogate(made[1], 0)
    assert [source.task_id for source in surrogate.sources] == ["data0", "data2"]
    searches = records.searches(made[0], 0)
    assert [len(set(search)) for search in searches] == [25, 25]
    assert searches == records.searches(made[0], 0) != records.searches(made[0], 1)
    best = [max(made[0].scores[one] for one in search[:20]) for search in searches]
    assert max(made[0].scores[one] for one in searches[1]) >= best[1]


def test_records_are_told_as_one_source(amortised):
    """Those of one data set, another for each seed, or of all but the target, as if of one task."""
    made = problems(amortised)
    names = []
    for seed in (0, 1):
        one = amortised.Records(made, random=1, evolutions=1, queries=25, sources="one")
        (source,) = one.surrogate(made[1], seed).sources
        names.append(source.task_id)
        assert torch.equal(source.candidates, one.source(made[int(source.task_id[-1])], seed).candidates)
    assert sorted(names) == ["data0", "data2"]
    merged = amortised.Records(made, random=1, evolutions=1, queries=25, sources="merged")
    (source,) = merged.surrogate(made[1], 0).sources
    tried = {one for problem in (made[0], made[2]) for search in merged.searches(problem, 0) for one in search}
    assert source.task_id == "data0+data2"
    assert len(source.features) == len(tried)
    best = made[1].encoding.candidates.architectures[int(source.candidates.argmax())]
    row = amortised.sources_first(merged, made[1], 0, 60, BUDGETS)
    assert row.regrets["3"] <= max(made[1].scores.values()) - made[1].scores[best]


def test_a_search_ends_at_the_goal_but_not_before_its_budgets(amortised):
    made = problems(amortised)
    row = amortised.plain_searched(made[0], 3, 60, BUDGETS)
    estimator = amortised.UntilGoal(made[0], 8)
    assert row.queries is not None
    assert 0 <= row.regrets["8"] <= row.regrets["3"]
    best = max(made[0].scores, key=made[0].scores.get)
    for _ in range(8):
        assert estimator.cost(best, 1.0).queries == 1
        estimator(best, fidelity=1.0)
    assert estimator.cost(best, 1.0).queries > 10**6


def test_rows_are_counted_by_hand(amortised):
    problem = problems(amortised)[0]
    top = max(problem.scores.values())
    row = amortised.row_of(problem, "mine", 0, [0.1, top, 0.2, top], BUDGETS)
    assert row.queries == 2
    assert row.regrets == {"3": 0.0, "8": 0.0}
    assert amortised.row_of(problem, "mine", 0, [0.1, 0.3], BUDGETS).queries is None


def test_an_interrupted_run_goes_on(amortised, tmp_path, capsys):
    made = problems(amortised)
    records = amortised.Records(made, random=1, evolutions=1, queries=25)
    calls = []

    def meta(problem, seed):
        calls.append((problem.name, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return amortised.meta_searched(records, problem, seed, 40, BUDGETS)

    make = {"MetaSampler": meta, "GP": lambda problem, seed: amortised.plain_searched(problem, seed, 40, BUDGETS)}
    file = tmp_path / "rows.json"
    with pytest.raises(KeyboardInterrupt):
        amortised.run_all(file, [0, 1], made[:2], make, records)
    rows = amortised.run_all(file, [0, 1], made[:2], make, records)
    assert calls == [("data0", 0), ("data1", 0), ("data0", 1), ("data0", 1), ("data1", 1)]
    assert len(rows) == 8
    summary = amortised.summarised(rows, ["data0", "data1"], "GP", "MetaSampler", 40)
    amortised.write(file, rows, summary)
    document = json.loads(file.read_text())
    assert amortised.kept(file) == rows
    own = [min(row.queries or 40, 40) for row in rows if row.searcher == "MetaSampler"]
    assert document["summary"]["all"]["mean"]["MetaSampler"] == pytest.approx(fmean(own), abs=0.01)
    assert "MetaSampler / GP" in capsys.readouterr().out


def test_the_ratio_is_of_pairs(amortised):
    own, other = [10.0, 20.0, 30.0, 40.0], [20.0, 40.0, 60.0, 80.0]
    assert amortised.ratio(own, other) == pytest.approx((0.5, 0.5, 0.5))
    assert amortised.difference(own, other) == pytest.approx((-25, -45.54, -4.46), abs=0.01)
    value, low, high = amortised.ratio([10.0, 20.0, 90.0, 40.0], other)
    assert value == pytest.approx(160 / 200)
    assert low < value < high
