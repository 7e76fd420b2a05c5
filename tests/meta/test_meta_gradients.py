"""Meta-gradients against plain loops over autograd, written without the code under test; float64."""

import pytest
import tiny_supernet as tiny
import torch
import torch.nn.functional as F

from lit_metanas.meta import (
    ANIL,
    FOMAML,
    MAML,
    TNAS,
    AlternatingInnerLoop,
    HeadInnerLoop,
    JointInnerLoop,
    LinearHead,
    MetaNAS,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLinearHead,
    PrototypeLoss,
    Reptile,
)
from lit_metanas.relaxations import AnnealedSoftmax, GumbelSoftmax, SampledChild

RATE, LOGIT_RATE, SCALE = 0.3, 0.5, 0.1


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)


# ---- the slow reference -------------------------------------------------------------------------------------------


def network(weights, mix, x, dropout=None, statistics=None):
    """Features and batch statistics; ``mix`` holds a vector of weights a choice."""
    record = []
    for layer in (1, 2):
        y = sum(
            mix[f"conv{layer}"][j] * F.conv2d(x, weights[f"p.conv{layer}_{j}"], padding=p) for j, p in ((0, 1), (1, 0))
        )
        if statistics is None:
            mean = y.mean((0, 2, 3), keepdim=True)
            var = ((y - mean) ** 2).mean((0, 2, 3), keepdim=True)
        else:
            mean, var = statistics[layer - 1]
        record.append((mean, var))
        y = (y - mean) / torch.sqrt(var + 1e-5)
        y = y * weights[f"p.gamma{layer}"].view(1, -1, 1, 1) + weights[f"p.beta{layer}"].view(1, -1, 1, 1)
        y = mix[f"act{layer}"][0] * torch.tanh(y) + mix[f"act{layer}"][1] * torch.log1p(torch.exp(y))
        if dropout:
            y = y * ((dropout[f"drop{layer}"] >= 0.3).double() / 0.7)[:, :, None, None]
        x = y
    return x.mean((2, 3)), record


def means(features, labels, way):
    return torch.stack([features[labels == k].mean(0) for k in range(way)])


def mixture(logits, temperature=1.0):
    return {k: torch.softmax(v / temperature, 0) for k, v in logits.items()}


def negative_log_likelihood(scores, labels):
    return -torch.log_softmax(scores, 1)[torch.arange(len(labels)), labels].mean()


class Reference:
    """One task: start, inner steps, query loss. Tensors in plain dictionaries, gradients by autograd."""

    def __init__(self, run, task, *, second_order, temperature=lambda step: 1.0):
        self.episode, self.noise = run.episodes[task], run.noises[task]
        self.mode, self.second, self.temperature = run.learner.batch_norm, second_order, temperature
        self.head_kind, self.steps = type(run.learner.head), run.inner_loop.steps
        self.leaves = [{k: v.clone().requires_grad_() for k, v in group.items()} for group in run.parameters[:3]]

    def dropout(self, row):
        return {k: v[row] for k, v in self.noise.support.items()}

    def start(self):
        weights, logits, head = self.leaves
        if self.head_kind is PrototypeLinearHead:
            s = self.episode.support
            features, _ = network(weights, mixture(logits, self.temperature(0)), s.inputs, self.dropout(0))
            c = means(features, s.labels, 3)
            head = {"weight": 2 * SCALE * c, "bias": -SCALE * (c**2).sum(1)}
        return weights, logits, head

    def step(self, tree, row, moving):
        weights, logits, head = tree
        s = self.episode.support
        # copies: partial derivatives, although a head may be a function of the weights; at first order cut off
        weights, logits, head = (
            {k: v * 1 if self.second else v.detach().clone().requires_grad_() for k, v in group.items()}
            for group in (weights, logits, head)
        )
        features, _ = network(weights, mixture(logits, self.temperature(row)), s.inputs, self.dropout(row))
        loss = negative_log_likelihood(features @ head["weight"].T + head["bias"], s.labels)
        out = []
        groups = zip("wlh", (weights, logits, head), tree, (RATE, LOGIT_RATE, RATE), strict=True)
        for letter, copy, group, rate in groups:
            if letter in moving:
                grads = torch.autograd.grad(loss, list(copy.values()), create_graph=self.second, retain_graph=True)
                group = {k: v - rate * g for (k, v), g in zip(group.items(), grads, strict=True)}
            out.append(group)
        return tuple(out)

    def query_loss(self, tree):
        return negative_log_likelihood(self.query_scores(tree), self.episode.query.labels)

    def query_scores(self, tree):
        weights, logits, head = tree
        s, q = self.episode.support, self.episode.query
        mix = mixture(logits, self.temperature(self.steps))
        if self.mode == "running":  # in training: support and query set are one batch
            dropout = {k: torch.cat([v, self.noise.query[k]]) for k, v in self.dropout(-1).items()}
            together, _ = network(weights, mix, torch.cat([s.inputs, q.inputs]), dropout)
            support, features = together[: len(s.labels)], together[len(s.labels) :]
        else:
            support, statistics = network(weights, mix, s.inputs, self.dropout(-1) if self.noise.query else None)
            known = statistics if self.mode == "support" else None
            features, _ = network(weights, mix, q.inputs, self.noise.query, known)
        if self.head_kind is PrototypeHead:
            scale = head["log_scale"].exp() if head else SCALE
            return -scale * ((features[:, None] - means(support, s.labels, 3)[None]) ** 2).sum(2)
        return features @ head["weight"].T + head["bias"]

    def gradients(self, loss):
        return [
            [
                torch.zeros_like(v) if g is None else g
                for v, g in zip(group.values(), self._grad(loss, group), strict=True)
            ]
            for group in self.leaves
        ]

    def _grad(self, loss, group):
        values = list(group.values())
        return torch.autograd.grad(loss, values, retain_graph=True, allow_unused=True) if values else ()


def compare(run, references, adapt):
    """Mean over tasks of the reference's gradients of the adapted query loss."""
    losses, rows = [], []
    for reference in references:
        loss = reference.query_loss(adapt(reference, reference.start()))
        losses.append(loss.detach())
        rows.append(reference.gradients(loss))
    close(run.metrics["losses"], torch.stack(losses))
    for place, group in enumerate(run.gradients[:3]):
        assert list(group) == list(run.parameters[place])
        for index, got in enumerate(group.values()):
            close(got, torch.stack([row[place][index] for row in rows]).mean(0))
            assert not got.requires_grad


def joint(moving):
    def adapt(reference, tree):
        for row in range(reference.steps):
            tree = reference.step(tree, row, moving)
        return tree

    return adapt


HEADS = [
    pytest.param(PrototypeLinearHead(scale=SCALE), "support", id="prototype_linear-support"),
    pytest.param(LinearHead(way=3), "transductive", id="linear-transductive"),
]
MAPS = ["loop", "vmap"]
LOOP = {"learning_rate": RATE, "logit_learning_rate": LOGIT_RATE}


# ---- each method --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_map", MAPS)
@pytest.mark.parametrize(("head", "batch_norm"), HEADS)
@pytest.mark.parametrize(("make", "second_order"), [(MAML, True), (FOMAML, False), (TNAS, False)])
def test_maml_family_equals_unrolled_loops(make, second_order, head, batch_norm, task_map):
    loop = JointInnerLoop(steps=2, **LOOP)
    run = tiny.call(make(task_map=task_map), head=head, inner_loop=loop, batch_norm=batch_norm)
    compare(run, [Reference(run, i, second_order=second_order) for i in (0, 1)], joint("wlh"))


@pytest.mark.parametrize("query_dropout", [True, False])
@pytest.mark.parametrize("groups", [("weights", "head"), ("logits",), ("head",)], ids="-".join)
def test_maml_moves_the_named_groups_only(groups, query_dropout):
    loop = JointInnerLoop(steps=2, groups=groups, **LOOP)
    run = tiny.call(MAML(), head=PrototypeLinearHead(), inner_loop=loop, query_dropout=query_dropout)
    assert bool(run.noises[0].query) is query_dropout
    compare(run, [Reference(run, i, second_order=True) for i in (0, 1)], joint([g[0] for g in groups]))


@pytest.mark.parametrize("task_map", MAPS)
@pytest.mark.parametrize(("head", "batch_norm"), HEADS)
def test_anil_is_maml_on_the_head(head, batch_norm, task_map):
    loop = HeadInnerLoop(steps=3, learning_rate=RATE)
    options = {"head": head, "inner_loop": loop, "batch_norm": batch_norm, "support_dropout": False}
    run = tiny.call(ANIL(task_map=task_map), **options)
    compare(run, [Reference(run, i, second_order=True) for i in (0, 1)], joint("h"))


@pytest.mark.parametrize("task_map", MAPS)
def test_first_order_anil_stops_the_features_gradient(task_map):
    loop = HeadInnerLoop(steps=2, learning_rate=RATE)
    run = tiny.call(FOMAML(task_map=task_map), head=LinearHead(way=3), inner_loop=loop, support_dropout=False)
    compare(run, [Reference(run, i, second_order=False) for i in (0, 1)], joint("h"))


@pytest.mark.parametrize("task_map", MAPS)
@pytest.mark.parametrize("batch_norm", ["support", "transductive", "running"])
@pytest.mark.parametrize("learned", [False, True])
def test_prototype_loss_equals_autograd(batch_norm, task_map, learned):
    gradient, head = PrototypeLoss(label_smoothing=0, task_map=task_map), PrototypeHead(scale=SCALE, learned=learned)
    run = tiny.call(gradient, head=head, batch_norm=batch_norm)
    compare(run, [Reference(run, i, second_order=False) for i in (0, 1)], joint(""))


def test_label_smoothing_mixes_in_the_loss_of_every_class():
    gradients = (PrototypeLoss(label_smoothing=smoothing, task_map="loop") for smoothing in (0.0, 0.3))
    plain, smooth = (tiny.call(gradient, head=PrototypeHead(), tasks=1) for gradient in gradients)
    reference = Reference(smooth, 0, second_order=False)
    scores = reference.query_scores(reference.start())
    every = -torch.log_softmax(scores, 1)
    loss = 0.7 * negative_log_likelihood(scores, reference.episode.query.labels) + 0.3 * every.mean()
    close(smooth.metrics["losses"], loss.detach()[None])  # what is printed is what is trained on
    assert not torch.allclose(smooth.metrics["losses"], plain.metrics["losses"])
    assert torch.equal(smooth.metrics["accuracies"], plain.metrics["accuracies"])
    for place, group in enumerate(reference.gradients(loss)):
        for got, expected in zip(smooth.gradients[place].values(), group, strict=True):
            close(got, expected)
    with pytest.raises(ValueError, match="label_smoothing is 1; give a share from 0, below 1"):
        PrototypeLoss(label_smoothing=1)


def compare_reptile(run, references, adapt, rates):
    for place, group in enumerate(run.gradients[:3]):
        adapted = [adapt(reference, reference.start()) for reference in references]
        for name, got in group.items():
            way = torch.stack([run.parameters[place][name] - tree[place][name] for tree in adapted]).mean(0)
            close(got, rates[place] * way.detach())
    close(run.metrics["losses"], torch.stack([r.query_loss(adapt(r, r.start())).detach() for r in references]))


@pytest.mark.parametrize("task_map", MAPS)
@pytest.mark.parametrize(("head", "batch_norm"), HEADS)
def test_reptile_goes_towards_the_adapted_parameters(head, batch_norm, task_map):
    method, loop = Reptile(task_map=task_map, logit_rate=0.5), JointInnerLoop(steps=3, **LOOP)
    run = tiny.call(method, head=head, inner_loop=loop, batch_norm=batch_norm)
    compare_reptile(run, [Reference(run, i, second_order=False) for i in (0, 1)], joint("wlh"), (1.0, 0.5, 1.0))


@pytest.mark.parametrize("task_map", MAPS)
def test_meta_nas_alternates_and_anneals_inside_the_task(task_map):
    head, loop = PrototypeLinearHead(scale=SCALE), AlternatingInnerLoop(steps=3, **LOOP)
    run = tiny.call(MetaNAS(task_map=task_map), relaxation=AnnealedSoftmax(), head=head, inner_loop=loop)

    def adapt(reference, tree):
        for row in range(3):
            tree = reference.step(tree, row, "l")
            tree = reference.step(tree, row, "wh")
        return tree

    references = [Reference(run, i, second_order=False, temperature=lambda step: 1 - 0.9 * step / 3) for i in (0, 1)]
    compare_reptile(run, references, adapt, (1.0, 0.6, 1.0))


# ---- the two maps -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "head", "inner_loop"),
    [
        (MAML, PrototypeLinearHead(), JointInnerLoop(steps=2, restart=True, **LOOP)),
        (FOMAML, PrototypeHead(), JointInnerLoop(steps=2, learning_rate=0.01)),
        (MetaNAS, LinearHead(way=3), AlternatingInnerLoop(steps=2, learning_rate=0.01)),
        (PrototypeLoss, PrototypeHead(), NoInnerLoop()),
    ],
    ids=["maml", "fomaml", "metanas", "prototype"],
)
def test_loop_and_vmap_agree_on_mixtures_of_each_tasks_own_noise(make, head, inner_loop):
    options = {"relaxation": GumbelSoftmax(), "head": head, "inner_loop": inner_loop, "tasks": 3}
    loop, vmap = (tiny.call(make(task_map=task_map), **options) for task_map in MAPS)
    assert loop.metrics.keys() == vmap.metrics.keys()
    for name, value in loop.metrics.items():
        torch.testing.assert_close(vmap.metrics[name], value, rtol=1e-10, atol=1e-10)
    for name, value in loop.gradients.flat().items():
        assert value.isfinite().all()
        torch.testing.assert_close(vmap.gradients.flat()[name], value, rtol=1e-10, atol=1e-10)


def test_sampled_children_refuse_vmap():
    with pytest.raises(ValueError, match="SampledChild computes a different child for each task"):
        tiny.call(PrototypeLoss(task_map="vmap"), relaxation=SampledChild(), head=PrototypeHead())


def test_vmap_refuses_unequal_episodes_and_loop_takes_them():
    episodes = [tiny.episode(0), tiny.episode(1, way=4)]
    with pytest.raises(ValueError, match="cannot be stacked"):
        tiny.call(PrototypeLoss(task_map="vmap"), head=PrototypeHead(), episodes=episodes)
    run = tiny.call(PrototypeLoss(task_map="loop"), head=PrototypeHead(), episodes=episodes)
    assert run.metrics["accuracies"].shape == (2,)


# ---- structure and refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "head", "inner_loop", "message"),
    [
        (ANIL(), PrototypeLinearHead(), JointInnerLoop(steps=1), "use HeadInnerLoop"),
        (TNAS(), PrototypeLinearHead(), JointInnerLoop(steps=1, groups=("head",)), "over head does not"),
        (MetaNAS(), PrototypeLinearHead(), JointInnerLoop(steps=1), "use AlternatingInnerLoop"),
        (PrototypeLoss(), PrototypeHead(), JointInnerLoop(steps=1), "use NoInnerLoop"),
        (PrototypeLoss(), LinearHead(way=3), NoInnerLoop(), "use NoInnerLoop with PrototypeHead"),
        (MAML(), LinearHead(way=5), JointInnerLoop(steps=1), "has 5 classes and the task 3"),
    ],
)
def test_what_does_not_go_together_is_refused(method, head, inner_loop, message):
    with pytest.raises(ValueError, match=message):
        tiny.call(method, head=head, inner_loop=inner_loop)


def test_second_order_dropout_logits_and_unused_parts_are_zero():
    """Unused parts get zeros: a softmax over one label leaves its logit without gradient."""
    start = tiny.parameters_of(tiny.TinySupernet())
    logits = start.logits | {"conv1": torch.zeros(1, dtype=torch.float64)}
    parameters = Parameters(start.weights, logits, {})
    options = {"head": PrototypeLinearHead(), "inner_loop": JointInnerLoop(steps=1), "parameters": parameters}
    for method in (MAML(task_map="loop"), MAML(task_map="vmap")):
        run = tiny.call(method, **options)
        assert run.gradients.logits["conv1"].tolist() == [0.0]
        assert run.gradients.weights["p.conv1_1"].abs().max() == 0
        assert run.gradients.weights["p.conv1_0"].abs().max() > 0
        assert run.gradients.head == {}
