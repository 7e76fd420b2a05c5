"""The sandwich rule against separate children in plain loops, float64; its extremes against all children."""

import pytest
import torch
import torch.nn.functional as F

from lit_metanas.meta import (
    Adaptation,
    AlternatingInnerLoop,
    HeadInnerLoop,
    Learner,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLinearHead,
    Sandwich,
    task_generator,
)
from lit_metanas.meta.sandwich import extreme_child
from lit_metanas.relaxations import PRUNED, Softmax, Uniform
from lit_metanas.spaces import LayeredSpace, one_hot
from lit_metanas.tasks import Episode, Split

SPACE = LayeredSpace(
    kernels=(3, 1), depths=(1, 2), widths=(4, 2, 3), pools=("max", "avg"), activations=("Tanh",), dropouts=(0.0,)
)
SHAPE, WAY = (1, 6, 6), 3
NO_LOOP = NoInnerLoop()


def episode(index=0):
    generator = torch.Generator().manual_seed(index)
    support, query = (torch.rand(n, *SHAPE, generator=generator, dtype=torch.float64) for n in (6, 9))
    return Episode(f"{index}", WAY, Split(support, torch.arange(6) % WAY), None, Split(query, torch.arange(9) % WAY))


def setting(method, *, tasks=1, head=None, inner_loop=NO_LOOP, progress=0.5):
    torch.manual_seed(0)
    head = head or PrototypeHead(scale=2.0, learned=True)
    supernet = SPACE.supernet(SHAPE).double()
    logits = {choice.name: torch.zeros(len(choice.labels), dtype=torch.float64) for choice in SPACE.choices}
    start = {name: value.double() for name, value in head.initial(supernet.features, torch.Generator()).items()}
    weights = {name: torch.randn_like(value).requires_grad_(False) for name, value in supernet.named_parameters()}
    parameters = Parameters(weights, logits, start)
    learner = Learner(supernet, Uniform(), head, "running")
    episodes = [episode(index) for index in range(tasks)]
    draws = {"steps": inner_loop.steps, "draws": method.draws}
    noises = [learner.draw_noise(logits, each, task_generator(0, 0, i), **draws) for i, each in enumerate(episodes)]
    return learner, parameters, episodes, noises


def drawn(noise, row):
    """What Gumbel-max takes of equal logits."""
    draw = {name: int((-torch.log(-torch.log(value[row]))).argmax()) for name, value in noise.relaxation.items()}
    return {choice.name: choice.labels[draw[choice.name]] for choice in SPACE.choices}


def child_scores(weights, head, task, labels):
    """A child by itself, of the leading parts of the supernet's weights."""
    x = torch.cat([task.support.inputs, task.query.inputs])
    channels = 1
    for place in range(int(labels["depth"])):
        width, kernel, pool = (labels[f"layer{place + 1}.{group}"] for group in ("width", "kernel", "pool"))
        part = weights[f"layers.{place}.kernels.{kernel}"][: int(width), :channels]
        x = F.conv2d(x, part, padding=int(kernel) // 2)
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        scale, shift = (
            weights[f"layers.{place}.{name}"][: int(width)].view(1, -1, 1, 1) for name in ("scale", "shift")
        )
        x = torch.tanh((x - mean) / (var + 1e-5).sqrt() * scale + shift)
        x = F.max_pool2d(x, 2) if pool == "max" else F.avg_pool2d(x, 2)
        channels = int(width)
    x = x.mean((2, 3))
    support, query = x[: len(task.support)], x[len(task.support) :]
    means = torch.stack([support[task.support.labels == label].mean(0) for label in range(WAY)])
    return -head["log_scale"].exp() * ((query[:, None] - means[None]) ** 2).sum(-1)


def likelihood(scores, targets):
    return -(targets * torch.log_softmax(scores, 1)).sum(1).mean()


def reference(method, parameters, tasks, noises):
    """Mean gradient of the sum of the separate children's losses, and the largest child's losses."""
    leaves = {**parameters.weights, **parameters.head}
    leaves = {name: value.clone().requires_grad_() for name, value in leaves.items()}
    largest = {
        choice.name: {"width": "4", "kernel": "3", "pool": "max", "depth": "2"}.get(choice.group)
        for choice in SPACE.choices
    }
    smallest = {
        choice.name: {"width": "2", "kernel": "1", "pool": "max", "depth": "1"}.get(choice.group)
        for choice in SPACE.choices
    }
    total, losses = 0, []
    for task, noise in zip(tasks, noises, strict=True):
        truth = F.one_hot(task.query.labels, WAY).double()
        smooth = (1 - method.label_smoothing) * truth + method.label_smoothing / WAY
        scores = child_scores(leaves, leaves, task, largest)
        taught = torch.softmax(scores, 1).detach()
        losses.append(likelihood(scores, smooth).item())
        children = [smallest, *(drawn(noise, row) for row in range(method.sampled))]
        share = method.distillation
        whole = likelihood(scores, smooth)
        for child in children:
            target = share * taught + (1 - share) * smooth
            whole = whole + likelihood(child_scores(leaves, leaves, task, child), target)
        total = total + whole / (1 + len(children)) / len(tasks)
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, gradients, strict=True)), losses


@pytest.mark.parametrize(("distillation", "sampled"), [(1.0, 2), (0.0, 1), (0.4, 3), (1.0, 0)])
def test_the_gradient_is_that_of_separate_children(distillation, sampled):
    method = Sandwich(sampled=sampled, distillation=distillation, label_smoothing=0.1)
    learner, parameters, tasks, noises = setting(method, tasks=3)
    got, metrics = method(learner, NO_LOOP, parameters, tasks, noises, 0.5)
    want, losses = reference(method, parameters, tasks, noises)
    for name, value in {**got.weights, **got.head}.items():
        torch.testing.assert_close(value, want[name], rtol=1e-9, atol=1e-12)
    assert metrics["losses"].tolist() == pytest.approx(losses)
    assert all(not value.any() for value in got.logits.values())


def test_each_child_is_charged_as_the_network_that_it_is():
    method = Sandwich(sampled=2)
    learner, parameters, (task,), (noise,) = setting(method)
    adaptation = Adaptation(learner, task, noise, 0.5)
    children = method.children(NO_LOOP, parameters, adaptation)
    total = 0
    for child in children:
        labels = SPACE.canonical({choice.name: choice.labels[child[choice.name]] for choice in SPACE.choices})
        network = SPACE.child(labels, SHAPE, WAY)
        total += network.flops - network.features * WAY  # the prototypes are no classifier
    assert method.flops(NO_LOOP, parameters, adaptation) == 3 * (6 + 9) * total


def test_the_extremes_are_those_of_all_children():
    supernet = SPACE.supernet(SHAPE)
    costs = [supernet.flops(one_hot(SPACE.choices, each)) for each in SPACE.architectures()]
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in SPACE.choices}
    for sign, wanted in ((1, max(costs)), (-1, min(costs))):
        child = extreme_child(supernet, logits, sign=sign)
        labels = SPACE.canonical({choice.name: choice.labels[child[choice.name]] for choice in SPACE.choices})
        assert supernet.flops(one_hot(SPACE.choices, labels)) == wanted


def test_pruned_labels_are_no_extremes_and_equal_costs_go_by_the_logits():
    supernet = SPACE.supernet(SHAPE)
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in SPACE.choices}
    logits["layer1.width"][0] = PRUNED
    logits["layer1.pool"][1] = 0.5
    largest = extreme_child(supernet, logits, sign=1)
    assert largest["layer1.width"] == 2
    assert (largest["layer1.pool"], largest["layer2.pool"]) == (1, 0)


@pytest.mark.parametrize("alone", ["largest", "smallest"])
def test_an_extreme_is_trained_alone_before_the_sandwich_begins(alone):
    method = Sandwich(sampled=2, begin=0.6, alone=alone)
    learner, parameters, (task,), (noise,) = setting(method)
    early, late = (Adaptation(learner, task, noise, progress) for progress in (0.59, 0.6))
    together = method.children(NO_LOOP, parameters, late)
    assert len(together) == 4
    assert method.children(NO_LOOP, parameters, early) == [together[alone == "smallest"]]
    assert method.flops(NO_LOOP, parameters, early) < method.flops(NO_LOOP, parameters, late)


def test_the_likeliest_child_may_be_trained_alone_to_the_end():
    method = Sandwich(begin=1.0, alone="likeliest")
    learner, parameters, (task,), (noise,) = setting(method)
    logits = {name: torch.arange(len(row), dtype=torch.float32) % 2 for name, row in parameters.logits.items()}
    parameters = parameters._replace(logits=logits)
    for progress in (0.0, 0.99):
        (child,) = method.children(NO_LOOP, parameters, Adaptation(learner, task, noise, progress))
        assert child == {name: int(len(row) > 1) for name, row in logits.items()}


def test_a_space_of_one_child_has_one_child_a_task():
    method = Sandwich(sampled=0)
    learner, parameters, (task,), (noise,) = setting(method)
    single = {name: torch.cat([row[:1], torch.full_like(row[1:], PRUNED)]) for name, row in parameters.logits.items()}
    adaptation = Adaptation(learner, task, noise, 0.5)
    assert len(method.children(NO_LOOP, parameters._replace(logits=single), adaptation)) == 1


def test_an_inner_loop_adapts_each_child():
    method, loop = Sandwich(sampled=1), HeadInnerLoop(steps=2, learning_rate=0.3)
    learner, parameters, tasks, noises = setting(method, head=PrototypeLinearHead(), inner_loop=loop)
    got, _ = method(learner, loop, parameters, tasks, noises, 0.5)
    assert all(value.isfinite().all() for value in got.flat().values())
    assert got.weights["layers.0.kernels.3"][3].abs().max() > 0
    children = method.children(loop, parameters, Adaptation(learner, tasks[0], noises[0], 0.5))
    labels = [{c.name: c.labels[child[c.name]] for c in SPACE.choices} for child in children]
    assert labels[2] == drawn(noises[0], loop.steps)


@pytest.mark.parametrize(
    ("relaxation", "inner_loop", "said"),
    [
        (Softmax(), NO_LOOP, "Softmax does not sample: use the relaxation Uniform"),
        (Uniform(), AlternatingInnerLoop(steps=1), "AlternatingInnerLoop moves logits: use NoInnerLoop"),
    ],
)
def test_what_does_not_go_together_is_refused(relaxation, inner_loop, said):
    with pytest.raises(ValueError, match=said):
        Sandwich().check(PrototypeHead(), relaxation, inner_loop)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sampled": -1}, "sampled is -1; give a number of children"),
        ({"distillation": 1.5}, "distillation is 1.5; give a share from 0 to 1"),
        ({"begin": 1.1}, "begin is 1.1; give a share from 0 to 1"),
        ({"label_smoothing": float("nan")}, "label_smoothing is nan"),
        ({"alone": "widest"}, "alone is 'widest'; use largest, smallest or likeliest"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Sandwich(**arguments)
