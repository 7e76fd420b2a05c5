"""Weight-sharing search against a plain two-loop version in float64, and its account."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings, strategies as st
from lightning.pytorch import Callback
from sharing_toys import TASK, make_task

from lit_metanas.meta import Parameters, PrototypeHead, PrototypeLinearHead
from lit_metanas.records import Budget
from lit_metanas.relaxations import SampledChild, Softmax, StraightThrough
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import Choice, LayeredSpace, SearchSpace, Supernet
from lit_metanas.training import FirstOrder, SecondOrder
from lit_metanas.training.trainers import quiet_trainer
from lit_metanas.training.weight_sharing.darts_training import DARTSRates, DARTSTraining
from lit_metanas.training.weight_sharing.supernet_training import Minibatches, SupernetPlan

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), depths=(1, 2), widths=(2, 4))


class TwoLayerSupernet(Supernet):
    """Two mixed non-linearities between linear maps, smooth, in float64."""

    features = 3

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Parameter(torch.randn(4, 16, dtype=torch.float64) / 4)
        self.second = torch.nn.Parameter(torch.randn(3, 4, dtype=torch.float64) / 2)

    def forward(self, inputs, mixture, noise=None, statistics=None, record=None):
        hidden = inputs.flatten(1) @ self.first.T
        gate = mixture["act"].weights
        hidden = gate[0] * torch.tanh(hidden) + gate[1] * torch.sin(hidden) + gate[2] * hidden
        scale = mixture["scale"].weights
        return (scale[0] + 2 * scale[1]) * torch.tanh(hidden @ self.second.T)

    def draw_noise(self, examples, generator):
        return {}

    def flops(self, mixture):
        return 4 * 16 + 3 * 4


class Smooth(SearchSpace):
    choices = (Choice("act", ("tanh", "sin", "id")), Choice("scale", ("1", "2")))

    def supernet(self, shape):
        return TwoLayerSupernet()

    def child(self, architecture, shape, way, weights=None):
        raise AssertionError("not built here")

    def restricted(self, labels):
        raise AssertionError("not restricted here")

    def cost(self, architecture, shape, way):
        raise AssertionError("not counted here")


RATES = DARTSRates(weights=0.1, least_weights=0.02, logits=0.05, weight_decay=1e-2, logits_decay=1e-2, clip=0.5)


def module(task, gradient, budget=None, steps=12, rates=RATES):
    plan = SupernetPlan(Smooth(), task, budget or Budget(), steps, validate_every=4, seed=3)
    return DARTSTraining(plan, relaxation=Softmax(), gradient=gradient, rates=rates).double()


def plain_loss(weights, alphas, images, labels):
    first, second, head, bias = weights
    act, scale = (alpha.softmax(0) for alpha in alphas)
    hidden = images.flatten(1) @ first.T
    hidden = act[0] * torch.tanh(hidden) + act[1] * torch.sin(hidden) + act[2] * hidden
    scores = (scale[0] + 2 * scale[1]) * torch.tanh(hidden @ second.T) @ head.T + bias
    return -torch.log_softmax(scores, 1)[torch.arange(len(labels)), labels].mean()


def unrolled(weights, alphas, train, val, rate):
    """The exact gradient through one descent step, by differentiating through it."""
    slopes = torch.autograd.grad(plain_loss(weights, alphas, *train), weights, create_graph=True)
    ahead = [w - rate * slope for w, slope in zip(weights, slopes, strict=True)]
    return torch.autograd.grad(plain_loss(ahead, alphas, *val), alphas)


def plain_darts(weights, alphas, pairs, steps, second):
    """Algorithm 1 of DARTS in plain loops: Adam on the logits, SGD with momentum on the weights."""
    weights = [w.detach().clone().requires_grad_() for w in weights]
    alphas = [a.detach().clone().requires_grad_() for a in alphas]
    velocity = [torch.zeros_like(w) for w in weights]
    mean = [torch.zeros_like(a) for a in alphas]
    square = [torch.zeros_like(a) for a in alphas]
    for step, pair in enumerate(pairs):
        train, val = ((part.inputs, part.labels) for part in pair)
        rate = 0.02 + 0.5 * (1 + math.cos(math.pi * step / steps)) * (0.1 - 0.02)
        if second:
            gradients = unrolled(weights, alphas, train, val, rate)
        else:
            gradients = torch.autograd.grad(plain_loss(weights, alphas, *val), alphas)
        with torch.no_grad():
            for i, (alpha, gradient) in enumerate(zip(alphas, gradients, strict=True)):
                total = gradient + 1e-2 * alpha
                mean[i] = 0.5 * mean[i] + 0.5 * total
                square[i] = 0.999 * square[i] + 0.001 * total**2
                corrected = mean[i] / (1 - 0.5 ** (step + 1)), square[i] / (1 - 0.999 ** (step + 1))
                alpha -= 0.05 * corrected[0] / (corrected[1].sqrt() + 1e-8)
        gradients = torch.autograd.grad(plain_loss(weights, alphas, *train), weights)
        norm = math.sqrt(sum((g**2).sum().item() for g in gradients))
        with torch.no_grad():
            for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
                total = gradient * min(1.0, 0.5 / (norm + 1e-6)) + 1e-2 * weight
                velocity[i] = total if step == 0 else 0.9 * velocity[i] + total
                weight -= rate * velocity[i]
    return weights, alphas


@pytest.mark.parametrize(("gradient", "tolerance"), [(FirstOrder(), 1e-10), (SecondOrder(epsilon=1e-4), 1e-6)])
def test_the_search_equals_plain_loops_in_float64(gradient, tolerance):
    task = make_task(size=4, dtype=torch.float64)
    made = module(task, gradient)
    pairs = Minibatches(task.train, task.val, batch_size=10, steps=12, seed=5)
    start = [w.detach().clone() for w in made.weights.values()], list(made.logits.tree().values())
    with quiet_trainer(torch.device("cpu")) as trainer:
        trainer.fit(made, train_dataloaders=pairs)
    weights, alphas = plain_darts(*start, pairs, 12, second=isinstance(gradient, SecondOrder))
    assert made.done == 12
    for ours, plain in zip([*made.weights.values(), *made.logits.tree().values()], [*weights, *alphas], strict=True):
        torch.testing.assert_close(ours, plain, rtol=0, atol=tolerance)
    moved = max((a - b).abs().max().item() for a, b in zip(alphas, start[1], strict=True))
    assert moved > 0.03


def search(budget, relaxation=None, gradient=None, seed=0, epochs=2, space=SPACE, **options):
    searcher = DARTSSearcher(
        relaxation=relaxation, gradient=gradient, epochs=epochs, batch_size=8, rates=DARTSRates(logits=0.1), **options
    )
    return searcher.search(TASK, space, budget, seed)


@settings(max_examples=12, deadline=None)
@given(
    flops=st.integers(0, 3 * 10**6),
    relaxation=st.sampled_from([Softmax(), SampledChild(), StraightThrough()]),
    gradient=st.sampled_from([FirstOrder(), SecondOrder()]),
    seed=st.integers(0, 9),
)
@example(flops=267744, relaxation=SampledChild(), gradient=FirstOrder(), seed=0)  # the logits' last step is the last
def test_the_budget_is_never_overdrawn(flops, relaxation, gradient, seed):
    budget = Budget(flops=flops)
    found = search(budget, relaxation, gradient, seed)
    assert budget.spent.flops <= flops
    assert found.record.trials[-1].cost == budget.spent
    assert 0 <= found.record.best.value <= 1


def test_the_same_seed_gives_the_same_search_and_leaves_the_global_state():
    state = torch.random.get_rng_state()
    runs = [search(Budget(), SampledChild(), SecondOrder(), seed) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.random.get_rng_state())
    assert runs[0].architecture == runs[1].architecture
    assert runs[0].record.trials == runs[1].record.trials
    assert all(torch.equal(runs[0].weights[n], runs[1].weights[n]) for n in runs[0].weights)
    one, _, other = (run.weights["body.layers.1.conv.3.weight"] for run in runs)
    assert not torch.equal(one, other)


def test_the_account_follows_the_formula_for_soft_mixtures():
    first, second = Budget(), Budget()
    search(first, Softmax(), FirstOrder())
    search(second, Softmax(), SecondOrder())
    supernet = SPACE.supernet(TASK.shape)
    mixture = Softmax()({c.name: torch.zeros(len(c.labels)) for c in SPACE.choices}, {}, 0.0)
    forward = supernet.flops(mixture) + 3 * 4
    steps = 2 * (24 // 8)
    assert first.spent.flops == 3 * forward * steps * (8 + 8)
    assert second.spent.flops == 3 * forward * steps * (3 * 8 + 8 + 8)
    assert (first.spent.steps, first.spent.images) == (2 * steps, steps * 16)


def test_the_child_inherits_the_last_validated_function():
    found = search(Budget(), epochs=4)
    assert len(found.record.trials) == 4
    child = SPACE.child(found.architecture, TASK.shape, 3, found.weights).eval()
    right = (child(TASK.val.inputs).argmax(1) == TASK.val.labels).float().mean().item()
    assert found.record.trials[-1].architecture == found.architecture
    assert right == pytest.approx(found.record.trials[-1].value)


def test_an_architecture_that_the_space_refuses_is_neither_validated_nor_found():
    found = search(Budget())
    refused = {trial.architecture for trial in found.record.trials}
    limited = SPACE.limited(lambda architecture: "it is too slow" if architecture in refused else None)
    shown = []

    class Record(Callback):
        def on_train_end(self, trainer, pl_module):
            shown.append(pl_module.record.trials)

    with pytest.raises(ValueError, match=r"found cannot be built \(it is too slow\): take another seed, or ENAS"):
        search(Budget(), space=limited, callbacks=[Record()])
    assert shown == [[]]
    free = search(Budget(), space=SPACE.limited(lambda architecture: None))
    assert free.record.trials == found.record.trials


def meta_trained():
    torch.manual_seed(7)
    weights = {name: p.detach() for name, p in SPACE.supernet(TASK.shape).named_parameters()}
    logits = {c.name: F.one_hot(torch.tensor(len(c.labels) - 1), len(c.labels)).float() * 9 for c in SPACE.choices}
    return Parameters(weights, logits, {})


def test_a_search_starts_from_meta_trained_parameters():
    init = meta_trained()
    found = search(Budget(flops=0), start=init, head=PrototypeLinearHead())
    assert found.architecture == SPACE.canonical({c.name: c.labels[-1] for c in SPACE.choices})
    assert all(torch.equal(found.weights[name], init.weights[name]) for name in init.weights)
    supernet = SPACE.supernet(TASK.shape)
    supernet.load_state_dict(init.weights)
    with torch.no_grad():
        mixture = Softmax()(init.logits, {}, 0.0)
        features = supernet(TASK.train.inputs, mixture)
    means = torch.stack([features[TASK.train.labels == c].mean(0) for c in range(3)])
    torch.testing.assert_close(found.weights["head.weight"], 0.2 * means)
    again = search(Budget(flops=0), start=init)
    assert not torch.equal(again.weights["head.weight"], found.weights["head.weight"])


def test_parameters_that_do_not_fit_are_refused():
    init = meta_trained()
    wrong = {**init.weights, "body.layers.1.conv.norm.batch.scale": torch.zeros(9)}
    with pytest.raises(ValueError, match=r"do not fit LayeredSpace: 'body.layers.1.conv.norm.batch.scale'"):
        search(Budget(), start=init._replace(weights=wrong))
    with pytest.raises(ValueError, match="PrototypeHead is not a linear head"):
        search(Budget(), start=init, head=PrototypeHead())


def test_warm_up_leaves_the_logits_alone_and_costs_half():
    task = make_task(size=4, dtype=torch.float64)
    spent = []
    for warm_up in (0.0, 1.0):
        budget = Budget()
        made = module(task, FirstOrder(), budget, rates=DARTSRates(warm_up=warm_up))
        before = made.logits.values.detach().clone()
        with quiet_trainer(torch.device("cpu")) as trainer:
            trainer.fit(made, train_dataloaders=Minibatches(task.train, task.val, batch_size=10, steps=12, seed=5))
        assert torch.equal(made.logits.values, before) == (warm_up == 1.0)
        spent.append(budget.spent.flops)
    forward = 4 * 16 + 3 * 4 + 3 * 3
    assert spent == [3 * forward * 12 * 20, 3 * forward * 12 * 10]
