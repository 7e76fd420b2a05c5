"""Early stopping by the share of skips."""

import pytest
import torch
from lightning.pytorch import Callback, LightningModule

from lit_metanas.callbacks import SkipStop
from lit_metanas.records import Budget
from lit_metanas.searchers import DARTSSearcher
from lit_metanas.spaces import DARTSCell, LayeredSpace
from lit_metanas.tasks import Split, Task

EDGES = [choice.name for choice in DARTSCell().choices if ".edge" in choice.name]
SPACE = DARTSCell(channels=2, cells=3, fixed=dict.fromkeys(EDGES, ("none", "skip_connect", "sep_conv_3x3")))
PART = Split(torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4)
TASK = Task("noise", 4, PART, PART, PART)


class Push(Callback):
    """Sets the logits of one operation on all edges of a kind before a step."""

    def __init__(self, **at):
        self.at = at

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if f"step{batch_idx}" in self.at:
            kind, label = self.at[f"step{batch_idx}"]
            rows = module.logits.values.data.split(module.logits.sizes)
            for choice, row in zip(module.space.choices, rows, strict=True):
                if choice.name.startswith(f"{kind}.edge"):
                    row.copy_(torch.tensor([3.0 * (other == label) for other in choice.labels]))


def search(*callbacks):
    searcher = DARTSSearcher(epochs=4, batch_size=4, callbacks=callbacks)
    budget = Budget()
    return searcher.search(TASK, SPACE, budget, 0), budget.spent.steps // 2


def normal_skips(architecture):
    return [label for name, label in architecture.items() if name.startswith("normal.edge")].count("skip_connect")


def test_it_stops_at_the_validation_with_too_many_skips_and_goes_back():
    stop = SkipStop()
    pushes = Push(step0=("normal", "sep_conv_3x3"), step5=("normal", "skip_connect"))
    found, steps = search(pushes, stop)
    assert steps == 6  # two an epoch: the third validation is the first after the push
    assert [normal_skips(trial.architecture) for trial in found.record.trials] == [0, 0, 8]
    assert found.architecture == found.record.trials[1].architecture
    again, steps = search(Push(step0=("normal", "sep_conv_3x3"), step1=("reduce", "skip_connect")), stop)
    assert steps == 8  # the reduction cell is not counted
    assert normal_skips(again.architecture) == 0


def test_it_goes_back_where_the_budget_ends_between_two_validations():
    pushes = Push(step0=("normal", "sep_conv_3x3"), step4=("normal", "skip_connect"))
    whole = Budget()
    DARTSSearcher(epochs=3, batch_size=4).search(TASK, SPACE, whole, 0)
    searcher = DARTSSearcher(epochs=3, batch_size=4, callbacks=[pushes, SkipStop()])
    found = searcher.search(TASK, SPACE, Budget(flops=whole.spent.flops - 1), 0)
    assert [normal_skips(trial.architecture) for trial in found.record.trials] == [0, 0, 0]
    assert normal_skips(found.architecture) == 0


def test_a_search_that_begins_with_too_many_goes_on_until_it_has_had_fewer():
    pushes = Push(step0=("normal", "skip_connect"), step2=("normal", "sep_conv_3x3"), step4=("normal", "skip_connect"))
    found, steps = search(pushes, SkipStop(most=0.25))
    assert steps == 6
    assert [normal_skips(trial.architecture) for trial in found.record.trials] == [8, 0, 8]
    assert normal_skips(found.architecture) == 0


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"most is 1\.0, which never stops"):
        SkipStop(most=1.0)
    layered = LayeredSpace(kernels=(1, 3), depths=(1,), widths=(2,))
    with pytest.raises(ValueError, match="no choice of LayeredSpace whose name begins"):
        DARTSSearcher(callbacks=[SkipStop()]).search(TASK, layered, Budget(), 0)
    with pytest.raises(ValueError, match="SkipStop stops searches that train logits: give it to a DARTSSearcher"):
        SkipStop().on_fit_start(None, LightningModule())
