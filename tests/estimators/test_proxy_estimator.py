"""The estimator that scores children by a proxy."""

import pytest
import torch
from optuna.samplers import RandomSampler
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from lit_metanas.estimators import ParameterCount, Proxy, ProxyEstimator, Synflow
from lit_metanas.records import Budget
from lit_metanas.searchers import QuerySearcher
from lit_metanas.spaces import NASBench201
from lit_metanas.tasks import Split, Task

SPACE = NASBench201(channels=2, cells=1)
CELL = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def make_task(images=20, way=3, shape=(1, 8, 8)):
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(images, *shape, generator=generator), torch.arange(images) % way)
    return Task("noise", way, split, None, split)


class Counter(TorchDispatchMode):
    """Counts what convolutions compute, forward and backward."""

    def __init__(self):
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            self.flops += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


class Spread(Proxy):
    """How far apart the scores of different images are."""

    passes = 1
    needs_data = True

    def value(self, network, inputs, labels):
        return float(network(inputs).detach().var(0).mean().log())


PROXIES = (ParameterCount, Spread, Synflow)


class Recorder(Proxy):
    """Keeps what it is given; the score is the number of parameters."""

    passes = 7
    needs_data = True

    def __init__(self, error=None):
        self.calls = []
        self.error = error

    def value(self, network, inputs, labels):
        self.calls.append((network, inputs, labels))
        if self.error:
            raise self.error
        return float(sum(p.numel() for p in network.parameters()))


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_score_is_the_proxys_of_the_child_of_this_seed(proxy):
    task, cell = make_task(), SPACE.from_string(CELL)
    estimator = ProxyEstimator(task, SPACE, 5, proxy(), images=8)
    state = torch.random.get_rng_state()
    score = estimator(cell, fidelity=1.0)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(5)
    child = SPACE.child(SPACE.canonical(cell), task.shape, task.way)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(5))[:8]
    inputs, labels = task.train.inputs[order], task.train.labels[order]
    assert score.value == pytest.approx(proxy()(child, inputs, labels), rel=1e-4)
    assert score.weights is None
    assert ProxyEstimator(task, SPACE, 5, proxy(), images=8)(cell, fidelity=0.1).value == score.value
    other = ProxyEstimator(task, SPACE, 6, proxy(), images=8)(cell, fidelity=1.0).value
    assert (other == score.value) == (proxy is ParameterCount)


def test_isomorphic_cells_are_scored_once_and_charged_alike():
    proxy = Recorder()
    estimator = ProxyEstimator(make_task(), SPACE, 0, proxy)
    cells = [
        SPACE.from_string("|skip_connect~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|nor_conv_1x1~2|"),
        SPACE.from_string("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|nor_conv_1x1~2|"),
    ]
    assert cells[0] != cells[1]
    scores = [estimator(cell, fidelity=fidelity) for cell in cells for fidelity in (0.5, 1.0)]
    assert len(proxy.calls) == 1
    assert len({(score.value, score.cost) for score in scores}) == 1


def test_without_data_no_image_is_needed():
    empty = make_task(images=0)
    estimator = ProxyEstimator(empty, SPACE, 0, Synflow())
    cell = SPACE.from_string(CELL)
    assert (
        estimator(cell, fidelity=1.0).value
        == ProxyEstimator(make_task(), SPACE, 0, Synflow())(cell, fidelity=1.0).value
    )
    assert estimator.cost(cell, 1.0).images == 0
    with pytest.raises(ValueError, match="Task 'noise' has no training examples for Spread to look at"):
        ProxyEstimator(empty, SPACE, 0, Spread())
    with pytest.raises(ValueError, match="images is 0; give at least 1"):
        ProxyEstimator(empty, SPACE, 0, Synflow(), images=0)


@pytest.mark.parametrize("proxy", PROXIES)
def test_the_account_is_of_what_is_computed(proxy):
    """Forward and backward, but for the little of the classifier and of gradients that nobody asks for."""
    task, cell = make_task(), SPACE.from_string(CELL)
    estimator = ProxyEstimator(task, SPACE, 0, proxy(), images=8)
    cost = estimator.cost(cell, 1.0)
    images = 8 if proxy.needs_data else 1
    assert cost.flops == proxy.passes * images * SPACE.cost(SPACE.canonical(cell), task.shape, 3).flops
    assert (cost.queries, cost.images) == (1, 8 if proxy.needs_data else 0)
    with Counter() as counter:
        spent = estimator(cell, fidelity=1.0).cost
    assert spent == cost
    assert 0.8 * cost.flops <= counter.flops / 2 <= cost.flops


def test_a_search_keeps_failing_proxies_as_failures():
    """Cells without a path from input to output give all images the same scores."""
    space = NASBench201(channels=2, cells=1, fixed={f"edge{i}-3": ["none", "skip_connect"] for i in range(3)})
    searcher = QuerySearcher(sampler=RandomSampler(), estimator=lambda *a: ProxyEstimator(*a, Spread()), failures=100)
    found = searcher.search(make_task(), space, Budget(queries=30), 0)
    failed = [trial for trial in found.record.trials if trial.failure]
    assert failed
    assert all("Spread of this network is -inf" in trial.failure for trial in failed)
    assert "skip_connect" in {found.architecture[f"edge{i}-3"] for i in range(3)}
