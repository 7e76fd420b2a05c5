"""Training hyper-parameters in the same study."""

import math
from copy import copy

import optuna
import pytest
import torch
from query_toys import Sums, resume, search

from lit_metanas.estimators import Score, SupernetEstimator, TrainingEstimator
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import Recipe

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
