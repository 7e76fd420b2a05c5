"""The encoder-decoder space's supernet: what it computes of all candidates, and that of one it is the child."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.inputs.batches import random_inputs

TOKENS, SERIES = lm.TokenShape(13, 11), lm.SeriesShape(3, 11)
SHAPES = pytest.mark.parametrize("shape", [TOKENS, SERIES], ids=["tokens", "series"])
WAY, STEPS = 7, 6
ENCODER = lm.SequenceSpace(
    operations=("conv_3", "gru"), activations=("Tanh",), dropouts=(0.0, 0.2), depths=(1, 2, 3), widths=(8,),
    readouts=("each",),
)  # fmt: skip
SPACE = lm.EncoderDecoderSpace(ENCODER, heads=2, target_steps=STEPS)
TARGETS = torch.tensor([[3, 1, 5, 2, 2, 6], [4, 0, 0, 0, 0, 0], [1, 2, 3, 0, 0, 0], [6, 6, 1, 2, 0, 0]])


class Case:
    """A supernet in float64 of random weights, its outputs, and four examples."""

    def __init__(self, space: lm.EncoderDecoderSpace, shape: lm.Shape, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.space, self.shape, self.net = space, shape, space.supernet(shape).double()
            for parameter in self.net.parameters():
                parameter.data += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
            outputs = space.output_weights(self.net.features, WAY)
            self.outputs = {name: torch.randn(value.shape, dtype=torch.float64) for name, value in outputs.items()}
            inputs = random_inputs(4, shape)
        self.outputs["head.bias"][0] += 3.0  # so that texts end at different steps
        self.inputs = inputs.double() if inputs.is_floating_point() else inputs

    @property
    def weights(self) -> dict[str, Tensor]:
        return dict(self.net.named_parameters())

    def scores(
        self, gates: lm.spaces.Mixture, targets: Tensor | None = TARGETS, inputs: Tensor | None = None
    ) -> Tensor:
        return self.net.scores(self.outputs, self.inputs if inputs is None else inputs, gates, targets=targets)

    def child(self, architecture: Mapping[str, str]) -> nn.Module:
        child = self.space.build(architecture, self.shape, WAY).double()
        child.inherit({**self.weights, **self.outputs})
        return child.eval()


def uniform(space: lm.EncoderDecoderSpace) -> dict[str, lm.spaces.Gate]:
    return {
        choice.name: lm.spaces.Gate(torch.full((len(choice.labels),), 1 / len(choice.labels), dtype=torch.float64))
        for choice in space.choices
    }


@SHAPES
def test_a_mixture_depends_neither_on_the_batch_nor_on_padding(shape):
    case, gates = Case(SPACE, shape), uniform(SPACE)
    lengths = (case.inputs if case.inputs.dim() == 2 else case.inputs[:, -1]).ne(0).sum(1).tolist()
    assert len(set(lengths)) > 1
    with torch.no_grad():
        forced, written = case.scores(gates), case.scores(gates, None)
        for place, length in enumerate(lengths):
            alone = case.inputs[place : place + 1, ..., :length]
            said = int((TARGETS[place] > 0).sum())
            found = case.scores(gates, TARGETS[place : place + 1, :said], alone)
            torch.testing.assert_close(found[0], forced[place, : found.shape[1]], rtol=0, atol=1e-10)
            torch.testing.assert_close(case.scores(gates, None, alone)[0], written[place], rtol=0, atol=1e-10)


@SHAPES
def test_under_one_hot_gates_it_scores_targets_and_writes_as_its_child(shape):
    case, generator = Case(SPACE, shape), torch.Generator().manual_seed(0)
    for _ in range(6):
        architecture = SPACE.sample(generator)
        gates, child = lm.spaces.one_hot(SPACE.choices, architecture), case.child(architecture)
        with torch.no_grad():
            for targets in (TARGETS, None):
                found = child(case.inputs, targets)
                torch.testing.assert_close(found, case.scores(gates, targets), rtol=0, atol=1e-10)
