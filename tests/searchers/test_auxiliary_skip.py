"""Auxiliary skips, which keep DARTS from a collapse to skips."""

import pytest
import torch
from lightning.pytorch import Callback

from lit_metanas.records import Budget
from lit_metanas.relaxations import AnnealedSoftmax, AuxiliarySkip
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import DARTSCell, NASBench201
from lit_metanas.spaces.cells.cell_spaces import DARTS_OPERATIONS
from lit_metanas.spaces.forward_pass import ForwardPass, running
from lit_metanas.tasks import Split, Task


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
