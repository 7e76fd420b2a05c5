"""The search space that CONTRIBUTING.md shows: its own code, under all that a space has to serve."""

import re
import sys
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser
from meta_toys import SHAPE, fit, make_model
from torch import nn

from lit_metanas.meta import PrototypeLoss
from lit_metanas.records import Budget
from lit_metanas.relaxations import Softmax
from lit_metanas.searchers import DARTSSearcher, QuerySearcher, RegularisedEvolution
from lit_metanas.spaces import Architecture, SearchSpace, one_hot
from lit_metanas.tasks import Split, Task

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
WAY = 3


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """Built from the page's two files."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (settings,) = re.findall(r"```yaml\n(# configs/spaces/mine.yaml.*?)```", PAGE, re.DOTALL)
    folder = tmp_path_factory.mktemp("package")
    (folder / "my_package.py").write_text(code)
    (folder / "mine.yaml").write_text(settings)
    sys.path.insert(0, str(folder))
    try:
        import_module("my_package")
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(SearchSpace, "space")
        yield parser.instantiate(parser.parse_args([f"--space={folder / 'mine.yaml'}", "--space.blocks=2"])).space
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("my_package")


@pytest.fixture(scope="module")
def architectures(space):
    labels = product(*(choice.labels for choice in space.choices))
    return [
        Architecture(dict(zip((choice.name for choice in space.choices), chosen, strict=True))) for chosen in labels
    ]


@pytest.fixture(scope="module")
def task():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(WAY).repeat(4)
    splits = [Split(torch.rand(len(labels), *SHAPE, generator=generator), labels) for _ in range(3)]
    return Task("stripes", WAY, *splits)


def test_a_child_computes_what_the_one_hot_supernet_computes(space, architectures):
    assert (space.name, len(architectures), space.width) == ("Blocks", 16, 32)
    supernet, head = space.supernet(SHAPE), nn.Linear(32, WAY)
    weights = {**supernet.state_dict(), "head.weight": head.weight, "head.bias": head.bias}
    images = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1))
    for architecture in architectures:
        child = space.child(architecture, SHAPE, WAY, weights)
        expected = head(supernet(images, one_hot(space.choices, architecture)))
        assert torch.allclose(child(images), expected, atol=1e-5)
        again = space.child(architecture, SHAPE, WAY, space.learned(child))
        assert torch.equal(again(images), child(images))


def test_costs_are_those_of_the_layers(space, architectures):
    shape = (2, 7, 9)
    for architecture in architectures:
        child, found = space.child(architecture, shape, WAY), []

        def count(layer, inputs, output, found=found):
            size = layer.weight[0].numel() * output.numel()
            found.append((size, sum(own.numel() for own in layer.parameters())))

        for layer in child.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        child(torch.zeros(1, *shape))
        cost = space.cost(architecture, shape, WAY)
        assert (cost.flops, cost.parameters) == tuple(map(sum, zip(*found, strict=True)))


def test_a_restricted_supernet_has_parameters_of_the_whole_one(space, architectures):
    whole = {name: tensor.shape for name, tensor in space.supernet(SHAPE).state_dict().items()}
    for labels in ({"block1.kernel": "5"}, {"kernel": "3"}, architectures[0]):
        own = {name: tensor.shape for name, tensor in space.restricted(labels).supernet(SHAPE).state_dict().items()}
        assert own.items() < whole.items()
    assert space.restricted(architectures[0]).size == 1


def test_it_is_meta_trained(space):
    for options in ({}, {"meta_gradient": PrototypeLoss(), "relaxation": Softmax()}):
        model = make_model(space=space, **options)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        fit(model)
        assert model.architecture().keys() == {choice.name for choice in space.choices}
        moved = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
        assert {name.split(".")[-1] for name in moved} >= {"weight", "bias"}


def test_it_is_searched(space, task):
    darts = DARTSSearcher(epochs=2, batch_size=6).search(task, space, Budget(), seed=0)
    assert darts.weights is not None
    assert space.child(darts.architecture, SHAPE, WAY, darts.weights)(task.test.inputs).shape == (12, WAY)
    sampler = RegularisedEvolution(population=2, sample=2, space=space)
    trained = QuerySearcher(sampler=sampler, fidelity=0.1).search(task, space, Budget(queries=3), seed=0)
    assert len([trial for trial in trained.record.trials if trial.scored]) == 3
