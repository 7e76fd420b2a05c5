"""ENAS: its account, its candidates, and that its controller finds the good children."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sharing_toys import TASK, check_found, every_space

from lit_metanas.meta import Parameters, PrototypeLinearHead
from lit_metanas.records import Budget
from lit_metanas.searchers import ENASSearcher
from lit_metanas.spaces import LayeredSpace, one_hot
from lit_metanas.training.trainers import quiet_trainer
from lit_metanas.training.weight_sharing.enas_training import ControllerRates, ENASTraining
from lit_metanas.training.weight_sharing.supernet_training import Minibatches, SupernetPlan, WeightRates

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), depths=(1, 2), widths=(2, 4))

RATES = ControllerRates(children=2, learning_rate=0.02)


def search(budget=None, seed=0, space=SPACE, **options):
    options = {"controller": RATES, "candidates": 5, "epochs": 2, "batch_size": 8, **options}
    return ENASSearcher(rates=WeightRates(weights=0.1), **options).search(TASK, space, budget or Budget(), seed)


def module(budget=None, rates=RATES, steps=6):
    plan = SupernetPlan(SPACE, TASK, budget or Budget(), steps, validate_every=3, seed=4)
    return ENASTraining(plan, rates=WeightRates(weights=0.1), controller=rates)


def fit(made):
    pairs = Minibatches(TASK.train, TASK.val, batch_size=8, steps=made.steps, seed=5)
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.fit(made.train(), train_dataloaders=pairs)
    return made


def test_each_child_that_is_trained_or_rewarded_is_paid():
    made, paid = module(), []
    draw = made.controller.draw

    def counted(generator):
        drawn = draw(generator)
        mixture = one_hot(SPACE.choices, SPACE.canonical(drawn.labels))
        paid.append(3 * 8 * (made.supernet.flops(mixture) + 3 * 4))
        return drawn

    made.controller.draw = counted
    fit(made)
    assert len(paid) == 6 * (1 + 2)
    assert made.budget.spent.flops == sum(paid)
    assert (made.budget.spent.steps, made.budget.spent.images) == (12, 6 * 3 * 8)
    assert len(set(paid)) > 3


def test_the_warm_up_trains_the_weights_alone():
    made = module(rates=replace(RATES, warm_up=1.0))
    before = [parameter.detach().clone() for parameter in made.controller.parameters()]
    weights = {name: weight.detach().clone() for name, weight in made.weights.items()}
    fit(made)
    assert all(torch.equal(a, b) for a, b in zip(made.controller.parameters(), before, strict=True))
    assert not torch.equal(made.weights["head.weight"], weights["head.weight"])
    assert made.budget.spent.images == 6 * 8


def test_the_baseline_is_a_moving_average_of_rewards_from_chance_on():
    made = module(rates=replace(RATES, entropy=0.0, baseline=0.8, children=3))
    reward, rewards = made._reward, []
    made._reward = lambda architecture, val: rewards.append(reward(architecture, val)) or rewards[-1]
    fit(made)
    assert len(rewards) == 6 * 3
    expected = 1 / 3
    for step in range(6):
        expected = 0.8 * expected + 0.2 * sum(rewards[3 * step : 3 * step + 3]) / 3
    assert made.baseline == pytest.approx(expected)


@pytest.mark.parametrize(("flops", "queries"), [(0, None), (200_000, 2), (450_000, 0)])
def test_the_budget_is_never_overdrawn(flops, queries):
    budget = Budget(flops=flops, queries=queries)
    found = search(budget)
    assert budget.spent.flops <= flops
    assert queries is None or budget.spent.queries <= queries
    assert found.record.trials[-1].cost == budget.spent
    assert found.architecture in [trial.architecture for trial in found.record.trials]


@pytest.mark.parametrize("inactive", [False, True])
def test_where_nothing_is_left_to_decide_the_weights_alone_are_trained(inactive):
    first = {choice.name: choice.labels[0] for choice in SPACE.choices}  # of depth 1, which has no second layer
    space = SPACE.restricted({name: label for name, label in first.items() if not (inactive and "layer2" in name)})
    assert inactive == any(len(choice.labels) > 1 for choice in space.choices)
    budget = Budget()
    found = search(budget, space=space)
    assert found.architecture == space.canonical(first)
    assert budget.spent.steps == 2 * (len(TASK.train) // 8)
    assert [trial.duplicate for trial in found.record.trials[-5:]] == [False, True, True, True, True]


def test_a_search_starts_from_meta_trained_weights_and_a_classifier_under_the_likeliest_architecture():
    space = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(1, 2), widths=(2, 4))
    torch.manual_seed(7)
    weights = {name: p.detach() for name, p in space.supernet(TASK.shape).named_parameters()}
    last = {choice.name: choice.labels[-1] for choice in space.choices}
    logits = {c.name: F.one_hot(torch.tensor(len(c.labels) - 1), len(c.labels)).float() for c in space.choices}
    start = Parameters(weights, logits, {})
    found = search(Budget(flops=0), space=space, start=start, head=PrototypeLinearHead())
    assert all(torch.equal(found.weights[name], weights[name]) for name in weights)
    child = space.child(space.canonical(last), TASK.shape, 3, weights).train()  # normalises by the batch, as a supernet
    with torch.no_grad():
        features = child.embed(TASK.train.inputs)
    means = torch.stack([features[TASK.train.labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(found.weights["head.weight"], 0.2 * means)
    torch.testing.assert_close(found.weights["head.bias"], -0.1 * (means**2).sum(1))


@every_space
def test_cells_are_searched_too(space):
    found = search(space=space, epochs=1, candidates=3)
    check_found(found, space, max(trial.value for trial in found.record.trials[-3:]))
