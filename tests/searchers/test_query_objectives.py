"""Several objectives, constraints that are known before training, and recipes in the same study."""

import math
from copy import copy

import optuna
import pytest
import torch
from query_toys import SPACE, Sums, parameters, resume, search, value

from lit_metanas.estimators import Score, SupernetEstimator, TrainingEstimator
from lit_metanas.records import Budget
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import Recipe

SAMPLERS = {
    "random": optuna.samplers.RandomSampler,
    "tpe": lambda: optuna.samplers.TPESampler(n_startup_trials=5),
    "nsga": lambda: optuna.samplers.NSGAIISampler(population_size=6),
}
TWO = ("accuracy", "parameters")


def plain_front(architectures):
    """Those that no other beats, pair by pair."""
    points = {one: (value(one), -parameters(one)) for one in architectures}
    beaten = {
        one
        for one, (height, size) in points.items()
        if any(other != (height, size) and other[0] >= height and other[1] >= size for other in points.values())
    }
    return points.keys() - beaten


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_front_is_that_of_what_was_tried_and_its_most_accurate_point_is_chosen(name):
    estimator = Sums()
    found = search(estimator, sampler=SAMPLERS[name](), objectives=TWO, budget=Budget(queries=40))
    tried = [architecture for architecture, _, _ in estimator.calls]
    assert {trial.architecture for trial in found.record.front} == plain_front(tried)
    assert len(found.record.front) > 1
    assert found.architecture == max(tried, key=value)
    assert all(trial.measures == {"parameters": parameters(trial.architecture)} for trial in found.record.trials)
    assert found.record.objectives == TWO


def test_an_architecture_that_breaks_a_constraint_costs_nothing_and_is_not_chosen():
    storage = optuna.storages.InMemoryStorage()
    estimator = Sums()
    budget = Budget(queries=15)
    limits = {"parameters": 30, "odd": 0.5}
    found = search(estimator, constraints=limits, budget=budget, storage=storage)
    assert len(estimator.calls) == budget.spent.queries == 15
    assert all(parameters(a) <= 30 and int(a["z"]) % 2 == 0 for a, _, _ in estimator.calls)
    assert found.architecture == max((a for a, _, _ in estimator.calls), key=value)
    study = optuna.load_study(study_name="digits/Digits/seed 0", storage=storage)
    for trial in study.get_trials(states=[optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED]):
        architecture = SPACE.canonical({name: trial.params[f"arch.{name}"] for name in "xyz"})
        assert trial.constraints["parameters"] == pytest.approx(parameters(architecture) / 30 - 1)
        met = parameters(architecture) <= 30 and int(architecture["z"]) % 2 == 0
        assert met == (trial.state == optuna.trial.TrialState.COMPLETE)
        assert met == all(excess <= 0 for excess in trial.constraints.values())
        assert met == ("constraint" not in trial.user_attrs)


def test_constraints_that_nothing_meets_are_named():
    with pytest.raises(ValueError, match=r"scored no architecture in 7 trials; .* parameters is \d+, above 3\. Loosen"):
        search(constraints={"parameters": 3}, patience=7)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_search_with_objectives_and_constraints_resumes_as_if_uninterrupted(name):
    def searched(estimator=None, most=45, **more):
        return search(estimator, objectives=TWO, constraints={"parameters": most}, sampler=SAMPLERS[name](), **more)

    storage = optuna.storages.InMemoryStorage()
    *_, calls = resume(11, storage=storage, searched=searched)
    assert calls == 20 - 11
    with pytest.raises(ValueError, match="another space, estimator, sampler, fidelity or goal"):
        searched(most=44, storage=storage)


RANGES = {"learning_rate": RecipeRange(1e-3, 1e-1, log=True), "batch_size": RecipeRange(2, 5)}


class Tuned(Sums):
    """Best at a learning rate of 0.03."""

    recipe = Recipe()

    def with_recipe(self, changes):
        other = copy(self)
        other.recipe = self.recipe.replace(changes)
        return other

    def __call__(self, architecture, *, fidelity, start=None):
        score = super().__call__(architecture, fidelity=fidelity, start=start)
        self.calls[-1] = architecture, self.recipe
        return Score(score.value - abs(math.log10(self.recipe.learning_rate / 0.03)), score.cost)


def test_a_search_of_recipes_resumes_as_if_uninterrupted(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    options = {"train": RANGES, "sampler": optuna.samplers.TPESampler(n_startup_trials=4)}
    *_, calls = resume(9, make=Tuned, storage=storage, **options)
    assert calls == 20 - 9
    study = optuna.load_study(study_name="digits/Digits/seed 0", storage=storage)
    assert set(study.trials[0].params) == {f"arch.{n}" for n in "xyz"} | {"train.learning_rate", "train.batch_size"}
    with pytest.raises(ValueError, match="was made with another"):
        search(Tuned(), storage=storage, **{**options, "train": {"batch_size": RecipeRange(2, 6)}})


def test_a_training_under_another_recipe_costs_and_scores_as_by_that_recipe():
    space = LayeredSpace(kernels=(3,), activations=("ReLU",), depths=(1,), widths=(2,))
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(12, 1, 8, 8, generator=generator), torch.arange(2).repeat(6))
    task = Task("t", 2, split, split, split)
    base = TrainingEstimator(task, space, 0, Recipe(epochs=2, batch_size=4))
    changed = base.with_recipe({"epochs": 5, "learning_rate": 0.05})
    plain = TrainingEstimator(task, space, 0, Recipe(epochs=5, batch_size=4, learning_rate=0.05))
    architecture = space.sample(generator)
    assert changed.cost(architecture, 1.0) == plain.cost(architecture, 1.0) != base.cost(architecture, 1.0)
    one, other = changed(architecture, fidelity=1.0), plain(architecture, fidelity=1.0)
    assert one.value == other.value
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in other.weights)
    assert base.recipe.epochs == 2
    weights = dict(space.supernet(task.shape).named_parameters())
    with pytest.raises(ValueError, match="SupernetEstimator has no recipe whose epochs could be searched"):
        SupernetEstimator(task, space, 0, weights).with_recipe({"epochs": 3})
