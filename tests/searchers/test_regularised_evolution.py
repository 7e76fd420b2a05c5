"""Regularised evolution against plain loops, and in anyone's study."""

import numpy as np
import optuna
import pytest
from letters import SPACE, optimized
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.searchers.mutation import Identities
from lit_metanas.spaces import Choice, ChoiceSpace, NASBench101, NASBench201, NASBenchGraph

pytestmark = pytest.mark.usefixtures("quiet_optuna")

LABELS = tuple("abcde")
NAMES = tuple(f"edge{place}" for place in range(6))
TABLE = np.random.default_rng(0).normal(size=(6, 6, 5, 5))


class Cells(ChoiceSpace):
    choices = tuple(Choice(name, LABELS) for name in NAMES)


def value(cell):
    """A term for each pair of edges."""
    places = [LABELS.index(label) for label in cell]
    return float(sum(TABLE[i, j, places[i], places[j]] for i in range(6) for j in range(i + 1)))


def objective(trial):
    return value([trial.suggest_categorical(f"arch.{name}", LABELS) for name in NAMES])


def cells(study):
    return [tuple(trial.params[f"arch.{name}"] for name in NAMES) for trial in study.trials]


def plain_evolution(number, seed, population, sample, sign):
    """Algorithm 1 as a loop over lists, with the sampler's draws."""
    root = np.random.default_rng(seed).bit_generator.state["state"]["state"]
    history = []
    while len(history) < number:
        generator = np.random.default_rng([root, len(history), 0])
        cell = None
        while cell is None or cell in history:
            if len(history) < population:
                cell = tuple(LABELS[generator.integers(5)] for _ in NAMES)
                continue
            parent = None
            for place in generator.integers(population, size=sample):
                candidate = history[len(history) - population + place]
                if parent is None or sign * value(candidate) > sign * value(parent):
                    parent = candidate
            edge = generator.integers(6)
            others = [label for label in LABELS if label != parent[edge]]
            cell = (*parent[:edge], others[generator.integers(4)], *parent[edge + 1 :])
        history.append(cell)
    return history


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
@pytest.mark.parametrize(("population", "sample"), [(20, 5), (7, 1), (4, 9)])
def test_each_trial_is_that_of_a_plain_loop(direction, sign, population, sample):
    sampler = RegularisedEvolution(population=population, sample=sample, seed=3, space=Cells())
    study = optimized(sampler, 120, objective, direction)
    assert cells(study) == plain_evolution(120, 3, population, sample, sign)


def finished(letter, number, *, value, constraint):
    """A stored trial that can be told from the others by its last two labels."""
    labels = [letter] * 4 + [LABELS[number // 5], LABELS[number % 5]]
    return create_trial(
        params=dict(zip(NAMES, labels, strict=True)),
        distributions=dict.fromkeys(NAMES, CategoricalDistribution(LABELS)),
        value=value,
        system_attrs={"constraints:size": constraint},
    )


def parents(trials, direction="maximize", population=5):
    """The letters of the parents that are chosen after ``trials``: four labels tell the parent, one may be changed."""
    found = set()
    for seed in range(30):
        sampler = RegularisedEvolution(population=population, sample=200, seed=seed)
        study = optuna.create_study(sampler=sampler, direction=direction)
        study.add_trials(trials)
        trial = study.ask()
        labels = [trial.suggest_categorical(name, LABELS) for name in NAMES]
        found.add(max(LABELS, key=labels[:4].count))
    return found


def test_children_of_the_smallest_cell_bring_vertices_back():
    """Each label of the parent itself, changed alone, leads to nothing new that can be built."""
    space = NASBench101()
    lean = {f"arch.{choice.name}": choice.labels[0] for choice in space.choices} | {"arch.edge0-6": "yes"}
    for seed in range(8):
        sampler = RegularisedEvolution(population=1, sample=1, seed=seed, space=space)
        study = optuna.create_study(sampler=sampler)
        study.enqueue_trial(lean)
        study.optimize(lambda trial: 0.0 * len(space.suggest(trial)), n_trials=2)
        child = space.canonical({name.removeprefix("arch."): label for name, label in study.trials[1].params.items()})
        matrix, _ = space.to_matrix(child)
        assert len(matrix) > 2
        assert matrix[0][-1] == 1  # which every second random cell lacks


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_violated_constraints_rank_behind(direction):
    sign = 1 if direction == "maximize" else -1
    violating = [finished("a", n, value=sign * 9.0, constraint=0.5) for n in range(4)]
    assert parents([*violating, finished("b", 5, value=sign * 1.0, constraint=-1.0)], direction) == {"b"}
    assert parents([*violating, finished("b", 5, value=sign * 1.0, constraint=0.4)], direction) == {"b"}
    assert parents([*violating, finished("b", 5, value=sign * 1.0, constraint=0.6)], direction) == {"a"}


def make(**options):
    return RegularisedEvolution(population=6, sample=3, **options)


def letters(trial):
    architecture = SPACE.suggest(trial)
    return sum((place + 2) ** 1.5 * "bca".index(label) for place, label in enumerate(architecture.values())) % 7


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


@pytest.mark.parametrize("function", [letters, mixed, conditional])
def test_anyones_study_is_searched_and_is_a_function_of_the_seed(function):
    studies = [optimized(make(seed=seed), 40, function, "minimize") for seed in (1, 1, 2)]
    assert params(studies[0]) == params(studies[1]) != params(studies[2])
    assert studies[0].best_value < min(trial.value for trial in studies[0].trials[:2])
    if function is not conditional:
        assert len({tuple(trial.params.items()) for trial in studies[0].trials}) == 40


@pytest.mark.parametrize(("function", "space"), [(letters, SPACE), (mixed, None)])
def test_a_resumed_study_is_an_uninterrupted_one(function, space):
    chunks, storage = (1, 9, 0, 13, 7), optuna.storages.InMemoryStorage()
    whole = optimized(make(seed=4, space=space), sum(chunks), function)
    optuna.create_study(study_name="s", storage=storage, direction="maximize")
    for number in chunks:
        part = optuna.load_study(study_name="s", storage=storage, sampler=make(seed=4, space=space))
        part.optimize(function, n_trials=number)
    assert params(part) == params(whole)


def test_errors_and_pruning_do_not_stop_the_search():
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
    assert len({SPACE.from_parameters(trial.params) for trial in done}) == len(done)


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
