"""What the tests of spaces share: spaces with every kind of choice, random gates and parameters."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
from torch import Tensor

from lit_metanas.spaces import Gate, LayeredSpace, SearchSpace, Supernet

Kind = Literal["soft", "hard", "index"]


@pytest.fixture(params=["merged", "normalised"])
def rich_space(request: pytest.FixtureRequest) -> LayeredSpace:
    """Every question is open. Labels are not in alphabetical order, and neither are numbers."""
    return LayeredSpace(
        kernels=(7, 1, 11, 3),
        pools=("max", "avg"),
        activations=("Tanh", "ReLU", "Sigmoid"),
        dropouts=(0.5, 0.0, 0.2),
        depths=(3, 1, 2),
        widths=(6, 2, 4),
        skips=("residual", "none"),
        norms=("none", "batch", "layer"),
        mix=request.param,
    )


@pytest.fixture(scope="session")
def double_supernet() -> Callable[..., tuple[Supernet, dict[str, Tensor]]]:
    """Build a supernet in float64 whose parameters, scales and shifts too, are random; and those parameters."""

    def build(space: SearchSpace, shape: tuple[int, int, int]) -> tuple[Supernet, dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(7)
        net = space.supernet(shape).double()
        with torch.no_grad():
            for name, value in net.named_parameters():
                draw = torch.randn(value.shape, generator=generator, dtype=torch.float64)
                value.copy_(0.3 * draw + (1.0 if name.endswith("scale") else 0.0))
        return net, dict(net.named_parameters())

    return build


@pytest.fixture(scope="session")
def random_gates() -> Callable[..., dict[str, Gate]]:
    """Draw a gate for each choice: ``soft`` weights, ``hard`` ones without an index, or an ``index``."""

    def draw(space: SearchSpace, kind: Kind, generator: torch.Generator) -> dict[str, Gate]:
        gates = {}
        for choice in space.choices:
            logits = torch.randn(len(choice.labels), generator=generator, dtype=torch.float64)
            weights = torch.softmax(logits, 0)
            if kind != "soft":
                weights = (weights == weights.max()).double()
            gates[choice.name] = Gate(weights, int(weights.argmax()) if kind == "index" else None)
        return gates

    return draw
