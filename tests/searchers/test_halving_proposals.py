"""What a halving search takes over from searches of other sources."""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
import torch

from lit_metanas.estimators import Estimator, Score
from lit_metanas.records import Budget, Cost, SearchRecord, Trial, write_record_lines
from lit_metanas.searchers import EvolvingHalving
from lit_metanas.searchers.halving.proposals import covering, promising
from lit_metanas.searchers.mutation import complete
from lit_metanas.spaces import LayeredSpace

SPACE = LayeredSpace(kernels=(3, 5), activations=("ReLU",), dropouts=(0.0,), depths=(2, 3), widths=(8, 16), shared=True)


def worth(architecture, recipe, trained):
    """Wide networks are better after long trainings alone; the larger rate is always better."""
    wide = architecture["width"] == "16"
    return (
        (0.3 if wide else 0.1) * (1 if trained > 1e9 else -1) + 0.5 * recipe["rate"] - 0.05 * int(architecture["depth"])
    )


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
    equal = [
        Trial(SPACE.canonical(SPACE.sample(torch.Generator().manual_seed(s))), 0.5, Cost(), trained=1e9) for s in (1, 2)
    ]
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


def first_rung(files, problem="own", proposals=3, rates=(0, 1, 2), candidates=4, **options):
    searcher = EvolvingHalving(
        candidates=(candidates,),
        rungs=(0.5,),
        incumbent={"depth": "3"},
        records=files,
        proposals=proposals,
        finish=False,
        train={"rate": rates},
        **options,
    )
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
