"""Architectures that are not searched: fixed ones, and that of a meta-training checkpoint."""

import math

import pytest
import torch
import torch.nn.functional as F
from sharing_toys import TASK

from lit_metanas.records import Budget, Cost
from lit_metanas.searchers import DARTSSearcher, FixedArchitecture, MetaSearchedArchitecture
from lit_metanas.spaces import LayeredSpace, one_hot
from lit_metanas.tasks import Split, Task
from lit_metanas.training.meta_weights import META_KEY, MetaCheckpoint, labels_by_choice

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(2,), widths=(4,))
EXPECTED = SPACE.canonical({choice.name: choice.labels[-1] for choice in SPACE.choices})
COLOURED = Task("c", 3, *[Split(torch.rand(3, 3, 8, 8), torch.arange(3))] * 3)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    supernet = SPACE.supernet(SHAPE)
    logits = {c.name: 5 * F.one_hot(torch.tensor(len(c.labels) - 1), len(c.labels)).float() for c in SPACE.choices}
    state = {f"supernet.{name}": value for name, value in supernet.state_dict().items()}
    path = tmp_path / "meta.ckpt"
    content = MetaCheckpoint(
        weights={}, labels=labels_by_choice(SPACE), shape=SHAPE, cost=Cost(flops=123), logits=logits, statistics={},
        derived=SPACE.derive(logits),
    )  # fmt: skip
    torch.save({"state_dict": state, META_KEY: content.entry()}, path)
    return str(path), supernet


def test_the_child_is_the_meta_trained_network_with_nearest_class_means(checkpoint):
    path, supernet = checkpoint
    budget = Budget(flops=0, queries=0)
    found = MetaSearchedArchitecture(path).search(TASK, SPACE, budget, 0)
    assert (found.architecture, budget.spent) == (EXPECTED, Cost())
    assert math.isnan(found.record.best.value)
    child = SPACE.child(found.architecture, SHAPE, 3, found.weights).eval()
    with torch.no_grad():
        scores = child(TASK.test.inputs)
        features = child.embed(TASK.train.inputs)
        means = torch.stack([features[TASK.train.labels == c].mean(0) for c in range(3)])
        queries = child.embed(TASK.test.inputs)
        distances = ((queries[:, None] - means) ** 2).sum(-1)
        nearest = supernet_nearest(supernet)
    torch.testing.assert_close(scores.log_softmax(1), (-0.1 * distances).log_softmax(1))
    assert torch.equal(scores.argmax(1), nearest)


def supernet_nearest(supernet):
    """Nearest class means in plain torch, on the statistics of the train part."""
    record = {}
    mixture = one_hot(SPACE.choices, EXPECTED)
    train = supernet(TASK.train.inputs, mixture, record=record)
    test = supernet(TASK.test.inputs, mixture, statistics=record)
    means = torch.stack([train[TASK.train.labels == c].mean(0) for c in range(3)])
    return torch.cdist(test, means).argmin(1)


def test_a_checkpoint_of_another_space_or_shape_is_refused(checkpoint):
    path, _ = checkpoint
    with pytest.raises(ValueError, match="another search space"):
        MetaSearchedArchitecture(path).search(TASK, LayeredSpace(depths=(2,), widths=(8,)), Budget(), 0)
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\)"):
        MetaSearchedArchitecture(path).search(COLOURED, SPACE, Budget(), 0)


@pytest.mark.parametrize("inherit", [True, False])
def test_an_architecture_that_the_space_refuses_is_not_found(checkpoint, inherit):
    path, _ = checkpoint
    limited = SPACE.limited(lambda architecture: "no Tanh" if architecture["layer1.activation"] == "Tanh" else None)
    with pytest.raises(ValueError, match=r"meta\.ckpt' cannot be built \(no Tanh\): widen the space"):
        MetaSearchedArchitecture(path, inherit=inherit).search(TASK, limited, Budget(), 0)


def test_without_its_weights_only_the_architecture_is_taken(checkpoint):
    path, _ = checkpoint
    searcher = MetaSearchedArchitecture(path, inherit=False)
    found = searcher.search(COLOURED, SPACE, Budget(), 0)
    assert (found.architecture, found.weights, searcher.meta_cost.flops) == (EXPECTED, None, 123)


def test_the_images_of_the_meta_training_are_known(checkpoint):
    path, _ = checkpoint
    starts = [MetaSearchedArchitecture(path), DARTSSearcher(start=path)]
    others = [MetaSearchedArchitecture(path, inherit=False), DARTSSearcher()]
    assert [searcher.input_shape for searcher in (*starts, *others)] == [SHAPE, SHAPE, None, None]
    assert [searcher.meta_cost.flops for searcher in (*starts, *others)] == [123, 123, 123, 0]


DEEP = LayeredSpace(depths=(2,))


def test_a_fixed_architecture_is_completed_and_free():
    budget = Budget(flops=0, queries=0)
    found = FixedArchitecture({"layer1.pool": "avg"}).search(TASK, DEEP, budget, 0)
    labels = {choice.name: "avg" if choice.group == "pool" else choice.labels[0] for choice in DEEP.choices}
    assert found.architecture == DEEP.canonical(labels)
    assert found.weights is None
    assert math.isnan(found.record.best.value)
    assert budget.spent.flops == budget.spent.queries == 0
    with pytest.raises(ValueError, match="has no label 'mean'"):
        FixedArchitecture({"layer1.pool": "mean"}).search(TASK, DEEP, budget, 0)
