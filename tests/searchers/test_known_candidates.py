"""Halving that begins with what covered other tasks, and the records that the package ships."""

import time

import pytest
import torch

import lit_metanas as lm
from lit_metanas.comparisons.single_task import default_method
from lit_metanas.records.record_lines import SHIPPED, SHIPPED_FILE
from lit_metanas.searchers.halving.proposals import covering
from lit_metanas.searchers.mutation import complete

OPTIONS = {"operations": ("conv_3", "gru"), "depths": (1, 2), "readouts": ("mean",), "shared": True}
SPACE = lm.SequenceSpace(widths=(4, 8), **OPTIONS)


def network(**labels):
    first = {choice.name: choice.labels[0] for choice in SPACE.choices}
    return SPACE.canonical({**first, **labels})


def searched(name, scores, recipe=None):
    """One search, of networks by their widths and depths."""
    trials = [
        lm.records.Trial(network(width=width, depth=depth), score, lm.Cost(queries=1, flops=100), recipe=recipe or {})
        for (width, depth), score in scores.items()
    ]
    return lm.records.SearchRecord(name, trials, space=SPACE.name)


RECORDS = [
    searched("one", {("4", "1"): 0.9, ("8", "1"): 0.8, ("8", "2"): 0.1, ("4", "2"): 0.0}),
    searched("two", {("4", "1"): 0.1, ("8", "1"): 0.6, ("8", "2"): 0.9, ("4", "2"): 0.0}),
]


def test_the_portfolio_ends_where_others_add_little():
    # Of heights 1, 8/9, 1/9, 0 and 1/9, 2/3, 1, 0 the mean of the best is 7/9, then 17/18 and 1.
    assert [len(covering(RECORDS, SPACE, 9, least)) for least in (0.0, 0.05, 0.06, 0.16, 0.17)] == [4, 3, 2, 2, 1]


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
    choices = {choice.name: choice.labels for choice in space.choices}
    return record.choices.keys() == choices.keys() and all(
        {*own} <= {*choices[name]} for name, own in record.choices.items()
    )


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
