"""Architectures that episodes derive for themselves, against plain steps with autograd."""

import pytest
import torch
from meta_toys import SHAPE, fit, make_data, make_model, make_trainer
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from lit_metanas.meta import FOMAML, JointInnerLoop, PrototypeLinearHead
from lit_metanas.relaxations import Softmax
from lit_metanas.spaces import Gate, LayeredSpace
from lit_metanas.training import AdaptedLogits

RATE = 3.0
OPTIONS = {
    "relaxation": Softmax(),
    "head": PrototypeLinearHead(),
    "inner_loop": JointInnerLoop(steps=2, logit_learning_rate=RATE, learning_rate=0.01, groups=("logits", "head")),
    "meta_gradient": FOMAML(),
    "query_dropout": False,
    "space": LayeredSpace(
        kernels=(1, 3), depths=(2,), widths=(6,), activations=("ReLU", "Tanh"), pools=("max", "avg"), dropouts=(0.0,)
    ),
}


def adapted(model, episode):
    """Two joint steps on logits and head by hand, under the softmax and the batch's own statistics."""
    weights = {name: value.detach() for name, value in model.supernet.named_parameters()}
    logits = {name: value.clone().requires_grad_() for name, value in model.logits.tree().items()}

    def embed(logits):
        mixture = {name: Gate(row.softmax(0)) for name, row in logits.items()}
        return functional_call(model.supernet, weights, (episode.support.inputs, mixture))

    labels = episode.support.labels
    head = model.learner.head.start({}, embed(logits).detach(), labels, 3)
    head = {name: value.clone().requires_grad_() for name, value in head.items()}
    for _ in range(2):
        scores = embed(logits) @ head["weight"].T + head["bias"]
        moving = [*logits.values(), *head.values()]
        gradients = torch.autograd.grad(cross_entropy(scores, labels), moving, allow_unused=True)
        rates = [RATE] * len(logits) + [0.01] * len(head)
        moved = [
            (value - rate * (0 if gradient is None else gradient)).detach().requires_grad_()
            for value, rate, gradient in zip(moving, rates, gradients, strict=True)
        ]
        logits = dict(zip(logits, moved[: len(logits)], strict=True))
        head = dict(zip(head, moved[len(logits) :], strict=True))
    return logits


@pytest.fixture(scope="module")
def tested():
    model = make_model(**OPTIONS, task_architectures=AdaptedLogits())
    trainer, _ = fit(model, make_data(steps_per_epoch=6))
    trainer.test(model, make_data(test_episodes=12), verbose=False)
    return model


def test_each_episode_derives_what_plain_steps_derive(tested):
    stream = make_data(test_episodes=12).stream("test")
    expected = [tested.space.derive(adapted(tested, stream[0, index])) for index in range(12)]
    assert tested.task_architectures.found == expected
    assert len(set(expected)) > 1  # or the test would not tell adaptation from none


def test_scores_are_those_of_the_derived_networks(tested):
    stream = make_data(test_episodes=12).stream("test")
    for index in range(12):
        episode, architecture = stream[0, index], tested.task_architectures.found[index]
        statistics = tested.task_architectures.statistics[architecture]
        weights = {**tested.meta_parameters().weights, **statistics}
        child = tested.space.child(architecture, SHAPE, 3, weights).eval()
        with torch.no_grad():
            support, queries = child.embed(episode.support.inputs), child.embed(episode.query.inputs)
        labels = episode.support.labels
        head = tested.learner.head.start({}, support, labels, 3)
        head = {name: value.requires_grad_() for name, value in head.items()}
        for _ in range(2):
            loss = cross_entropy(support @ head["weight"].T + head["bias"], labels)
            gradients = torch.autograd.grad(loss, list(head.values()))
            head = {
                n: (v - 0.01 * g).detach().requires_grad_() for (n, v), g in zip(head.items(), gradients, strict=True)
            }
        right = (queries @ head["weight"].T + head["bias"]).argmax(1) == episode.query.labels
        assert tested.test_values[index] == pytest.approx(right.double().mean().item())


def test_the_result_has_no_single_architecture_and_the_cost_of_a_derivation(tested):
    fields = tested.result_fields()
    mixture = {name: Gate(row.softmax(0)) for name, row in tested.logits.tree().items()}
    assert fields["architecture"] is None
    # Six support images: once for the head's start, then in two steps.
    assert fields["cost"].flops == 3 * 6 * 3 * tested.supernet.flops(mixture)
    assert (fields["cost"].steps, fields["cost"].images) == (2, 12)
    sizes = [tested.space.cost(found, SHAPE, 3).parameters for found in tested.task_architectures.found]
    assert fields["parameters"] == round(sum(sizes) / len(sizes))


def test_without_open_steps_on_logits_there_is_nothing_to_adapt():
    with pytest.raises(ValueError, match=r"AdaptedLogits needs .* moves logits"):
        make_model(task_architectures=AdaptedLogits())


def test_running_statistics_of_other_architectures_need_training_tasks():
    model = make_model(**OPTIONS, task_architectures=AdaptedLogits())
    with pytest.raises(ValueError, match="needs statistics from training"):
        make_trainer().test(model, make_data(), verbose=False)
