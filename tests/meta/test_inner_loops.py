"""Heads, noise, learner and evaluation."""

from dataclasses import replace

import pytest
import tiny_supernet as tiny
import torch

from lit_metanas.meta import (
    AlternatingInnerLoop,
    HeadInnerLoop,
    JointInnerLoop,
    Learner,
    LinearHead,
    NoInnerLoop,
    PrototypeHead,
    PrototypeLinearHead,
)
from lit_metanas.meta.inner_loop import Adaptation, evaluate
from lit_metanas.meta.learner import task_generator
from lit_metanas.relaxations import Argmax, Softmax
from lit_metanas.spaces import Supernet


def test_prototype_linear_head_scores_like_distances():
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(6, 4, generator=generator, dtype=torch.float64)
    query = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    linear, nearest = PrototypeLinearHead(scale=0.3), PrototypeHead(scale=0.3)
    one = linear.scores(linear.start({}, support, labels, 3), query, support, labels, 3)
    two = nearest.scores(nearest.start({}, support, labels, 3), query, support, labels, 3)
    torch.testing.assert_close(one.softmax(1), two.softmax(1), rtol=0, atol=1e-12)
    assert two[1, 2] == pytest.approx(-0.3 * (query[1] - support[4:].mean(0)).square().sum().item())
    learned = PrototypeHead(scale=0.3, learned=True).initial(4, torch.Generator())
    start = PrototypeLinearHead(scale=5.0).start(learned, support, labels, 3)  # goes on with the scale that was learned
    four = linear.scores(start, query, support, labels, 3)
    torch.testing.assert_close(four.softmax(1), two.softmax(1), rtol=0, atol=1e-6)


def test_noise_is_a_function_of_seed_step_and_task():
    supernet, episode = tiny.TinySupernet(), tiny.episode(0)
    logits, learner = tiny.parameters_of(supernet).logits, Learner(supernet, Softmax(), PrototypeHead())

    def noise(*numbers, **options):
        return learner.draw_noise(logits, episode, task_generator(*numbers), steps=2, **options)

    one, two, other = noise(1, 2, 3), noise(1, 2, 3), noise(1, 3, 2)
    assert one.relaxation["conv1"].shape == (3, 2)
    assert one.support["drop1"].shape == (3, 6, 5)
    assert one.query["drop1"].shape == (6, 5)
    for field in ("relaxation", "support", "query"):
        for name, value in getattr(one, field).items():
            assert torch.equal(value, getattr(two, field)[name])
            assert not torch.equal(value, getattr(other, field)[name])
    off = noise(1, 2, 3, support_dropout=False, query_dropout=False)
    assert off.support == off.query == {}
    assert torch.equal(off.relaxation["act2"], one.relaxation["act2"])


@pytest.mark.parametrize(
    "head", [PrototypeHead(), PrototypeLinearHead(), LinearHead(way=3)], ids=lambda h: type(h).__name__
)
@pytest.mark.parametrize(
    "inner_loop",
    [NoInnerLoop(), HeadInnerLoop(steps=2), JointInnerLoop(steps=2), AlternatingInnerLoop(steps=2)],
    ids=lambda loop: type(loop).__name__,
)
def test_one_path_evaluates_all(head, inner_loop):
    supernet = tiny.TinySupernet()
    parameters = tiny.parameters_of(supernet, head)
    before = {name: value.clone() for name, value in parameters.flat().items()}
    learner = Learner(supernet, Softmax(), head)
    first = evaluate(learner, inner_loop, parameters, tiny.episode(0), task_generator(0, 0, 0))
    again = evaluate(learner, inner_loop, parameters, tiny.episode(0), task_generator(9, 9, 9))
    assert first.shape == (6, 3)
    assert torch.equal(first, again)  # neither dropout nor a random mixture
    assert not first.requires_grad
    for name, value in parameters.flat().items():
        assert torch.equal(value, before[name])
    noise = learner.draw_noise(parameters.logits, tiny.episode(0), task_generator(0, 0, 0), steps=2)
    after = inner_loop.adapt(parameters, Adaptation(learner, tiny.episode(0), noise)).flat()
    moved = {name for name in before if name in after and not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} <= set(inner_loop.groups)
    if "weights" in inner_loop.groups:
        assert any(name.startswith("weights") for name in moved)


def test_running_statistics_normalise_queries_one_by_one():
    supernet, head, episode = tiny.TinySupernet(), LinearHead(way=3), tiny.episode(0)
    parameters = tiny.parameters_of(supernet, head)
    learner = Learner(supernet, Softmax(), head, "running")
    mixture = Softmax()(parameters.logits, {}, 0.0)
    statistics: dict[str, torch.Tensor] = {}
    learner.features(parameters.weights, episode.query.inputs, mixture, record=statistics)
    fixed = Learner(supernet, Softmax(), head, "running", statistics)
    inputs = episode.query.inputs
    together = fixed.features(parameters.weights, inputs, mixture)
    alone = torch.cat([fixed.features(parameters.weights, inputs[i : i + 1], mixture) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
    own = learner.features(parameters.weights, inputs, mixture)  # no statistics yet: those of the batch
    torch.testing.assert_close(own, together, rtol=1e-10, atol=1e-10)
    scores = evaluate(fixed, JointInnerLoop(steps=1), parameters, episode, task_generator(0, 0, 0))
    assert scores.isfinite().all()


def test_support_mode_does_not_look_at_other_queries():
    supernet, head, episode = tiny.TinySupernet(), PrototypeLinearHead(), tiny.episode(0)
    parameters = tiny.parameters_of(supernet)
    fewer = replace(episode, test=type(episode.test)(episode.test.inputs[:2], episode.test.labels[:2]))
    for mode, equal in (("support", True), ("transductive", False)):
        learner = Learner(supernet, Softmax(), head, mode)
        all_, some = (
            evaluate(learner, JointInnerLoop(steps=1), parameters, e, task_generator(0, 0, 0))[:2]
            for e in (episode, fewer)
        )
        assert torch.allclose(all_, some, atol=1e-10) == equal


def test_progress_restarts_or_follows():
    loop = JointInnerLoop(steps=4, restart=True)
    assert [loop.progress(step, 0.7) for step in (0, 1, 4)] == [0.0, 0.25, 1.0]
    assert JointInnerLoop(steps=4).progress(3, 0.7) == 0.7
    assert NoInnerLoop().progress(0, 0.7) == 0.7


class TiedSupernet(Supernet):
    features = 4

    def __init__(self):
        super().__init__()
        self.first, self.second = (torch.nn.Linear(4, 4, bias=False, dtype=torch.float64) for _ in range(2))
        self.second.weight = self.first.weight

    def forward(self, inputs, mixture, noise=None, statistics=None, record=None):
        return self.second(self.first(inputs).tanh())

    def draw_noise(self, examples, generator):
        return {}

    def flops(self, mixture):
        return 32


def test_weights_that_stand_at_two_places_are_given_to_both():
    net = TiedSupernet()
    assert [name for name, _ in net.named_parameters()] == ["first.weight"]
    given = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = Learner(net, Argmax(), PrototypeHead()).features({"first.weight": given}, inputs, {})
    torch.testing.assert_close(found, (inputs @ given.T).tanh() @ given.T)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="Inner loop of -1 steps: give 0 or more"):
        HeadInnerLoop(steps=-1)
    with pytest.raises(ValueError, match=r"Inner loop groups \[\]: give at least one of weights, logits, head"):
        JointInnerLoop(steps=1, groups=())
