"""What a halving search takes over from searches of other sources, and the records that the package ships."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch

import lit_metanas as lm
from lit_metanas.comparisons.single_task import default_method
from lit_metanas.estimators import Estimator, Score
from lit_metanas.estimators.estimator import Query
from lit_metanas.records import Budget, Cost, SearchRecord, Trial, write_record_lines
from lit_metanas.records.record_lines import SHIPPED, SHIPPED_FILE
from lit_metanas.searchers import EvolvingHalving
from lit_metanas.searchers.halving.front_halving import FrontHalving
from lit_metanas.searchers.halving.proposals import covering, promising
from lit_metanas.searchers.halving.rungs import Contender
from lit_metanas.spaces import LayeredSpace
from lit_metanas.spaces.choice_space import complete

SPACE = LayeredSpace(kernels=(3, 5), activations=("ReLU",), dropouts=(0.0,), depths=(2, 3), widths=(8, 16), shared=True)


def worth(architecture, recipe, trained):
    """Wide networks are better after long trainings alone; the larger rate is always better."""
    wide = architecture["width"] == "16"
    by_width = (0.3 if wide else 0.1) * (1 if trained > 1e9 else -1)
    return by_width + 0.5 * recipe["rate"] - 0.05 * int(architecture["depth"])


def record(name, seed, trained=(1e8, 1e10), noise=0.02, level=0.0):
    generator = torch.Generator().manual_seed(seed)
    trials = []
    for flops in trained:
        for _ in range(24):
            architecture = SPACE.canonical(SPACE.sample(generator))
            recipe = {"rate": int(torch.randint(3, (), generator=generator))}
            value = level + worth(architecture, recipe, flops) + noise * float(torch.randn((), generator=generator))
            trials.append(Trial(architecture, value, Cost(queries=1), recipe=recipe, trained=flops))
    return SearchRecord(name, trials)


def test_trials_that_tell_nothing_are_left_out():
    known = record("glyphs", 0, trained=(1e9,))
    few = [
        Trial(known.trials[0].architecture, 9.0, Cost(), recipe={"rate": 7}),  # of an unknown length
        Trial(known.trials[0].architecture, -math.inf, Cost(), recipe={"rate": 8}, trained=1e9, failure="ValueError"),
        Trial(LayeredSpace(widths=(4,)).sample(torch.Generator()), 9.0, Cost(), trained=1e9),  # of another space
    ]
    assert promising([SearchRecord("glyphs", [*few, *known.trials])], SPACE, 1e9) == promising([known], SPACE, 1e9)
    assert promising([SearchRecord("glyphs", few)], SPACE, 1e9) == []
    smaller = SPACE.restricted({"depth": "2"})
    assert all(one.architecture["depth"] == "2" for one in promising([known], smaller, 1e9))
    nan = [replace(known.trials[0], value=math.nan), replace(known.trials[1], trained=math.inf)]
    assert promising([SearchRecord("glyphs", nan)], SPACE, 1e9) == []
    drawn = [SPACE.canonical(SPACE.sample(torch.Generator().manual_seed(seed))) for seed in (1, 2)]
    equal = [Trial(architecture, 0.5, Cost(), trained=1e9) for architecture in drawn]
    assert len(promising([SearchRecord("glyphs", equal)], SPACE, 1e9)) == 2


class Rated(Estimator):
    """Scores by the formula; the rate is 1 unless it is changed."""

    settings: Mapping = MappingProxyType({"rate": 1})

    def __init__(self, rate=1):
        self.settings = {"rate": rate}

    def with_recipe(self, changes):
        return Rated(**changes)

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=int(1e9 * fidelity))

    def __call__(self, architecture, *, fidelity, start=None):
        cost = self.cost(architecture, fidelity)
        return Score(worth(architecture, self.settings, cost.flops), cost)


def test_an_estimator_without_measures_has_no_further_objective():
    with pytest.raises(ValueError, match=r"Rated does not know the flops of an architecture: .*, as it knows none"):
        FrontHalving(measure="flops").run(Rated(), SPACE, Budget(flops=1e10), 0, problem="own")


@pytest.mark.parametrize(("drop", "first"), [(0.015, [0, 3]), (0.025, [0, 1])])
def test_the_allowance_of_a_front_grows_with_the_logarithm_of_the_size(drop, first):
    """0.06 over three powers of ten: a network may trail one that is a tenth of its size by 0.02."""
    queries = [Query(one) for one in [*SPACE.architectures()][:4]]
    sizes = {query: 10.0**place for place, query in enumerate(queries, 1)}
    contenders = [Contender(query, 0.8 - place * drop) for place, query in enumerate(queries)]
    found = FrontHalving(measure="flops", allowance=0.06).ordered(contenders, sizes.__getitem__)
    assert [queries.index(one.query) for one in found[:2]] == first  # of one front the ends
    alike = FrontHalving(measure="flops", allowance=0.06).ordered(contenders, lambda query: 5.0)
    assert [one.value for one in alike] == sorted((one.value for one in contenders), reverse=True)


def first_rung(files, problem="own", proposals=3, rates=(0, 1, 2), candidates=4, **options):
    options |= {"candidates": (candidates,), "rungs": (0.5,), "incumbent": {"depth": "3"}, "train": {"rate": rates}}
    searcher = EvolvingHalving(records=files, proposals=proposals, finish=False, **options)
    found = searcher.run(Rated(), SPACE, Budget(flops=1e10), 0, problem=problem)
    return [(trial.architecture, trial.recipe) for trial in found.record.trials]


def test_the_first_rung_has_what_others_promise_beside_the_incumbent(tmp_path):
    known = record("glyphs", 0)
    file = str(tmp_path / "records.jsonl")
    write_record_lines(file, [known])
    best = [(query.architecture, dict(query.recipe)) for query in promising([known], SPACE, 1e10)]
    incumbent = (complete(SPACE, {"depth": "3"}), {"rate": 1})
    assert first_rung([file]) == [*best[:3], incumbent]
    two = first_rung([file], proposals=2)
    assert two[:3] == [*best[:2], incumbent]
    bare = str(tmp_path / "bare.jsonl")  # what a record does not tell of a recipe is the estimator's
    write_record_lines(bare, [SearchRecord("glyphs", [replace(trial, recipe={}) for trial in known.trials])])
    assert all(recipe == {"rate": 1} for _, recipe in first_rung([bare])[:4])
    write_record_lines(bare, [SearchRecord("glyphs", [replace(trial, trained=0.0) for trial in known.trials])])
    covers = [(query.architecture, dict(query.recipe)) for query in covering([known], SPACE, 3)]
    assert first_rung([bare]) == [*covers, incumbent]  # without FLOPs
    write_record_lines(bare, [SearchRecord("glyphs", known.trials, space="ENASMacro")])
    with pytest.warns(UserWarning, match="have no trial in LayeredSpace: give records of searches in it"):
        assert first_rung([bare])[0] == incumbent
    assert first_rung([file], problem="glyphs")[0] == incumbent  # nothing is learned from the problem itself
    assert all(recipe["rate"] < 2 for _, recipe in first_rung([file], rates=(0, 1)))
    with pytest.raises(FileNotFoundError, match="There is no file"):
        first_rung([str(tmp_path / "none.jsonl")])


OPTIONS = {"operations": ("conv_3", "gru"), "depths": (1, 2), "readouts": ("mean",), "shared": True}
SEQUENCES = lm.SequenceSpace(widths=(4, 8), **OPTIONS)


def network(**labels):
    first = {choice.name: choice.labels[0] for choice in SEQUENCES.choices}
    return SEQUENCES.canonical({**first, **labels})


def searched(name, scores, recipe=None):
    """One search, of networks by their widths and depths."""
    trials = [
        lm.records.Trial(network(width=width, depth=depth), score, lm.Cost(queries=1, flops=100), recipe=recipe or {})
        for (width, depth), score in scores.items()
    ]
    return lm.records.SearchRecord(name, trials, space=SEQUENCES.name)


RECORDS = [
    searched("one", {("4", "1"): 0.9, ("8", "1"): 0.8, ("8", "2"): 0.1, ("4", "2"): 0.0}),
    searched("two", {("4", "1"): 0.1, ("8", "1"): 0.6, ("8", "2"): 0.9, ("4", "2"): 0.0}),
]


def test_the_portfolio_ends_where_others_add_little():
    # Of heights 1, 8/9, 1/9, 0 and 1/9, 2/3, 1, 0 the mean of the best is 7/9, then 17/18 and 1.
    assert [len(covering(RECORDS, SEQUENCES, 9, least)) for least in (0.0, 0.05, 0.06, 0.16, 0.17)] == [4, 3, 2, 2, 1]


@pytest.fixture
def task():
    return lm.task_from_arrays(torch.rand(20, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2)


SHAPES = {"series": lm.SeriesShape(6, 40), "tokens": lm.TokenShape(100, 20)}


@pytest.mark.parametrize("kind", SHAPES)
def test_the_package_ships_small_records_of_default_spaces(kind):
    space = lm.default_space(SHAPES[kind])
    records = lm.records.read_record_lines(SHIPPED)
    assert SHIPPED_FILE.stat().st_size < 1 << 19
    assert all(record.trials[-1].cost.flops > 1e8 for record in records)
    own = [record for record in records if fits(record, space)]
    assert len(own) >= 9
    assert all(len(record.trials) in (24, 48) for record in own)
    begin = time.process_time()
    candidates = covering(records, space, 8)
    assert time.process_time() - begin < 2  # a slow reading of all would show
    assert len({query.architecture for query in candidates}) >= 6
    assert default_method(space, lm.Recipe()).records == (SHIPPED,)


def fits(record, space):
    choices, own = {choice.name: choice.labels for choice in space.choices}, record.choices
    return own.keys() == choices.keys() and all({*labels} <= {*choices[name]} for name, labels in own.items())


def test_a_search_begins_with_the_shipped_records_without_being_told():
    assert default_method(lm.LayeredSpace(), lm.Recipe()).records == ()
    task = lm.task_from_texts([f"{'in' if n % 2 else 'out'} {n}" for n in range(20)], ["in", "out"] * 10)
    space = lm.default_space(task.shape)
    found = lm.search(task, flops=2e9, recipe=lm.Recipe(epochs=1), progress=False)
    known = covering(lm.records.read_record_lines(SHIPPED), space, 8)
    assert [trial.architecture for trial in found.record.trials[:8]] == [query.architecture for query in known]
    assert found.space == "SequenceSpace"
    own = [record for record in lm.records.read_record_lines(SHIPPED) if fits(record, space)]
    assert found.meta_cost.flops == sum(record.trials[-1].cost.flops for record in own)
    assert "cost of what was learned before: " in repr(found)


def test_a_search_without_records_begins_with_the_first_networks_of_the_kind(task):
    named = lm.kinds.kind.kind_named("images").first
    space = lm.default_space(task.shape)
    rung = default_method(space, lm.Recipe(), named).first_rung([], space, 0)
    assert [query.architecture for query in rung] == [complete(space, labels) for labels in named[:8]]
    found = lm.search(task, flops=2e9, recipe=lm.Recipe(epochs=1), progress=False)
    assert [trial.architecture for trial in found.record.trials[:8]] == [query.architecture for query in rung]
    few = lm.GridSpace(blocks=["conv"])
    fitting = [complete(few, labels) for labels in named if labels["block"] == "conv"]
    rung = default_method(few, lm.Recipe(), named).first_rung([], few, 0)
    assert [query.architecture for query in rung][: len(fitting)] == fitting
    assert len({query.architecture for query in rung}) == len(rung) == 8
