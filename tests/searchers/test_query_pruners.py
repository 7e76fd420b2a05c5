"""Growing fidelities, and pruners that give up."""

import math
from dataclasses import replace

import optuna
import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, SuccessiveHalvingPruner
from query_toys import Sums, resume, search, told, value

from lit_metanas.records import Budget
from lit_metanas.records.budget import FailedWorkError
from lit_metanas.searchers import QuerySearcher

EARLY = (0.1, 0.3)
PRUNERS = {
    "halving": lambda: SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    "halving, automatic": SuccessiveHalvingPruner,
    "hyperband": lambda: HyperbandPruner(min_resource=1, max_resource=10, reduction_factor=3),
    "hyperband, automatic": HyperbandPruner,
    "median": lambda: MedianPruner(n_startup_trials=2),
}


def plain_halving(values, factor):
    """Which of ``values``, in order of arrival, a rung lets through (Li et al. 2020, as Optuna does it)."""
    passed = []
    for index, own in enumerate(values):
        ranked = sorted(values[: index + 1], reverse=True)
        passed.append(own >= ranked[max(1, len(ranked) // factor) - 1])
    return passed


@pytest.mark.parametrize("weights", [False, True])
def test_successive_halving_gives_up_those_that_a_plain_loop_gives_up(weights):
    estimator = Sums(weights=weights)
    budget = Budget(queries=40)
    found = search(estimator, pruner=PRUNERS["halving"](), fidelities=EARLY, budget=budget)
    trials = [trial for trial in found.record.trials if not trial.duplicate]
    first = plain_halving([value(t.architecture) * math.sqrt(0.1) for t in trials], 3)
    through = [t for t, passed in zip(trials, first, strict=True) if passed]
    second = plain_halving([value(t.architecture) * math.sqrt(0.3) for t in through], 3)
    expected = dict.fromkeys((t.architecture for t in trials), 0.1)
    expected |= {t.architecture: 1.0 if passed else 0.3 for t, passed in zip(through, second, strict=True)}
    assert {t.architecture: t.fidelity for t in trials} == expected
    assert len(set(expected.values())) == 3
    for trial in trials:
        assert trial.pruned == (trial.fidelity < 1)
        assert trial.value == pytest.approx(value(trial.architecture) * math.sqrt(trial.fidelity))


@pytest.mark.parametrize("weights", [False, True])
def test_each_rung_is_paid_and_goes_on_from_the_weights_of_the_last(weights):
    estimator = Sums(weights=weights)
    budget = Budget(queries=30)
    found = search(estimator, pruner=PRUNERS["halving"](), fidelities=EARLY, budget=budget)
    by_architecture = {}
    for architecture, fidelity, before in estimator.calls:
        by_architecture.setdefault(architecture, []).append((pytest.approx(fidelity), pytest.approx(before)))
    rungs = [(0.1, 0), (0.2, 0.1), (0.7, 0.3)] if weights else [(0.1, 0), (0.3, 0), (1.0, 0)]
    for trial in found.record.trials:
        assert by_architecture[trial.architecture] == rungs[: 1 + [*EARLY, 1.0].index(trial.fidelity)]
    assert budget.spent.flops == sum(round(100 * fidelity) for _, fidelity, _ in estimator.calls)
    assert budget.spent.queries == len(by_architecture) == 30
    assert len(estimator.calls) < 60
    assert (found.weights is not None) == weights


@pytest.mark.parametrize(("weights", "paid"), [(True, (10, 30, 100)), (False, (10, 40, 140))])
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_training_that_fails_is_charged_up_to_the_fidelity_that_failed(failing, weights, paid):
    class Failing(Sums):
        def __call__(self, architecture, *, fidelity, start=None):
            score = super().__call__(architecture, fidelity=fidelity, start=start)
            if (len(self.calls) - 1) % 3 < failing:
                return score
            return replace(score, value=math.nan)

    budget = Budget(queries=1)
    with pytest.raises(FailedWorkError, match="scored no architecture"):
        search(Failing(weights=weights), pruner=optuna.pruners.NopPruner(), fidelities=EARLY, budget=budget)
    assert (budget.spent.flops, budget.spent.queries) == (paid[failing], 1)


@pytest.mark.parametrize("stop_at", [3, 17])
@pytest.mark.parametrize("name", PRUNERS)
def test_a_search_with_a_pruner_resumes_as_if_uninterrupted(name, stop_at):
    """The interruptions fall into first and later rungs."""

    def run(estimator, storage=None):
        sampler = optuna.samplers.TPESampler(n_startup_trials=5)
        given = {"pruner": PRUNERS[name](), "sampler": sampler, "fidelities": EARLY, "budget": Budget(queries=15)}
        return search(estimator, storage=storage, **given)

    storage = optuna.storages.InMemoryStorage()
    whole, *_ = resume(stop_at, storage=storage, searched=run)
    assert told(run(Sums(stop_at=0), storage).record) == told(whole.record)
    study = optuna.load_study(study_name="digits/Digits/seed 0", storage=storage)
    assert {s for t in study.trials for s in t.intermediate_values} == {1, 3, 10}


def test_what_does_not_go_together_is_refused():
    for wrong, words in (
        ({"fidelities": (0.8, 0.9)}, "too close"),
        ({"fidelities": (0.5, 0.2)}, "must be above 0, grow, and stay below 1"),
        ({}, "need each other"),
        ({"fidelities": (0.1,), "objectives": ("accuracy", "flops")}, "works with one objective only"),
    ):
        with pytest.raises(ValueError, match=words):
            QuerySearcher(pruner=MedianPruner(), **wrong)
