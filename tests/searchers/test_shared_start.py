"""ENAS and single-path one-shot that start from meta-trained weights."""

import pytest
import torch
import torch.nn.functional as F
from sharing_toys import TASK

from lit_metanas.meta import Parameters, PrototypeLinearHead
from lit_metanas.records import Budget
from lit_metanas.searchers import ENASSearcher, OneShotSearcher
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training.weight_sharing.enas_training import ControllerRates
from lit_metanas.training.weight_sharing.supernet_training import WeightRates

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(1, 2), widths=(2, 4))
LIKELIEST = SPACE.canonical({choice.name: choice.labels[-1] for choice in SPACE.choices})


def meta_trained():
    torch.manual_seed(7)
    weights = {name: p.detach() for name, p in SPACE.supernet(SHAPE).named_parameters()}
    logits = {c.name: F.one_hot(torch.tensor(len(c.labels) - 1), len(c.labels)).float() for c in SPACE.choices}
    return Parameters(weights, logits, {})


def searcher(kind, **options):
    rates = WeightRates(weights=0.1)
    more = {"controller": ControllerRates(children=2, hidden=8)} if kind is ENASSearcher else {}
    return kind(rates=rates, candidates=3, epochs=1, batch_size=8, **more, **options)


@pytest.fixture(params=[ENASSearcher, OneShotSearcher], ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def test_weights_are_taken_over_and_the_classifier_is_made_under_the_likeliest_architecture(kind):
    init = meta_trained()
    found = searcher(kind, start=init, head=PrototypeLinearHead()).search(TASK, SPACE, Budget(flops=0), 0)
    assert all(torch.equal(found.weights[name], init.weights[name]) for name in init.weights)
    child = SPACE.child(LIKELIEST, SHAPE, 3, init.weights).train()  # normalises by the batch, as the supernet does
    with torch.no_grad():
        features = child.embed(TASK.train.inputs)
    means = torch.stack([features[TASK.train.labels == label].mean(0) for label in range(3)])
    torch.testing.assert_close(found.weights["head.weight"], 0.2 * means)
    torch.testing.assert_close(found.weights["head.bias"], -0.1 * (means**2).sum(1))
