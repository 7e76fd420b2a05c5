"""Regularised evolution against plain loops."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import create_trial

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.spaces import Choice, ChoiceSpace, NASBench101

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


def optimized(sampler, number, direction="maximize", function=objective):
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(function, n_trials=number)
    return study


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
    study = optimized(sampler, 120, direction)
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
