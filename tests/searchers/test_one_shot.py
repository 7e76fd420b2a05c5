"""Single-path one-shot against plain loops, its ranking, and its account."""

import math

import pytest
import torch
import torch.nn.functional as F
from sharing_toys import TASK, check_found, every_space

from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import OneShotSearcher, RegularisedEvolution
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.training.trainers import quiet_trainer
from lit_metanas.training.weight_sharing.supernet_training import (
    Minibatches,
    SinglePathTraining,
    SupernetPlan,
    WeightRates,
)

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), depths=(1, 2), widths=(2, 4), dropouts=(0.0,))


RATES = WeightRates(weights=0.1, least_weights=0.02, weight_decay=1e-2, clip=0.5)


def plain_single_path(weights, architectures, pairs, steps):
    """SGD with momentum on the child networks themselves, which take their weights by name."""
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    velocity = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for step, (pair, architecture) in enumerate(zip(pairs, architectures, strict=True)):
        rate = 0.02 + 0.5 * (1 + math.cos(math.pi * step / steps)) * (0.1 - 0.02)
        hidden = pair.train.inputs
        for layer in range(int(architecture["depth"])):
            label = {q: architecture[f"layer{layer + 1}.{q}"] for q in ("kernel", "width", "activation", "pool")}
            out = int(label["width"])
            kernel = weights[f"layers.{layer}.kernels.{label['kernel']}"][:out, : hidden.shape[1]]
            hidden = F.conv2d(hidden, kernel, padding=int(label["kernel"]) // 2)
            mean = hidden.mean((0, 2, 3), keepdim=True)
            hidden = (hidden - mean) / (((hidden - mean) ** 2).mean((0, 2, 3), keepdim=True) + 1e-5).sqrt()
            scale, shift = (weights[f"layers.{layer}.{name}"][:out, None, None] for name in ("scale", "shift"))
            hidden = {"ReLU": torch.relu, "Tanh": torch.tanh}[label["activation"]](hidden * scale + shift)
            hidden = {"max": F.max_pool2d, "avg": F.avg_pool2d}[label["pool"]](hidden, 2)
        features = hidden.mean((2, 3))
        scores = features @ weights["head.weight"][:, : features.shape[1]].T + weights["head.bias"]
        loss = -torch.log_softmax(scores, 1)[torch.arange(len(scores)), pair.train.labels].mean()
        slopes = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        norm = math.sqrt(sum((slope**2).sum().item() for slope in slopes if slope is not None))
        with torch.no_grad():
            for (name, weight), slope in zip(weights.items(), slopes, strict=True):
                total = 1e-2 * weight + (0 if slope is None else slope * min(1.0, 0.5 / (norm + 1e-6)))
                velocity[name] = total if step == 0 else 0.9 * velocity[name] + total
                weight -= rate * velocity[name]
    return weights


def test_the_training_equals_plain_loops_over_the_children_in_float64():
    task = TASK
    double = {part: Split(getattr(task, part).inputs.double(), getattr(task, part).labels) for part in ("train", "val")}
    task = Task("patterns", 3, double["train"], double["val"], double["val"])
    module = SinglePathTraining(SupernetPlan(SPACE, task, Budget(), 12, 12, seed=3), rates=RATES).double()
    start = {name: weight.detach().clone() for name, weight in module.weights.items()}
    generator = torch.Generator().manual_seed(3)
    architectures = [SPACE.sample(generator) for _ in range(12)]
    pairs = Minibatches(task.train, task.val, batch_size=10, steps=12, seed=5)
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.fit(module, train_dataloaders=pairs)
    expected = plain_single_path(start, architectures, pairs, 12)
    assert len(set(architectures)) > 8
    assert module.done == 12
    for name, weight in module.weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=0, atol=1e-10)
    child_flops = [SPACE.cost(architecture, task.shape, 3).flops for architecture in architectures]
    padding = [3 * (4 - int(a[f"layer{a['depth']}.width"])) for a in architectures]  # the classifier is of the widest
    total = sum(child + extra for child, extra in zip(child_flops, padding, strict=True))
    assert module.budget.spent.flops == 3 * 10 * total
    assert (module.budget.spent.steps, module.budget.spent.images) == (12, 120)


def test_only_what_can_be_built_is_trained(monkeypatch):
    trained = []
    monkeypatch.setattr(SinglePathTraining, "step_weights", lambda _, mixture, *rest: trained.append(mixture))

    def module(refusal):
        plan = SupernetPlan(SPACE.limited(refusal), TASK, Budget(), 12, 12, seed=3)
        return SinglePathTraining(plan, rates=RATES)

    limited = module(lambda one: "too deep" if one["depth"] == "2" else None)
    (pair,) = Minibatches(TASK.train, TASK.val, batch_size=10, steps=1, seed=5)
    for _ in range(12):
        limited.take_step(pair)
    assert {int(mixture["depth"].weights.argmax()) for mixture in trained} == {0}  # a depth of 1
    with pytest.raises(ValueError, match="None of 1000 architectures drawn from LayeredSpace can be built"):
        module(lambda one: "no").take_step(pair)


def search(budget=None, seed=0, space=SPACE, **options):
    options = {"candidates": 8, "epochs": 2, "batch_size": 8, "rates": WeightRates(weights=0.1), **options}
    return OneShotSearcher(**options).search(TASK, space, budget or Budget(), seed)


@every_space
def test_other_spaces_are_searched_too(space):
    found = search(space=space, epochs=1, candidates=3)
    check_found(found, space, found.record.best.value)


def test_what_its_sampler_learned_from_has_its_cost():
    class Learned(RegularisedEvolution):
        @property
        def meta_cost(self):
            return Cost(queries=18, flops=7)

    assert OneShotSearcher(sampler=Learned(seed=0)).meta_cost == Cost(queries=18, flops=7)
    assert OneShotSearcher().meta_cost == Cost()
