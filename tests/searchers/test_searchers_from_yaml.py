"""Every searcher can be told in YAML by class path."""

from textwrap import dedent

import optuna
import pytest
from jsonargparse import ArgumentParser

from lit_metanas.comparisons import TargetSearch
from lit_metanas.estimators import TrainingEstimator
from lit_metanas.searchers import DARTSSearcher, EvolvingHalving, MetaSampler, PortfolioSampler, QuerySearcher
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training import SecondOrder

YAML = """
search:
  class_path: lit_metanas.comparisons.TargetSearch
  init_args:
    space:
      class_path: lit_metanas.spaces.LayeredSpace
      init_args: {depths: [2]}
    flops: 1.0e+9
    recipe: {epochs: 7}
    methods:
      fixed:
        class_path: lit_metanas.searchers.FixedArchitecture
        init_args:
          labels: {layer1.pool: avg}
      random:
        class_path: lit_metanas.searchers.RandomArchitecture
      borrowed:
        class_path: lit_metanas.searchers.BorrowedArchitecture
        init_args: {path: architectures.json}
      meta:
        class_path: lit_metanas.searchers.MetaSearchedArchitecture
        init_args: {start: meta.ckpt}
      bayes:
        class_path: lit_metanas.searchers.QuerySearcher
        init_args:
          sampler:
            class_path: optuna.samplers.TPESampler
            init_args: {n_startup_trials: 5}
          estimator:
            class_path: lit_metanas.estimators.TrainingEstimator
            init_args:
              recipe: {epochs: 3}
      portfolio:
        class_path: lit_metanas.searchers.QuerySearcher
        init_args:
          sampler:
            class_path: lit_metanas.searchers.PortfolioSampler
            init_args:
              space: &layers {class_path: lit_metanas.spaces.LayeredSpace, init_args: {depths: [2]}}
              size: 3
              then: {class_path: lit_metanas.searchers.MetaSampler, init_args: {space: *layers}}
      plain:
        class_path: lit_metanas.searchers.QuerySearcher
      evolving:
        class_path: lit_metanas.searchers.EvolvingHalving
        init_args:
          candidates: [3, 2]
          rungs: [0.3, 0.3]
          incumbent: {layer1.kernel: "5"}
      halving:
        class_path: lit_metanas.searchers.SuccessiveHalving
      darts:
        class_path: lit_metanas.searchers.DARTSSearcher
        init_args:
          relaxation:
            class_path: lit_metanas.relaxations.SampledChild
          gradient:
            class_path: lit_metanas.training.SecondOrder
            init_args: {epsilon: 0.02}
          rates: {logits: 0.1}
          start: meta.ckpt
          head:
            class_path: lit_metanas.meta.PrototypeLinearHead
"""


@pytest.fixture
def search():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TargetSearch, "search")
    made = parser.instantiate(parser.parse_string(dedent(YAML))).search
    assert isinstance(made, TargetSearch)
    return made


def test_the_search_is_built_as_told(search):
    assert isinstance(search.space, LayeredSpace)
    assert search.recipe.epochs == 7
    bayes, darts, evolving = (search.methods[name] for name in ("bayes", "darts", "evolving"))
    assert isinstance(bayes, QuerySearcher)
    assert isinstance(bayes.sampler, optuna.samplers.TPESampler)
    portfolio = search.methods["portfolio"].sampler
    assert isinstance(portfolio, PortfolioSampler)
    assert (portfolio.size, type(portfolio.then)) == (3, MetaSampler)
    assert isinstance(darts, DARTSSearcher)
    assert isinstance(darts.gradient, SecondOrder)
    assert (darts.gradient.epsilon, darts.rates.logits, darts.start) == (0.02, 0.1, "meta.ckpt")
    assert isinstance(evolving, EvolvingHalving)
    assert evolving.incumbent == {"layer1.kernel": "5"}


def test_an_estimator_told_in_yaml_is_made_for_each_task(search):
    generator_free = Split(inputs=None, labels=(0, 1))
    task = Task("t", 2, generator_free, generator_free, generator_free)
    for name, epochs in (("bayes", 3), ("halving", 30)):
        estimator = search.methods[name].estimator(task, search.space, 4)
        assert isinstance(estimator, TrainingEstimator)
        assert (estimator.task, estimator.seed, estimator.recipe.epochs) == (task, 4, epochs)
    assert search.methods["plain"].estimator is None
