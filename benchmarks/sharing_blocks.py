"""The searches that `weight_sharing.py` compares: tasks, spaces, budgets, and the searchers on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import torch.nn.functional as F

from lit_metanas.relaxations import AuxiliarySkip, SampledChild, Softmax
from lit_metanas.searchers import (
    DARTSSearcher,
    ENASSearcher,
    FixedArchitecture,
    OneShotSearcher,
    RandomArchitecture,
    Searcher,
)
from lit_metanas.spaces import DARTSCell, LayeredSpace, SearchSpace
from lit_metanas.tasks import Glyphs, Omniglot, Split, Task, TaskSource, draw_task
from lit_metanas.training import Recipe
from lit_metanas.training.weight_sharing.darts_training import DARTSRates
from lit_metanas.training.weight_sharing.enas_training import ControllerRates
from lit_metanas.training.weight_sharing.supernet_training import WeightRates

WAY = 10
EPOCHS = 1000
"""More than any budget pays: the budget ends each search, and the learning rates fall with it."""
CONV4 = {"kernel": "3", "pool": "max", "activation": "ReLU", "dropout": "0"}
SEPARABLE = {"normal.edge": "sep_conv_3x3", "reduce.edge": "sep_conv_3x3"} | {f"inputs{n}": "0+1" for n in range(2, 6)}
FREE = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect")
"""Operations of a cell without parameters."""


@dataclass(frozen=True)
class Block:
    """One source of tasks under one space.

    Attributes:
        source: ``glyphs`` or ``omniglot``.
        space: what is searched.
        flops: training FLOPs of each search.
        recipe: of every child, which is trained anew.
        examples: train, validation and test images a class.
        batch_size: images of a search's minibatch.
        reference: the fixed architecture, by choice or group.
        oracle: whether all architectures of the space are trained already on these tasks.
        halved: whether images are reduced to 14x14 pixels.
    """

    source: str
    space: SearchSpace
    flops: float
    recipe: Recipe
    examples: tuple[int, int, int]
    batch_size: int
    reference: dict[str, str] = field(default_factory=dict)
    oracle: bool = False
    halved: bool = False


def cells(operations: Sequence[str], *, channels: int, cells: int) -> DARTSCell:
    """A small network of DARTS's cells, whose edges have some of the operations."""
    edges = [choice.name for choice in DARTSCell(channels=channels, cells=cells).choices if ".edge" in choice.name]
    return DARTSCell(channels=channels, cells=cells, fixed={edge: tuple(operations) for edge in edges})


CELLS = cells(("none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"), channels=8, cells=3)

BLOCKS: dict[str, Block] = {
    "glyphs, layered": Block(
        source="glyphs",
        space=LayeredSpace(shared=True),
        flops=1.2e11,
        recipe=Recipe(epochs=10, inherit=False),
        examples=(100, 100, 100),
        batch_size=64,
        reference=CONV4,
        oracle=True,
    ),
    "glyphs, DARTS cell": Block(
        source="glyphs",
        space=CELLS,
        flops=1.2e10,
        recipe=Recipe(epochs=8, inherit=False),
        examples=(50, 50, 100),
        batch_size=32,
        reference=SEPARABLE,
        halved=True,
    ),
    "Omniglot, layered": Block(
        source="omniglot",
        space=LayeredSpace(),
        flops=3e10,
        recipe=Recipe(epochs=40, inherit=False),
        examples=(10, 5, 5),
        batch_size=50,
        reference=CONV4,
        halved=True,
    ),
    "Omniglot, DARTS cell": Block(
        source="omniglot",
        space=CELLS,
        flops=1.2e10,
        recipe=Recipe(epochs=40, inherit=False),
        examples=(10, 5, 5),
        batch_size=32,
        reference=SEPARABLE,
        halved=True,
    ),
}


def searchers(block: Block) -> dict[str, Searcher]:
    """All methods on a block; DARTS- only where the space has skips."""
    rates, weights = DARTSRates(weights=0.1, logits=0.1), WeightRates(weights=0.1)
    run = {"epochs": EPOCHS, "batch_size": block.batch_size}
    found: dict[str, Searcher] = {
        "DARTS": DARTSSearcher(relaxation=Softmax(), rates=rates, **run),
        "GDAS": DARTSSearcher(relaxation=SampledChild(temperature=10.0, end=0.1), rates=rates, **run),
        "ENAS": ENASSearcher(controller=ControllerRates(learning_rate=0.01), rates=weights, candidates=4, **run),
        "one-shot": OneShotSearcher(rates=weights, candidates=8, **run),
        "random per task": RandomArchitecture(),
        "fixed": FixedArchitecture(block.reference),
    }
    if isinstance(block.space, DARTSCell):
        skips = AuxiliarySkip(space=block.space)
        found = {"DARTS-": DARTSSearcher(relaxation=skips, rates=rates, **run), **found}
    return found


@cache
def source(name: str, omniglot: Path) -> TaskSource:
    """The prepared task source of a block."""
    made: TaskSource = Glyphs() if name == "glyphs" else Omniglot(root=str(omniglot))
    made.prepare()
    return made


def draw(block: Block, index: int, omniglot: Path) -> Task:
    """One of the block's held-out tasks; the same for all seeds of the searches."""
    train, val, test = block.examples
    drawn = source(block.source, omniglot)
    task = draw_task(drawn, "test", seed=0, index=index, way=WAY, train=train, val=val, test=test)
    return halved(task) if block.halved else task


def halved(task: Task) -> Task:
    """The task with images of half the height and width: the mean of each four pixels."""
    assert task.val is not None
    train, val, test = (Split(F.avg_pool2d(part.inputs, 2), part.labels) for part in (task.train, task.val, task.test))
    return replace(task, train=train, val=val, test=test)
