"""Dropout as a choice: judged after adaptation, it is chosen where it helps and only there."""

import torch
from meta_toys import make_model, make_trainer
from torch.nn.functional import cross_entropy

from lit_metanas.meta import MAML, JointInnerLoop, LinearHead
from lit_metanas.relaxations import Softmax
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Episode, Split

FEATURES, NUISANCES, RATE = 40, 4, 0.1
HELPS = {"nuisance": 6.0, "steps": 8}
HARMS = {"nuisance": 8.0, "steps": 6}  # the noise of the masks has no time to average out
SPACE = LayeredSpace(
    kernels=(1,), depths=(1,), widths=(FEATURES,), pools=("avg",), activations=("Identity",), norms=("none",),
    dropouts=(0.0, 0.5),
)  # fmt: skip


def episode(index, nuisance):
    """Two classes, six noisy support examples each: a weak signal in most features; a few are large and mean nothing.

    A classifier fits the support set by the large features. Dropout, whose penalty grows with a feature's size, keeps
    it from that, if there are steps enough.
    """
    generator = torch.Generator().manual_seed(index)
    signal = torch.randn(FEATURES, generator=generator)
    signal *= 3 / signal.norm()
    signal[:NUISANCES] = 0
    scale = torch.ones(FEATURES)
    scale[:NUISANCES] = nuisance

    def split(examples):
        labels = torch.arange(examples) % 2
        inputs = scale * torch.randn(examples, FEATURES, generator=generator) + (2 * labels[:, None] - 1) * signal
        return Split(inputs.view(examples, FEATURES, 1, 1), labels)

    return Episode(f"episode {index}", 2, split(12), None, split(40))


class Episodes:
    def __init__(self, nuisance, steps=40, tasks=4):
        self.nuisance, self.steps, self.tasks = nuisance, steps, tasks

    def __len__(self):
        return self.steps

    def __iter__(self):
        for step in range(self.steps):
            yield [episode(step * self.tasks + task, self.nuisance) for task in range(self.tasks)]


def plain_loss(rate, *, nuisance, steps):
    """Mean query loss of a linear classifier trained with dropout, in plain torch, over other episodes."""
    total = 0.0
    for index in range(10_000, 10_060):
        generator = torch.Generator().manual_seed(index + 7)
        task = episode(index, nuisance)
        weight, bias = torch.zeros(2, FEATURES), torch.zeros(2)
        for _ in range(steps):
            mask = (torch.rand(12, FEATURES, generator=generator) >= rate) / (1 - rate)
            inputs = task.support.inputs.flatten(1) * mask
            error = (inputs @ weight.T + bias).softmax(1) - torch.eye(2)[task.support.labels]
            weight, bias = weight - RATE * error.T @ inputs / 12, bias - RATE * error.mean(0)
        total += float(cross_entropy(task.query.inputs.flatten(1) @ weight.T + bias, task.query.labels)) / 60
    return total


def chosen(*, nuisance, steps, **options):
    model = make_model(
        space=SPACE,
        shape=(FEATURES, 1, 1),
        head=LinearHead(way=2),
        inner_loop=JointInnerLoop(steps=steps, learning_rate=RATE, groups=("head",)),
        weight_optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.0),
        logit_optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.1, betas=(0.5, 0.999)),
        batch_norm="support",
        **options,
    )
    with torch.no_grad():  # features are the inputs
        model.supernet.get_parameter("body.layers.1.conv.1.weight").copy_(torch.eye(FEATURES)[:, :, None, None])
        model.head["weight"].zero_()
    make_trainer(limit_val_batches=0).fit(model, Episodes(nuisance), Episodes(nuisance, steps=1))
    return {label: float(p) for label, p in zip(("0", "0.5"), model.probabilities()["layer1.dropout"], strict=True)}


def test_the_families_are_what_they_should_be():
    assert plain_loss(0.5, **HELPS) < 0.8 * plain_loss(0.0, **HELPS)
    assert plain_loss(0.5, **HARMS) > 1.2 * plain_loss(0.0, **HARMS)


def test_dropout_is_chosen_where_it_helps_and_nowhere_else():
    learn = {"query_dropout": False, "meta_gradient": MAML(), "relaxation": Softmax()}  # by second-order terms
    assert chosen(**HELPS, **learn)["0.5"] > 0.65
    assert chosen(**HARMS, **learn)["0.5"] < 0.45
