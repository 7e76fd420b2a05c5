"""Local search against plain loops."""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from lit_metanas.searchers import LocalSearch
from lit_metanas.spaces import Choice, ChoiceSpace

pytestmark = pytest.mark.usefixtures("quiet_optuna")

LABELS = tuple("abcd")
NAMES = tuple(f"edge{place}" for place in range(4))
TABLE = np.random.default_rng(0).normal(size=(4, 4, 4, 4))


class Cells(ChoiceSpace):
    choices = tuple(Choice(name, LABELS) for name in NAMES)


def value(cell):
    """A term for each pair of edges: several local optima."""
    places = [LABELS.index(label) for label in cell]
    return float(sum(TABLE[i, j, places[i], places[j]] for i in range(4) for j in range(i + 1)))


def objective(trial):
    return value([trial.suggest_categorical(f"arch.{name}", LABELS) for name in NAMES])


def cells(study):
    return [tuple(trial.params[f"arch.{name}"] for name in NAMES) for trial in study.trials]


def neighbours(cell):
    return [(*cell[:edge], label, *cell[edge + 1 :]) for edge in range(4) for label in LABELS if label != cell[edge]]


class PlainLocalSearch:
    """The algorithm as nested loops, with the sampler's draws."""

    def __init__(self, number, seed, initial, first, sign):
        self.number, self.initial, self.first, self.sign = number, initial, first, sign
        self.root = np.random.default_rng(seed).bit_generator.state["state"]["state"]
        self.scores = {}
        self.climbs = 0
        try:
            while True:
                self.climb()
                self.climbs += 1
        except StopIteration:
            pass

    def query(self, cell):
        self.scores[cell] = self.sign * value(cell)
        if len(self.scores) == self.number:
            raise StopIteration
        return cell

    def generator(self):
        return np.random.default_rng([self.root, len(self.scores), 0])

    def start(self):
        generator, cell = self.generator(), None
        while cell is None or cell in self.scores:
            cell = tuple(LABELS[generator.integers(4)] for _ in NAMES)
        return self.query(cell)

    def climb(self):
        place = max([self.start() for _ in range(self.initial)], key=self.scores.get)
        while (better := self.step(place)) is not None:
            place = better

    def step(self, place):
        while True:
            better = [c for c in self.scores if c in neighbours(place) and self.scores[c] > self.scores[place]]
            fresh = [cell for cell in neighbours(place) if cell not in self.scores]
            if better and (self.first or not fresh):
                return better[0] if self.first else max(better, key=self.scores.get)
            if not fresh:
                return None
            self.query(fresh[self.generator().integers(len(fresh))])


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1), ("minimize", -1)])
@pytest.mark.parametrize(("initial", "first"), [(1, False), (5, False), (5, True)])
def test_each_trial_is_that_of_plain_loops(direction, sign, initial, first):
    plain = PlainLocalSearch(150, 2, initial, first, sign)
    assert plain.climbs >= 2
    sampler = LocalSearch(initial=initial, first_improvement=first, seed=2, space=Cells())
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(objective, n_trials=150)
    assert cells(study) == list(plain.scores)


def finished(cell, *, value=None, state=TrialState.COMPLETE, constraint=None):
    return create_trial(
        params=dict(zip(NAMES, cell, strict=True)),
        distributions=dict.fromkeys(NAMES, CategoricalDistribution(LABELS)),
        value=value,
        state=state,
        system_attrs={} if constraint is None else {"constraints:size": constraint},
    )


def asked(trials, **options):
    """What is asked next, for many seeds."""
    found = set()
    for seed in range(25):
        study = optuna.create_study(sampler=LocalSearch(seed=seed, **options), direction="maximize")
        study.add_trials(trials)
        trial = study.ask()
        found.add("".join(trial.suggest_categorical(name, LABELS) for name in NAMES))
    return found


def test_the_climb_starts_from_the_best_of_what_a_study_holds():
    trials = [finished("aaaa", value=1.0), finished("cccc", value=2.0), finished("bbbb", value=0.0)]
    near = {"".join(cell) for cell in neighbours("cccc")}
    assert asked(trials, initial=3) <= near
    assert not asked(trials, initial=4) <= near


FAIL, PRUNED = TrialState.FAIL, TrialState.PRUNED


@pytest.mark.parametrize(("states", "again"), [([FAIL], True), ([FAIL, FAIL], False), ([PRUNED], False)])
def test_a_trial_that_failed_once_is_asked_again_and_no_other(states, again):
    near = ["".join(cell) for cell in neighbours("aaaa")]
    trials = [finished("aaaa", value=1.0), *(finished(near[0], state=state) for state in states)]
    trials += [finished(cell, value=0.0) for cell in near[2:]]
    assert asked(trials, initial=1) == (set(near[:2]) if again else {near[1]})


def test_workers_share_a_climb_and_begin_the_next_while_the_last_neighbours_run():
    study = optuna.create_study(sampler=LocalSearch(initial=1, seed=0), direction="maximize")
    study.add_trial(finished("aaaa", value=1.0))
    running = [study.ask() for _ in range(15)]
    tried = ["".join(trial.suggest_categorical(name, LABELS) for name in NAMES) for trial in running]
    assert set(tried[:12]) == {"".join(cell) for cell in neighbours("aaaa")}
    assert len(set(tried)) == 15
    marks = [trial.system_attrs["local_search"] for trial in study.trials[1:]]
    assert [mark["climb"] for mark in marks] == [0] * 12 + [1, 2, 3]
    assert all(mark["oldest"] == 0 for mark in marks)
    for place, trial in enumerate(running[:12]):
        study.tell(trial, 2.0 if place == 5 else 0.0)
    trial = study.ask()
    cell = tuple(trial.suggest_categorical(name, LABELS) for name in NAMES)
    assert cell in neighbours(tuple(tried[5]))


def test_no_start_is_refused():
    with pytest.raises(ValueError, match="initial is 0; give at least 1"):
        LocalSearch(initial=0)
