"""DARTS's collapse to skips on a deep chain, and its fix."""

import pytest
import torch
from lightning.pytorch import Callback

from lit_metanas.callbacks.search_measures import skip_share
from lit_metanas.records import Budget
from lit_metanas.relaxations import AnnealedSoftmax, AuxiliarySkip, SampledChild, Softmax
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import Choice, DARTSCell, LayeredSpace, NASBench201, SearchSpace, Supernet
from lit_metanas.spaces.cells.cell_spaces import DARTS_OPERATIONS
from lit_metanas.spaces.forward_pass import ForwardPass, running
from lit_metanas.tasks import Split, Task
from lit_metanas.training.weight_sharing.darts_training import DARTSRates

UNITS, EDGES = 8, 6


class ChainSupernet(Supernet):
    """Edges in a row, each a layer that hardly passes a signal at the start, or a skip."""

    features = UNITS

    def __init__(self):
        super().__init__()
        self.kernels = torch.nn.ParameterList(
            torch.nn.Parameter(0.05 * torch.randn(UNITS, UNITS) / UNITS**0.5) for _ in range(EDGES)
        )
        self.shifts = torch.nn.ParameterList(torch.nn.Parameter(torch.zeros(UNITS)) for _ in range(EDGES))

    def forward(self, inputs, mixture, noise=None, statistics=None, record=None):
        hidden = inputs.flatten(1)
        for place, (kernel, shift) in enumerate(zip(self.kernels, self.shifts, strict=True)):
            weights = mixture[f"edge{place}"].weights
            hidden = weights[0] * hidden + weights[1] * torch.tanh(hidden @ kernel.T + shift)
        return hidden

    def draw_noise(self, examples, generator):
        return {}

    def flops(self, mixture):
        return EDGES * UNITS**2


class Chain(SearchSpace):
    choices = tuple(Choice(f"edge{place}", ("skip_connect", "layer"), "edge") for place in range(EDGES))

    def supernet(self, shape):
        return ChainSupernet()

    def child(self, architecture, shape, way, weights=None):
        raise AssertionError("not built here")

    def restricted(self, labels):
        raise AssertionError("not restricted here")

    def cost(self, architecture, shape, way):
        raise AssertionError("not counted here")


SPACE = Chain()


def make_task():
    """Classes by the sign of one number, which skips alone can tell, and of the product of two, which they cannot."""
    generator = torch.Generator().manual_seed(0)

    def split():
        inputs = torch.randn(256, 1, 1, UNITS, generator=generator)
        first, second, third = inputs.flatten(1)[:, :3].unbind(1)
        return Split(inputs, 2 * (first > 0).long() + (second * third > 0).long())

    return Task("signs", 4, split(), split(), split())


def test_darts_collapses_to_skips_and_auxiliary_skips_mend_it():
    shares = {}
    for name, relaxation in (("DARTS", Softmax()), ("DARTS-", AuxiliarySkip(space=SPACE))):
        searcher = DARTSSearcher(
            relaxation=relaxation,
            epochs=100,
            batch_size=128,
            rates=DARTSRates(weights=0.05, logits=0.1, logits_decay=0.0),
        )
        found = searcher.search(make_task(), SPACE, Budget(), 0)
        shares[name] = skip_share(SPACE.choices, found.architecture)
    assert shares["DARTS"] >= 0.8
    assert shares["DARTS-"] <= 0.2


def test_only_skips_of_open_choices_get_more_and_the_cost_stays():
    space = NASBench201(channels=2, cells=1, merge_isomorphs=False, fixed={"edge0-1": ["skip_connect"]})
    logits = {choice.name: torch.randn(len(choice.labels)) for choice in space.choices}
    plain = AnnealedSoftmax()(logits, {}, 0.5)
    more = AuxiliarySkip(space=space, relaxation=AnnealedSoftmax())(logits, {}, 0.5)
    for choice in space.choices:
        added = (more[choice.name].weights - plain[choice.name].weights).tolist()
        wanted = [0.5 * (label == "skip_connect" and len(choice.labels) > 1) for label in choice.labels]
        assert added == pytest.approx(wanted, abs=1e-6)
    supernet = space.supernet((1, 8, 8))
    assert supernet.flops(more) == supernet.flops(plain)


def plain_cells(supernet, inputs, shares, beta):
    """The network of DARTS's cells in plain loops, with one more skip of weight ``beta`` on each edge."""
    before = last = supernet.body.stem(inputs)
    for cell in supernet.body.cells:
        kind = "reduce" if cell.stride == 2 else "normal"
        states = [cell.before(before), cell.last(last)]
        for node in range(2, 6):
            total = 0
            for source in range(node):
                edge, share = cell.edges[f"{source}-{node}"], shares[f"{kind}.edge{source}-{node}"]
                for place, label in enumerate(DARTS_OPERATIONS[1:], start=1):
                    total = total + share[place] * getattr(edge, label)(states[source])
                total = total + beta * edge.skip_connect(states[source])
            states.append(total)
        before, last = last, torch.cat(states[2:], 1)
    return last.mean((2, 3))


def test_each_edge_of_darts_cells_gets_one_more_skip():
    progress = 0.6
    torch.manual_seed(0)
    space = DARTSCell(channels=2, cells=3)
    supernet = space.supernet((1, 8, 8)).double()
    inputs = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    logits = {choice.name: torch.randn(len(choice.labels), dtype=torch.float64) for choice in space.choices}
    found = supernet(inputs, AuxiliarySkip(space=space)(logits, {}, progress))
    shares = {name: row.exp() / row.exp().sum() for name, row in logits.items()}
    with running(ForwardPass({})):
        torch.testing.assert_close(found, plain_cells(supernet, inputs, shares, 1 - progress), rtol=0, atol=1e-9)
        assert (found - plain_cells(supernet, inputs, shares, 0.5)).abs().max() > 1e-3


class Weights(Callback):
    """The sum of an edge's weights before each step of a search."""

    def __init__(self):
        self.sums = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        mixture = module.relaxation(module.logits.tree(), {}, module.progress)
        self.sums.append(float(mixture["normal.edge0-2"].weights.detach().sum()))


def test_the_auxiliary_skips_of_darts_cells_fade_over_a_search():
    edges = [choice.name for choice in DARTSCell().choices if ".edge" in choice.name]
    few = ["none", "skip_connect", "sep_conv_3x3"]
    space = DARTSCell(channels=2, cells=3, fixed=dict.fromkeys(edges, few))
    weights, budget = Weights(), Budget()
    generator = torch.Generator().manual_seed(0)
    part = Split(torch.rand(16, 1, 8, 8, generator=generator), torch.arange(16) % 4)
    searcher = DARTSSearcher(relaxation=AuxiliarySkip(space=space), epochs=2, batch_size=4, callbacks=[weights])
    found = searcher.search(Task("noise", 4, part, part, part), space, budget, 0)
    assert weights.sums == pytest.approx([2 - step / 8 for step in range(8)], abs=1e-6)
    assert budget.spent.steps == 2 * 8
    assert space.violation(found.architecture) is None
    child = space.child(found.architecture, (1, 8, 8), 4, found.weights)
    assert torch.isfinite(child(part.inputs)).all()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"no choice of LayeredSpace has a label among skip_connect"):
        AuxiliarySkip(space=LayeredSpace())
    with pytest.raises(ValueError, match=r"from -1\.0 to 0\.0 is negative"):
        AuxiliarySkip(space=SPACE, start=-1.0)
    relaxation = AuxiliarySkip(space=SPACE, relaxation=SampledChild())
    logits = {choice.name: torch.zeros(2) for choice in SPACE.choices}
    with pytest.raises(ValueError, match="SampledChild computes one"):
        relaxation(logits, relaxation.draw_noise(logits, torch.Generator()), 0.0)
