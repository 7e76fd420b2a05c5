"""The query searcher on a table of scores."""

from dataclasses import replace

import optuna
import pytest
import torch
from hypothesis import given, settings, strategies as st

from lit_metanas.estimators import Estimator, Score
from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import QuerySearcher
from lit_metanas.spaces import Choice, ChoiceSpace
from lit_metanas.tasks import Split, Task

LABELS = ("a", "b", "c")


class Letters(ChoiceSpace):
    """Three letters; the third matters only after an a; two b's cannot be built."""

    choices = (Choice("x", LABELS), Choice("y", LABELS), Choice("z", LABELS, active_if=(("x", frozenset({"a"})),)))

    def violation(self, architecture):
        return "two b's" if architecture["x"] == architecture["y"] == "b" else None


def plain_value(architecture):
    return sum(10.0**-i * LABELS.index(label) for i, label in enumerate(architecture.values()))


def plain_flops(architecture):
    return 100 + 10 * LABELS.index(architecture["y"])


class Table(Estimator):
    def __init__(self, task, space, seed, calls=None, fail_at=None, bonus=0):
        self.calls = [] if calls is None else calls
        self.fail_at = fail_at
        self.bonus = bonus

    @property
    def settings(self):
        return {"bonus": self.bonus}

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=int(plain_flops(architecture) * fidelity))

    def __call__(self, architecture, *, fidelity, start=None):
        assert architecture not in self.calls
        if self.fail_at == len(self.calls):
            raise KeyboardInterrupt
        self.calls.append(architecture)
        return Score(plain_value(architecture), self.cost(architecture, fidelity), {})


EMPTY = Split(torch.zeros(0, 1, 1, 1), torch.zeros(0, dtype=torch.long))
TASK = Task("letters", 2, EMPTY, EMPTY, EMPTY)
SPACE = Letters()


def tried(record):
    return [(t.architecture, t.value, t.cost.flops, t.cost.queries, t.duplicate) for t in record.trials]


def search(budget=None, seed=0, sampler=None, table=None, space=SPACE, **options):
    table = table or {}
    searcher = QuerySearcher(sampler=sampler, estimator=lambda t, s, n: Table(t, s, n, **table), **options)
    return searcher.search(TASK, space, budget or Budget(queries=6), seed)


SAMPLERS = {
    "random": optuna.samplers.RandomSampler,
    "tpe": lambda: optuna.samplers.TPESampler(n_startup_trials=3),
    "nsga": lambda: optuna.samplers.NSGAIISampler(population_size=4),
}


@settings(max_examples=30, deadline=None)
@given(flops=st.integers(120, 1500), queries=st.none() | st.integers(1, 9), seed=st.integers(0, 99))
def test_the_budget_is_never_overdrawn_and_the_record_adds_up(flops, queries, seed):
    budget = Budget(flops=flops, queries=queries)
    calls = []
    found = search(budget, seed, table={"calls": calls}, patience=20)
    assert budget.spent.flops == sum(plain_flops(a) for a in calls) <= flops
    assert budget.spent.queries == len(calls) <= (queries or 99)
    spent, known = 0, set()
    for trial in found.record.trials:
        assert trial.duplicate == (trial.architecture in known)
        spent += 0 if trial.duplicate else plain_flops(trial.architecture)
        assert trial.cost.flops == spent
        assert trial.value == plain_value(trial.architecture)
        assert SPACE.violation(trial.architecture) is None
        known.add(trial.architecture)
    assert found.architecture == max(calls, key=plain_value)


@pytest.mark.parametrize("name", ["tpe", "nsga"])
def test_an_interrupted_search_resumes_from_its_storage_as_if_uninterrupted(tmp_path, name):
    storage = f"sqlite:///{tmp_path}/studies.db"
    whole = search(Budget(queries=7), sampler=SAMPLERS[name]())
    with pytest.raises(KeyboardInterrupt):
        search(Budget(queries=7), sampler=SAMPLERS[name](), storage=storage, table={"fail_at": 4})
    budget = Budget(queries=7)
    calls = []
    resumed = search(budget, sampler=SAMPLERS[name](), storage=storage, table={"calls": calls})
    assert len(calls) == 3
    assert tried(resumed.record) == tried(whole.record)
    assert budget.spent.queries == 7


def test_a_study_of_other_settings_is_refused(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    search(storage=storage)
    with pytest.raises(ValueError, match=r"study 'letters/Letters/seed 0' .* was made with another"):
        search(storage=storage, table={"bonus": 1})
    search(storage=storage, table={"bonus": 1}, study="second")


def test_a_study_of_other_images_under_one_id_is_refused(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    dark, bright = (Split(torch.full((2, 1, 2, 2), grey), torch.arange(2)) for grey in (0.1, 0.9))

    def resume(**parts):
        task = replace(TASK, **{"train": dark, "val": dark, **parts})
        searcher = QuerySearcher(estimator=Table, storage=storage)
        return tried(searcher.search(task, SPACE, Budget(queries=4), 0).record)

    found = resume()
    for other in ({"train": bright}, {"val": None}, {"train": Split(dark.inputs, 1 - dark.labels)}):
        with pytest.raises(ValueError, match=r"'letters/Letters/seed 0' .* or of other examples"):
            resume(**other)
    assert resume(test=bright) == found  # which no search sees
