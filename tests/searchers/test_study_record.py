"""Studies as records and back: nothing is lost on the way, and anyone's studies are read."""

import optuna
import pytest
from optuna.trial import TrialState
from query_toys import SPACE, Sums, search

from lit_metanas.records import Budget, read_record_lines, write_record_lines
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.searchers.query.study import quiet_optuna, record_of
from lit_metanas.spaces import Choice, ChoiceSpace


def fails(architecture):
    return ArithmeticError("it broke") if architecture["x"] == "3" else None


class Recipes(Sums):
    """Takes any recipe."""

    def with_recipe(self, changes):
        del changes
        return self


class Few(ChoiceSpace):
    """Two choices, so that repeats are soon drawn; the second one matters beside one label of the first alone."""

    choices = (Choice("x", ("0", "1")), Choice("y", ("0", "1"), active_if=(("x", frozenset({"1"})),)))


class OfFew(Sums):
    """Scores of these."""

    def __call__(self, architecture, *, fidelity, start=None):
        return super().__call__({"y": "0", "z": "0", **architecture}, fidelity=fidelity)


SEARCHES = {
    "duplicates": {"space": Few(), "estimator": OfFew(), "trials": 12},
    "failures": {"estimator": Sums(fails), "failures": 20},
    "several objectives": {
        "objectives": ("accuracy", "parameters"),
        "sampler": optuna.samplers.NSGAIISampler(population_size=5),
        "constraints": {"odd": 0.5},
    },
    "recipes": {"estimator": Recipes(), "train": {"learning_rate": RecipeRange(0.1, 1.0), "epochs": RecipeRange(1, 9)}},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_goes_through_studies_and_lines_and_stays_what_it_was(tmp_path, name):
    with quiet_optuna():
        storage = f"sqlite:///{tmp_path / 'studies.db'}"
        options = {"seed": 3, **SEARCHES[name]}
        found = search(storage=storage, budget=Budget(queries=8), **options).record
        (study,) = [optuna.load_study(study_name=n, storage=storage) for n in optuna.get_all_study_names(storage)]
        exported = record_of(study)
        assert exported == found
        kinds = {
            "duplicates": any(trial.duplicate for trial in found.trials),
            "failures": any(trial.failure for trial in found.trials),
            "several objectives": len(found.front) > 1,
            "recipes": len({trial.recipe["epochs"] for trial in found.trials if trial.recipe}) > 1,
        }
        assert kinds[name]
        write_record_lines(tmp_path / "lines.jsonl", [exported])
        (line,) = read_record_lines(tmp_path / "lines.jsonl")
        assert line == found


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_anyones_study_is_read_as_far_as_it_tells(direction):
    sign = 1 if direction == "maximize" else -1

    def objective(trial):
        architecture = SPACE.suggest(trial)
        trial.suggest_float("rate", 0, 1)
        if architecture["x"] == "7":
            raise ArithmeticError
        trial.report(sign * float(architecture["x"]), 1)
        if architecture["x"] == "6":
            raise optuna.TrialPruned
        return sign * float(architecture["x"])

    with quiet_optuna():
        sampler = optuna.samplers.RandomSampler(seed=0)
        study = optuna.create_study(study_name="mine", direction=direction, sampler=sampler)
        study.optimize(objective, n_trials=40, catch=ArithmeticError)
    record = record_of(study, SPACE)
    assert record.task_id == "mine"
    assert record.choices == {choice.name: choice.labels for choice in SPACE.choices}
    kept = [trial for trial in study.trials if trial.state != TrialState.FAIL]
    assert 0 < len(kept) < 40
    assert [trial.value for trial in record.trials] == [float(trial.architecture["x"]) for trial in record.trials]
    assert [trial.pruned for trial in record.trials] == [trial.architecture["x"] == "6" for trial in record.trials]
    assert [trial.cost.queries for trial in record.trials] == list(range(1, len(kept) + 1))
