"""The query searcher on a table of scores."""

from dataclasses import replace

import optuna
import pytest
import torch
from hypothesis import given, settings, strategies as st
from letters import LABELS, SPACE
from query_toys import SPACE as DIGITS, Sums, resume, search, told

from lit_metanas.estimators import Score
from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import QuerySearcher
from lit_metanas.tasks import Split, Task


def plain_value(architecture):
    return sum(10.0**-i * LABELS.index(label) for i, label in enumerate(architecture.values()))


def plain_flops(architecture):
    return 100 + 10 * LABELS.index(architecture["y"])


class Table(Sums):
    """Scores of letters, each of which is asked for once."""

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=int(plain_flops(architecture) * fidelity))

    def __call__(self, architecture, *, fidelity, start=None):
        assert architecture not in self.calls
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        self.calls.append(architecture)
        return Score(plain_value(architecture), self.cost(architecture, fidelity), {})


@settings(max_examples=30, deadline=None)
@given(flops=st.integers(120, 1500), queries=st.none() | st.integers(1, 9), seed=st.integers(0, 99))
def test_the_budget_is_never_overdrawn_and_the_record_adds_up(flops, queries, seed):
    budget, table = Budget(flops=flops, queries=queries), Table()
    found = search(table, budget=budget, seed=seed, space=SPACE, patience=20)
    assert budget.spent.flops == sum(plain_flops(a) for a in table.calls) <= flops
    assert budget.spent.queries == len(table.calls) <= (queries or 99)
    spent, known = 0, set()
    for trial in found.record.trials:
        assert trial.duplicate == (trial.architecture in known)
        spent += 0 if trial.duplicate else plain_flops(trial.architecture)
        assert trial.cost.flops == spent
        assert trial.value == plain_value(trial.architecture)
        assert SPACE.violation(trial.architecture) is None
        known.add(trial.architecture)
    assert found.architecture == max(table.calls, key=plain_value)


SAMPLERS = {
    "tpe": lambda: optuna.samplers.TPESampler(n_startup_trials=3),
    "nsga": lambda: optuna.samplers.NSGAIISampler(population_size=4),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_interrupted_search_resumes_from_its_storage_as_if_uninterrupted(tmp_path, name):
    def searched(table, **more):
        return search(table, budget=Budget(queries=7), space=SPACE, sampler=SAMPLERS[name](), **more)

    *_, calls = resume(4, make=Table, storage=f"sqlite:///{tmp_path}/studies.db", searched=searched)
    assert calls == 3


def test_a_study_of_other_settings_is_refused(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    search(storage=storage, budget=Budget(queries=6))
    with pytest.raises(ValueError, match=r"study 'digits/Digits/seed 0' .* was made with another"):
        search(Sums(bonus=1), storage=storage)
    search(Sums(bonus=1), storage=storage, budget=Budget(queries=6), study="second")


def test_a_study_of_other_images_under_one_id_is_refused(tmp_path):
    dark, bright = (Split(torch.full((2, 1, 2, 2), grey), torch.arange(2)) for grey in (0.1, 0.9))

    def resumed(**parts):
        task = replace(Task("grey", 2, dark, dark, dark), **parts)
        searcher = QuerySearcher(estimator=lambda *given: Sums(), storage=f"sqlite:///{tmp_path}/studies.db")
        return told(searcher.search(task, DIGITS, Budget(queries=4), 0).record)

    found = resumed()
    for other in ({"train": bright}, {"val": None}, {"train": Split(dark.inputs, 1 - dark.labels)}):
        with pytest.raises(ValueError, match=r"'grey/Digits/seed 0' .* or of other examples"):
            resumed(**other)
    assert resumed(test=bright) == found  # which no search sees
