"""What every sampler that reads its state from the study must do in anyone's study."""

from dataclasses import replace

import optuna
import pytest
from letters import ALL, SPACE
from optuna.samplers import PartialFixedSampler
from optuna.trial import TrialState

from lit_metanas.estimators import Estimator, Score
from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import QuerySearcher, RegularisedEvolution
from lit_metanas.spaces import NASBench201, NASBenchGraph

pytestmark = pytest.mark.usefixtures("quiet_optuna")

SAMPLERS = {
    "evolution": lambda **options: RegularisedEvolution(population=6, sample=3, **options),
}
every_sampler = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)


def value(architecture):
    return sum((place + 2) ** 1.5 * "bca".index(label) for place, label in enumerate(architecture.values())) % 7


def letters(trial):
    return value(SPACE.suggest(trial))


def mixed(trial):
    """Labels of several types, numbers with steps, with logarithms, with neither, and a single label."""
    label = trial.suggest_categorical("label", [None, "1", 2.5])
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    shift = trial.suggest_float("shift", -1.0, 1.0)
    share = trial.suggest_float("share", 0.0, 1.0, step=0.1)
    width = trial.suggest_int("width", 8, 512, log=True)
    depth = trial.suggest_int("depth", 1, 9, step=2)
    trial.suggest_categorical("only", ["one"])
    return (label == "1") + rate + abs(shift) + share - width / 100 + depth


def conditional(trial):
    if trial.suggest_categorical("kind", ["svm", "tree"]) == "svm":
        return 100.0 + trial.suggest_float("c", 0.1, 10.0, log=True)
    return sum(trial.suggest_int(f"depth{place}", 1, 30) for place in range(3))


def params(study):
    return [trial.params for trial in study.trials]


def optimized(sampler, number, function, **options):
    study = optuna.create_study(sampler=sampler, **options)
    study.optimize(function, n_trials=number)
    return study


@every_sampler
@pytest.mark.parametrize("function", [letters, mixed, conditional])
def test_anyones_study_is_searched_and_is_a_function_of_the_seed(make, function):
    studies = [optimized(make(seed=seed), 40, function) for seed in (1, 1, 2)]
    assert params(studies[0]) == params(studies[1]) != params(studies[2])
    assert studies[0].best_value < min(trial.value for trial in studies[0].trials[:2])
    if function is not conditional:
        assert len({tuple(trial.params.items()) for trial in studies[0].trials}) == 40


@every_sampler
@pytest.mark.parametrize(("function", "space"), [(letters, SPACE), (mixed, None)])
def test_a_resumed_study_is_an_uninterrupted_one(make, function, space):
    chunks, storage = (1, 9, 0, 13, 7), optuna.storages.InMemoryStorage()
    whole = optimized(make(seed=4, space=space), sum(chunks), function)
    optuna.create_study(study_name="s", storage=storage)
    for number in chunks:
        part = optuna.load_study(study_name="s", storage=storage, sampler=make(seed=4, space=space))
        part.optimize(function, n_trials=number)
    assert params(part) == params(whole)


@every_sampler
def test_a_whole_space_is_searched_without_asking_for_anything_twice(make):
    study = optimized(make(seed=0, space=SPACE), len(ALL) - 5, letters)
    asked = [SPACE.canonical({name[5:]: label for name, label in trial.params.items()}) for trial in study.trials]
    assert len(set(asked)) == len(asked)
    assert set(asked) <= set(ALL)


@every_sampler
def test_errors_and_pruning_do_not_stop_the_search(make):
    def fragile(trial):
        found = letters(trial)
        if trial.number % 5 == 3:
            raise MemoryError
        if trial.number % 5 == 4:
            raise optuna.TrialPruned
        return float("nan") if trial.number % 5 == 2 else found

    study = optuna.create_study(sampler=make(seed=0, space=SPACE))
    study.optimize(fragile, n_trials=50, catch=(MemoryError,))
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == 20
    done = [trial for trial in study.trials if trial.state != TrialState.FAIL]
    assert len({SPACE.canonical({n[5:]: v for n, v in trial.params.items()}) for trial in done}) == len(done)


def test_a_space_that_is_not_searched_is_refused():
    cells, wide = NASBench201(), NASBench201(merge_isomorphs=False)
    RegularisedEvolution(space=wide).check(cells)  # the same choices
    RegularisedEvolution().check(cells)
    with pytest.raises(ValueError, match=r"given a space \(NASBenchGraph\) .* that is searched \(NASBench201\)"):
        RegularisedEvolution(space=NASBenchGraph()).check(cells)


@every_sampler
def test_several_objectives_are_refused(make):
    study = optuna.create_study(sampler=make(), directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match="searches for one objective, and the study has 2: use a sampler for several"):
        study.optimize(lambda trial: (letters(trial), 0.0), n_trials=1)


@every_sampler
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_fixed_parameters_stay_fixed(make):
    sampler = PartialFixedSampler({"arch.x": "a"}, make(seed=0, space=SPACE))
    study = optimized(sampler, 25, letters)
    assert {trial.params["arch.x"] for trial in study.trials} == {"a"}
    assert len({tuple(trial.params.values()) for trial in study.trials}) >= 22


class Table(Estimator):
    def __init__(self, fail_at=None):
        self.calls = 0
        self.fail_at = fail_at

    @property
    def settings(self):
        return {}

    def cost(self, architecture, fidelity):
        return Cost(queries=1)

    def __call__(self, architecture, *, fidelity, start=None):
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        self.calls += 1
        return Score(value(architecture), self.cost(architecture, fidelity), {})


def searched(make, *, fail_at=None, storage=None, seed=0, space=SPACE, queries=12):
    searcher = QuerySearcher(sampler=make(space=space), storage=storage)
    found = searcher.run(Table(fail_at), SPACE, Budget(queries=queries), seed, problem="letters")
    return [replace(trial, cost=Cost()) for trial in found.record.trials]


@every_sampler
def test_a_query_search_resumes_from_its_storage_as_if_uninterrupted(make, tmp_path):
    storage = f"sqlite:///{tmp_path}/study.db"
    whole = searched(make)
    for fail_at in (1, 7):
        with pytest.raises(KeyboardInterrupt):
            searched(make, fail_at=fail_at, storage=storage)
    assert searched(make, storage=storage) == whole
    assert searched(make, seed=1) != whole
    assert not any(trial.duplicate for trial in searched(make, queries=60))
    assert searched(make, space=None) == searched(make, space=None)
