"""Architectures that episodes take by a guarded comparison, against plain loops in double precision."""

import itertools
import math
from statistics import NormalDist

import pytest
import torch
from meta_toys import SHAPE, Patterns, fit, make_data, make_model, make_trainer
from torch.nn.functional import cross_entropy

from lit_metanas.meta import (
    HeadInnerLoop,
    Learner,
    NoInnerLoop,
    Parameters,
    PrototypeHead,
    PrototypeLinearHead,
    PrototypeLoss,
    left_out_losses,
)
from lit_metanas.records.statistics import leads
from lit_metanas.relaxations import PRUNED, Categorical, Derived, Softmax
from lit_metanas.spaces import Architecture, LayeredSpace
from lit_metanas.tasks import draw_episode
from lit_metanas.training import ArchitectureSchedule, GuardedArchitectures
from lit_metanas.training.meta_search.task_architectures import likeliest_architectures

SPACE = LayeredSpace(
    kernels=(1, 3), depths=(2,), widths=(6,), activations=("ReLU", "Tanh"), pools=("max", "avg"), dropouts=(0.0,)
)
INCUMBENT = {"kernel": "3", "activation": "ReLU", "pool": "max"}
PATHS = {"relaxation": Categorical(), "schedule": ArchitectureSchedule(warm_up=1.0)}
MANY = {"shot": 5, "test_episodes": 12}


def trained(folder, *, steps=12, **options):
    """A toy's meta-training, and its checkpoint."""
    model = make_model(space=SPACE, meta_gradient=PrototypeLoss(), **options)
    trainer, _ = fit(model, make_data(steps_per_epoch=steps))
    path = str(folder / f"{len(list(folder.iterdir()))}.ckpt")
    trainer.save_checkpoint(path)
    return model, path


def run_test(path, *, data=None, **options):
    """The model of a checkpoint, fixed to the incumbent, after a test."""
    model = make_model(space=SPACE, meta_gradient=PrototypeLoss(), relaxation=Softmax(), **options)
    make_trainer().test(model, make_data(**(data or MANY)), ckpt_path=path, verbose=False)
    return model


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Checkpoints: the incumbent alone, untrained weights, sampled paths, and a mixture."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "alone": trained(folder, architecture=INCUMBENT, relaxation=Softmax())[1],
        "untrained": trained(folder, steps=1, architecture=INCUMBENT, relaxation=Softmax())[1],
        "paths": trained(folder, steps=40, **PATHS)[1],
        "mixture": trained(folder, steps=12, relaxation=Softmax())[1],
    }


def guard(runs, name, **options):
    return GuardedArchitectures(start=runs[name], space=SPACE, **options)


def child_losses(network, episode):
    """Each support example against the class means of the others, of each class without the one of its place."""
    weights = {**network.parameters.weights, **network.learner.statistics}
    child = SPACE.child(network.architecture, SHAPE, episode.way, weights).eval().double()
    with torch.no_grad():
        features = child.embed(episode.support.inputs.double())
    losses = []
    for example in range(len(features)):
        distances = []
        for label in range(episode.way):
            first = label * episode.shot
            others = [i for i in range(first, first + episode.shot) if i - first != example % episode.shot]
            mean = sum(features[i] for i in others) / len(others)
            distances.append(float(((features[example] - mean) ** 2).sum()))
        own = distances[example // episode.shot]
        losses.append(0.1 * own + math.log(sum(math.exp(-0.1 * each) for each in distances)))
    return losses


def decided(networks, episode, margin):
    """The architecture by loops: of those ahead of the first by the margin the one of the smallest mean loss."""
    first, *others = [(network.architecture, child_losses(network, episode)) for network in networks]
    z = NormalDist().inv_cdf(1 - (1 - NormalDist().cdf(margin)) / len(others)) if margin else 0.0
    best, smallest = first
    smallest = sum(smallest) / len(smallest)
    for architecture, losses in others:
        gains = [a - b for a, b in zip(first[1], losses, strict=True)]
        ahead = sum(gains) > z * math.sqrt(sum(gain**2 for gain in gains))
        if ahead and sum(losses) / len(losses) < smallest:
            best, smallest = architecture, sum(losses) / len(losses)
    return best


@pytest.mark.parametrize("margin", [0.0, 1.0])
def test_each_episode_has_what_plain_loops_decide(runs, margin):
    own = guard(runs, "paths", margin=margin)
    run_test(runs["untrained"], architecture=INCUMBENT, task_architectures=own)
    stream = make_data(**MANY).stream("test")
    networks = [own._incumbent, *own._others]
    assert own.found == [decided(networks, stream[0, index], margin) for index in range(12)]
    assert len(networks) == 4
    assert len(set(own.found)) > 1  # or nothing would be decided


def test_scores_are_those_of_the_network_that_was_taken(runs):
    own = guard(runs, "paths", margin=1.0)
    model = run_test(runs["untrained"], architecture=INCUMBENT, task_architectures=own)
    stream, networks = make_data(**MANY).stream("test"), {n.architecture: n for n in [own._incumbent, *own._others]}
    for index, taken in enumerate(own.found):
        episode, network = stream[0, index], networks[taken]
        child = SPACE.child(taken, SHAPE, 3, {**network.parameters.weights, **network.learner.statistics}).eval()
        with torch.no_grad():
            support, queries = child.embed(episode.support.inputs), child.embed(episode.query.inputs)
        means = torch.stack([support[episode.support.labels == label].mean(0) for label in range(3)])
        right = torch.cdist(queries, means).argmin(1) == episode.query.labels
        assert model.test_values[index] == pytest.approx(right.double().mean().item())


@pytest.mark.parametrize("name", ["paths", "mixture"])
def test_where_nothing_is_switched_the_result_is_exactly_the_incumbents(runs, name):
    own = guard(runs, name, margin=1e6)
    model, plain = (run_test(runs["alone"], architecture=INCUMBENT, task_architectures=each) for each in (own, None))
    assert model.test_values == plain.test_values
    assert set(own.found) == {model.architecture()}


def test_a_child_whose_weights_were_never_trained_alone_loses(runs):
    own = guard(runs, "mixture", children=7)
    model = run_test(
        runs["alone"], architecture=INCUMBENT, task_architectures=own, data={"shot": 5, "test_episodes": 40}
    )
    assert len(own._others) == 7
    assert set(own.found) == {model.architecture()}


def test_with_one_shot_there_is_no_evidence_and_no_switch(runs):
    sizes = {"eval_shot": 1, "test_episodes": 6}
    own = guard(runs, "paths", margin=0.0)
    model, plain = (
        run_test(runs["untrained"], architecture=INCUMBENT, task_architectures=each, data=sizes) for each in (own, None)
    )
    assert model.test_values == plain.test_values
    assert own.cost.queries == 0


def test_the_cost_is_a_query_a_child_and_no_training(runs):
    own = guard(runs, "paths", children=2)
    fields = run_test(runs["alone"], architecture=INCUMBENT, task_architectures=own).result_fields()
    assert (fields["cost"].queries, fields["cost"].flops, fields["cost"].steps) == (3, 0, 0)
    plain = run_test(runs["alone"], architecture=INCUMBENT).result_fields()
    assert fields["meta_cost"].flops == plain["meta_cost"].flops + own.meta_cost.flops > plain["meta_cost"].flops


def test_a_whole_supernet_is_compared_with_its_own_children(runs):
    own = GuardedArchitectures(children=2, margin=0.0)
    model = run_test(runs["paths"], task_architectures=own)
    first, *others = likeliest_architectures(model.logits.tree(), SPACE, 3)
    assert own._incumbent.architecture == first
    assert [each.architecture for each in own._others] == others


def episode_of(shot):
    return draw_episode(Patterns(), "test", seed=0, epoch=0, index=0, way=3, shot=shot, query=2)


def learner_of(head, **options):
    torch.manual_seed(0)
    supernet = SPACE.supernet(SHAPE)
    logits = {c.name: torch.zeros(len(c.labels)) for c in SPACE.choices}
    return Learner(supernet, Derived(SPACE), head, **options), Parameters(dict(supernet.named_parameters()), logits, {})


def test_features_computed_once_give_the_same_losses():
    learner, parameters = learner_of(PrototypeHead(), batch_norm="running")
    statistics: dict[str, torch.Tensor] = {}
    mixture = learner.relaxation(parameters.logits, {}, 1.0)
    learner.features(parameters.weights, episode_of(4).query.inputs, mixture, record=statistics)
    running = Learner(learner.supernet, learner.relaxation, learner.head, "running", statistics)

    class Frozen(NoInnerLoop):
        """No step that moves anything, but one step."""

        def __init__(self):
            super().__init__()
            self.steps = 1

    once, free = left_out_losses(running, NoInnerLoop(), parameters, episode_of(4), torch.Generator())
    again, _ = left_out_losses(running, Frozen(), parameters, episode_of(4), torch.Generator())
    assert once.shape == (12,)
    torch.testing.assert_close(once, again)
    assert (free.flops, free.steps) == (0, 0)


def test_losses_after_inner_steps_are_those_of_plain_steps():
    learner, parameters = learner_of(PrototypeLinearHead(scale=0.3), batch_norm="transductive")
    episode, loop = episode_of(2), HeadInnerLoop(steps=2, learning_rate=0.5)
    losses, cost = left_out_losses(learner, loop, parameters, episode, torch.Generator())
    mixture = learner.relaxation(parameters.logits, {}, 1.0)
    support, found = episode.support, torch.zeros(6)
    for place in range(2):
        out = [place, 2 + place, 4 + place]
        kept = [index for index in range(6) if index not in out]
        with torch.no_grad():
            features = learner.features(parameters.weights, support.inputs[kept], mixture)
            asked = learner.features(parameters.weights, support.inputs[out], mixture)
        weight, bias = 2 * 0.3 * features, -0.3 * (features**2).sum(1)  # one example is its class's mean
        for _ in range(2):
            weight, bias = weight.detach().requires_grad_(), bias.detach().requires_grad_()
            slopes = torch.autograd.grad(cross_entropy(features @ weight.T + bias, torch.arange(3)), [weight, bias])
            weight, bias = weight - 0.5 * slopes[0], bias - 0.5 * slopes[1]
        found[out] = cross_entropy(asked @ weight.T + bias, torch.arange(3), reduction="none").detach()
    torch.testing.assert_close(losses, found)
    assert (cost.steps, cost.images > 0, cost.flops > 0) == (4, True, True)


def test_the_likeliest_are_those_of_all_products():
    generator = torch.Generator().manual_seed(1)
    logits = {c.name: torch.randn(len(c.labels), generator=generator) for c in SPACE.choices}
    logits["layer1.pool"] = torch.tensor([0.3, PRUNED])
    shares: dict[Architecture, float] = {}
    for labels in itertools.product(*(choice.labels for choice in SPACE.choices)):
        named = dict(zip((choice.name for choice in SPACE.choices), labels, strict=True))
        share = math.prod(
            float(logits[c.name].double().softmax(0)[c.labels.index(named[c.name])]) for c in SPACE.choices
        )
        if share > 1e-12:
            shares.setdefault(SPACE.canonical(named), share)
    expected = sorted(shares, key=lambda one: -shares[one])
    assert likeliest_architectures(logits, SPACE, 3) == expected[:3]
    assert likeliest_architectures(logits, SPACE, 100) == expected
    assert all(one["layer1.pool"] == "max" for one in expected)


def test_copies_that_differ_in_inactive_choices_alone_are_one():
    space = LayeredSpace(
        kernels=(1, 3), depths=(1, 2, 3), widths=(4, 8), activations=("ReLU",), pools=("max",), dropouts=(0.0,)
    )
    generator = torch.Generator().manual_seed(2)
    logits = {c.name: torch.randn(len(c.labels), generator=generator) for c in space.choices}
    shares: dict[Architecture, float] = {}
    for architecture in space.architectures():
        chosen = [c for c in space.choices if c.name in architecture]
        shares[architecture] = math.prod(
            float(logits[c.name].double().softmax(0)[c.labels.index(architecture[c.name])]) for c in chosen
        )
    assert len(shares) < space.size
    assert sum(shares.values()) == pytest.approx(1)
    expected = sorted(shares, key=lambda one: -shares[one])
    assert likeliest_architectures(logits, space, 4) == expected[:4]
    assert likeliest_architectures(logits, space, 1000) == expected


def test_the_margin_grows_with_the_number_of_candidates():
    differences = torch.tensor([1.0] * 5)  # sqrt(5) = 2.24 standard errors
    assert leads(differences, 2.0)
    assert not leads(differences, 2.0, among=3)  # 2.43
    assert leads(torch.tensor([1.0, -0.9]), 0.0, among=3)
    assert not leads(torch.tensor([0.9, -1.0]), 0.0, among=3)
    assert not leads(torch.zeros(9), 0.0)
    assert not leads(differences, 1e6, among=3)
    assert not leads(torch.tensor([100.0, -0.1, -0.1, -0.1, -0.1]), 2.0)


def test_numbers_out_of_range():
    for options in ({"children": 0}, {"margin": math.nan}):
        with pytest.raises(ValueError, match="GuardedArchitectures: "):
            GuardedArchitectures(**options)
    learner, parameters = learner_of(PrototypeHead())
    with pytest.raises(ValueError, match="has one shot, of which none can be left out"):
        left_out_losses(learner, NoInnerLoop(), parameters, episode_of(1), torch.Generator())


def test_a_fixed_network_has_nothing_to_compare_with(runs):
    with pytest.raises(ValueError, match="no other architecture to compare with"):
        run_test(runs["alone"], architecture=INCUMBENT, task_architectures=GuardedArchitectures())
