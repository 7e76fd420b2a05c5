"""The search space that the tutorial shows: its own code, under all that a space has to serve."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from fenced import blocks
from jsonargparse import ArgumentParser
from meta_toys import SHAPE, fit, make_model

from lit_metanas.meta import PrototypeLoss
from lit_metanas.records import Budget
from lit_metanas.relaxations import Softmax
from lit_metanas.searchers import DARTSSearcher, QuerySearcher, RegularisedEvolution
from lit_metanas.spaces import SearchSpace
from lit_metanas.tasks import Split, Task
from lit_metanas.testing import check_space

ROOT = Path(__file__).parents[2]
FILES = {one.rest: one.code for one in blocks(ROOT / "docs/tutorials/own_space.md") if one.verb == "file"}
WAY = 3


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Built from the page's two files."""
    folder = tmp_path_factory.mktemp("package")
    for name, code in FILES.items():
        (folder / name).write_text(code)
    sys.path.insert(0, str(folder))
    try:
        import_module("my_space")
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(SearchSpace, "space")
        yield parser.instantiate(parser.parse_args([f"--space={folder / 'mine.yaml'}", "--space.blocks=2"])).space
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("my_space")


@pytest.fixture(scope="module")
def task():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(WAY).repeat(4)
    splits = [Split(torch.rand(len(labels), *SHAPE, generator=generator), labels) for _ in range(3)]
    return Task("stripes", WAY, *splits)


def test_it_is_thirty_lines_that_the_toys_have_too():
    code = FILES["my_space.py"]
    assert code == (ROOT / "tests/spaces/toys/blocks.py").read_text()
    assert len([line for line in code.splitlines() if line.strip()]) <= 30


def test_it_keeps_what_the_page_promises(space):
    assert (space.name, space.size, space.width) == ("Blocks", 64, 8)
    check_space(space, shape=(2, 7, 9), way=WAY)


def test_it_is_meta_trained(space):
    for options in ({}, {"meta_gradient": PrototypeLoss(), "relaxation": Softmax()}):
        model = make_model(space=space, **options)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        fit(model)
        assert model.architecture().keys() == {choice.name for choice in space.choices}
        moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
        assert {name.split(".")[-1] for name in moved} >= {"weight", "scale", "shift"}


def test_it_is_searched(space, task):
    darts = DARTSSearcher(epochs=2, batch_size=6).search(task, space, Budget(), seed=0)
    assert darts.weights is not None
    assert space.child(darts.architecture, SHAPE, WAY, darts.weights)(task.test.inputs).shape == (12, WAY)
    sampler = RegularisedEvolution(population=2, sample=2, space=space)
    trained = QuerySearcher(sampler=sampler, fidelity=0.1).search(task, space, Budget(queries=3), seed=0)
    assert len([trial for trial in trained.record.trials if trial.scored]) == 3
