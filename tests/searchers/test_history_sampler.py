"""What every sampler that reads its state from the study must do in anyone's study."""

import optuna
import pytest
from letters import SPACE
from optuna.trial import TrialState

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.searchers.mutation import Identities
from lit_metanas.spaces import NASBench201, NASBenchGraph

pytestmark = pytest.mark.usefixtures("quiet_optuna")

SAMPLERS = {"evolution": lambda **options: RegularisedEvolution(population=6, sample=3, **options)}
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


def test_values_tell_parameter_sets_apart_and_the_order_of_names_does_not():
    identify = Identities()
    assert identify({"p": 1, "q": "a"}).key == identify({"q": "a", "p": 1}).key
    assert identify({"p": 1, "q": "a"}).key != identify({"p": 1, "q": "b"}).key
    assert identify({"p": None}).key != identify({}).key
    assert identify({"p": 0.1 + 0.2}).key == identify({"p": 0.3}).key
    assert identify({"p": 0.3}).key != identify({"p": 0.3000001}).key
    assert identify({"p": ["no", "hash"]}).key == identify({"p": ["no", "hash"]}).key
