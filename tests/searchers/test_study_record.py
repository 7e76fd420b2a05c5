"""Studies as records and back: nothing is lost on the way, and anyone's studies are read."""

import math
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState
from query_toys import SPACE, Digits, Sums, search

from lit_metanas.cli.command_line import main
from lit_metanas.records import Budget, Cost, SearchRecord, Trial, read_record_lines, write_record_lines
from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.searchers.query.objectives import RecipeRange
from lit_metanas.searchers.query.study import quiet_optuna
from lit_metanas.searchers.query.study_record import add_study, record_of
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace

EMBEDDING = (0.5, -2.0)


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
    "pruned": {
        "seed": 2,
        "fidelities": (0.125, 0.5),
        "pruner": optuna.pruners.SuccessiveHalvingPruner(reduction_factor=2),
    },
    "several objectives": {
        "objectives": ("accuracy", "parameters"),
        "sampler": optuna.samplers.NSGAIISampler(population_size=5),
        "constraints": {"odd": 0.5},
    },
    "recipes": {"estimator": Recipes(), "train": {"learning_rate": RecipeRange(0.1, 1.0), "epochs": RecipeRange(1, 9)}},
}


def storage_of(path):
    return f"sqlite:///{path / 'studies.db'}"


def same(record, other):
    """Whether two records are equal but for the last digits of their seconds."""
    for one, another in zip(record.trials, other.trials, strict=True):
        assert one.cost.seconds == pytest.approx(another.cost.seconds, abs=1e-6)
    bare, barer = (
        replace(r, trials=[replace(t, cost=replace(t.cost, seconds=0.0)) for t in r.trials]) for r in (record, other)
    )
    return bare == barer


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_goes_through_studies_and_lines_and_stays_what_it_was(tmp_path, name):
    with quiet_optuna():
        storage = storage_of(tmp_path)
        options = {"seed": 3, **SEARCHES[name]}
        found = search(storage=storage, budget=Budget(queries=8), **options).record
        found.embedding = EMBEDDING
        (study,) = [optuna.load_study(study_name=n, storage=storage) for n in optuna.get_all_study_names(storage)]
        study.set_user_attr("embedding", list(EMBEDDING))
        exported = record_of(study)
        assert exported == found
        kinds = {
            "duplicates": any(trial.duplicate for trial in found.trials),
            "failures": any(trial.failure for trial in found.trials),
            "pruned": any(trial.pruned for trial in found.trials),
            "several objectives": len(found.front) > 1,
            "recipes": len({trial.recipe["epochs"] for trial in found.trials if trial.recipe}) > 1,
        }
        assert kinds[name]
        write_record_lines(tmp_path / "lines.jsonl", [exported])
        (line,) = read_record_lines(tmp_path / "lines.jsonl")
        assert line == found
        assert same(record_of(add_study(line, "again", None)), found)
        line.trials = [replace(trial, trained=3e9) for trial in line.trials]
        assert {trial.trained for trial in record_of(add_study(line, "trained", None)).trials} == {3e9}


def test_what_was_imported_is_anyones_study():
    small = Few()
    labels = ({"x": "0"}, {"x": "1", "y": "1"}, {"x": "1", "y": "0"}, {"x": "0"})
    values = (0.5, 0.75, math.nan, 0.25)
    trials = [
        Trial(Architecture(o), v, Cost(queries=n + 1)) for n, (o, v) in enumerate(zip(labels, values, strict=True))
    ]
    trials[3] = replace(trials[3], pruned=True, fidelity=0.5)
    record = SearchRecord(
        "t", trials, choices={choice.name: choice.labels for choice in small.choices}, embedding=EMBEDDING
    )
    with quiet_optuna():
        study = add_study(record, "t", None)
        assert [trial.state for trial in study.trials] == [
            TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED
        ]  # fmt: skip
        assert study.trials[0].params == {"arch.x": "0", "arch.y": "0"}
        assert study.trials[3].intermediate_values == {50: 0.25}
        assert study.best_value == 0.75
        assert study.user_attrs["embedding"] == list(EMBEDDING)
        study.sampler = RegularisedEvolution(seed=0, space=small)
        study.optimize(lambda trial: float(small.suggest(trial)["x"]), n_trials=2)
    again = record_of(study)
    assert [trial.value for trial in again.trials[:2]] == [0.5, 0.75]
    assert [trial.cost.queries for trial in again.trials] == [1, 2, 3, 4, 5, 6]


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
        study = optuna.create_study(
            study_name="mine", direction=direction, sampler=optuna.samplers.RandomSampler(seed=0)
        )
        study.optimize(objective, n_trials=40, catch=ArithmeticError)
    record = record_of(study)
    assert (record.task_id, record.embedding) == ("mine", ())
    assert record.choices == {choice.name: choice.labels for choice in SPACE.choices}
    kept = [trial for trial in study.trials if trial.state != TrialState.FAIL]
    assert 0 < len(kept) < 40
    assert [trial.value for trial in record.trials] == [float(trial.architecture["x"]) for trial in record.trials]
    assert [trial.pruned for trial in record.trials] == [trial.architecture["x"] == "6" for trial in record.trials]
    assert [trial.cost.queries for trial in record.trials] == list(range(1, len(kept) + 1))


def test_a_trial_that_says_something_odd_of_itself_is_refused_or_explained():
    with quiet_optuna():
        study = optuna.create_study(study_name="odd", direction="maximize")
        for attributes in ({"cost": 3.5}, {"architecture": {"x": "1"}, "cost": {"money": 3}}):
            trial = study.ask()
            trial.suggest_categorical("arch.x", ["0", "1"])
            for name, value in attributes.items():
                trial.set_user_attr(name, value)
            study.tell(trial, 0.5)
            if "architecture" not in attributes:
                assert [found.cost for found in record_of(study).trials] == [Cost(queries=1)]
    with pytest.raises(ValueError, match=r"The study 'odd' cannot be read: .*'money'"):
        record_of(study)


def test_the_verb_moves_searches_both_ways(tmp_path, capsys):
    with quiet_optuna():
        found = [
            search(storage=storage_of(tmp_path), budget=Budget(queries=4), seed=seed, study="random").record
            for seed in range(2)
        ]
        optuna.create_study(study_name="not one", storage=storage_of(tmp_path))
    lines, again = tmp_path / "lines.jsonl", tmp_path / "again.jsonl"
    with pytest.warns(UserWarning, match="Left out: The study 'not one' has no finished trial"):
        assert main(["records", f"--storage={storage_of(tmp_path)}", f"--write={lines}"]) == 0
    assert capsys.readouterr().out == f"2 searches of 1 task, 8 trials, are in {lines}.\n"
    assert read_record_lines(lines, Digits()) == found
    (tmp_path / "new").mkdir()
    new = storage_of(tmp_path / "new")
    assert main(["records", f"--storage={new}", f"--read=[{lines}]"]) == 0
    assert main(["records", f"--storage={new}", f"--write={again}", "--study=random"]) == 0
    assert all(same(one, other) for one, other in zip(read_record_lines(again), found, strict=True))


def refusal(capsys, *args):
    assert main(["records", *args]) in (1, 2)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_the_verb_refuses_in_one_sentence(tmp_path, capsys):
    storage, lines = f"--storage={storage_of(tmp_path)}", tmp_path / "lines.jsonl"
    assert "Give either --write" in refusal(capsys, storage)
    assert "arguments are required: storage" in refusal(capsys, f"--write={lines}")
    assert "There is no file '" in refusal(capsys, storage, f"--write={lines}")
    assert "There is no file '" in refusal(capsys, storage, f"--read=[{lines}]")
    write_record_lines(lines, [SearchRecord("t", [Trial(Architecture({"x": "1"}), 0.5, Cost(queries=1))])])
    assert main(["records", storage, f"--read=[{lines},{lines}]"]) == 0
    assert "2 searches of 1 task, 2 trials" in capsys.readouterr().out
    assert "The storage already has a study 't/seed 0'" in refusal(capsys, storage, f"--read=[{lines}]")
    assert "no study whose name begins with 'u'" in refusal(capsys, storage, f"--write={lines}", "--study=u")
    assert "cannot be used" in refusal(capsys, "--storage=mistake://", f"--read=[{lines}]")
