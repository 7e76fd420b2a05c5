"""The encoder-decoder space: what its networks write, and its supernet, which is the child of one architecture."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import pytest
import torch
from space_toys import SHAPES, TOKENS, one_reader, only
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.inputs.batches import blank_inputs, random_inputs
from lit_metanas.objectives.objective import NEVER
from lit_metanas.spaces.encoder_decoder.decoder import CAUSAL
from lit_metanas.spaces.encoder_decoder.encoder_decoder_network import EncoderDecoderChild
from lit_metanas.testing import check_space

DECODERS = pytest.mark.parametrize("decoder", CAUSAL)
WAY, STEPS = 7, 6
small_encoder = partial(one_reader, operations=("gru",), readouts=("each",))


def one(*, encoder=None, **options):
    """A space of one network, unless options say otherwise."""
    return lm.EncoderDecoderSpace(encoder or small_encoder(), **{
        "decoders": ("gru",), "decoder_depths": (2,), "decoder_dropouts": (0.0,), "heads": 2,
        "target_steps": STEPS, **options,
    })  # fmt: skip


def child_of(space, shape=TOKENS, seed=0) -> EncoderDecoderChild:
    """In float64, of weights for which texts end at different steps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        child = space.child(only(space), shape, WAY).double().eval()
        for parameter in child.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
        child.head.bias.data[0] += 0.8
    assert isinstance(child, EncoderDecoderChild)
    return child


def examples(shape, number=12, seed=0) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inputs = random_inputs(number, shape)
    return inputs.double() if inputs.is_floating_point() else inputs


@SHAPES
@pytest.mark.parametrize(
    "space",
    [
        lm.EncoderDecoderSpace(small_encoder(depths=(1, 2, 3), operations=("conv_3", "attention_2")), target_steps=5),
        one(
            encoder=small_encoder(widths=(4, 8), depths=(1, 2), operations=("gru", "conv_5"), stride=2),
            decoders=tuple(CAUSAL), decoder_depths=(1, 2),
        ),
    ],
    ids=["open", "two widths"],
)  # fmt: skip
def test_it_passes_the_test_kit(shape, space):
    check_space(space, shape)


@DECODERS
@SHAPES
def test_what_is_written_is_what_a_plain_loop_writes(decoder, shape):
    inputs, ends = examples(shape, 5), set()
    for seed in range(4):
        child = child_of(one(decoders=(decoder,)), shape, seed)
        with torch.no_grad():
            scores = child(inputs)
            written = lm.Translation(target()).predictions(scores)
            for place, text in enumerate(written):
                assert text == written_by_a_loop(child, inputs[place : place + 1], scores[place])
        ends |= {len(text) for text in written}
        behind = scores[[len(text) < STEPS - 1 for text in written]][:, -1]
        assert torch.equal(behind[:, 0], torch.zeros(len(behind), dtype=torch.float64))
        assert bool((behind[:, 1:] == NEVER).all())
    assert len(ends) > 1  # the classifier's vectors make drawn networks repeat themselves


def written_by_a_loop(child, inputs: Tensor, scores: Tensor) -> list[int]:
    """The text of one input, each token from the whole prefix; each step has the scores that are given."""
    said: list[int] = []
    while len(said) < STEPS:
        # One more token than there is, which no score depends on, so that the network sees the prefix.
        step = child(inputs, torch.tensor([[*said, 1]]))[0, len(said)]
        torch.testing.assert_close(step, scores[len(said)], rtol=0, atol=1e-10)
        if not int(step.argmax()):
            break
        said.append(int(step.argmax()))
    return said


def target() -> lm.kinds.Words:
    return lm.kinds.Words(steps=STEPS, least=1).fitted(["a b c d e"])


def test_a_supernet_of_several_widths_refuses_to_compute():
    space = one(encoder=small_encoder(widths=(4, 8)))
    net, gates = space.supernet(TOKENS), lm.spaces.one_hot(space.choices, space.sample(torch.Generator()))
    outputs = space.output_weights(net.features, WAY)
    sentence = "EncoderDecoderSpace: a supernet is of one width, and 4, 8 are left: give 'widths' one, or search by a m"
    for compute in (lambda: net(blank_inputs(2, TOKENS), gates), lambda: net.scores(outputs, examples(TOKENS), gates)):
        with pytest.raises(ValueError, match=sentence):
            compute()


def test_a_target_that_is_too_long_is_told():
    child = child_of(one())
    with pytest.raises(ValueError, match="A target has 7 tokens, and the network writes up to 6: cut it"):
        child(examples(TOKENS, 1), torch.ones(1, 7, dtype=torch.int64))
    padded = nn.functional.pad(torch.ones(1, 6, dtype=torch.int64), (0, 4))
    assert child(examples(TOKENS, 1), padded).shape == (1, STEPS, WAY)
    words = lm.kinds.Words(steps=STEPS + 1, least=1).fitted(["a b"])
    with pytest.raises(ValueError, match=r"texts of up to 7 tokens, and EncoderDecoderSpace writes up to 6: give targ"):
        one().check_objective(lm.Translation(words))


ENCODER = lm.SequenceSpace(
    operations=("conv_3", "gru"), activations=("Tanh",), dropouts=(0.0, 0.2), depths=(1, 2, 3), widths=(8,),
    readouts=("each",),
)  # fmt: skip
SPACE = lm.EncoderDecoderSpace(ENCODER, heads=2, target_steps=STEPS)
TARGETS = torch.tensor([[3, 1, 5, 2, 2, 6], [4, 0, 0, 0, 0, 0], [1, 2, 3, 0, 0, 0], [6, 6, 1, 2, 0, 0]])


class Case:
    """A supernet in float64 of random weights, its outputs, and four examples."""

    def __init__(self, shape: lm.Shape) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.shape, self.net = shape, SPACE.supernet(shape).double()
            for parameter in self.net.parameters():
                parameter.data += 0.3 * torch.randn(parameter.shape, dtype=torch.float64)
            outputs = SPACE.output_weights(self.net.features, WAY)
            self.outputs = {name: torch.randn(value.shape, dtype=torch.float64) for name, value in outputs.items()}
        self.outputs["head.bias"][0] += 3.0  # so that texts end at different steps
        self.inputs = examples(shape, 4)

    def scores(
        self, gates: lm.spaces.Mixture, targets: Tensor | None = TARGETS, inputs: Tensor | None = None
    ) -> Tensor:
        return self.net.scores(self.outputs, self.inputs if inputs is None else inputs, gates, targets=targets)

    def child(self, architecture: Mapping[str, str]) -> nn.Module:
        child = SPACE.build(architecture, self.shape, WAY).double()
        child.inherit({**dict(self.net.named_parameters()), **self.outputs})
        return child.eval()


@SHAPES
def test_a_mixture_depends_neither_on_the_batch_nor_on_padding(shape):
    case, even = Case(shape), {choice.name: torch.ones(len(choice.labels)).double() for choice in SPACE.choices}
    gates = {name: lm.spaces.Gate(ones / len(ones)) for name, ones in even.items()}
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
    case, generator = Case(shape), torch.Generator().manual_seed(0)
    for _ in range(6):
        architecture = SPACE.sample(generator)
        gates, child = lm.spaces.one_hot(SPACE.choices, architecture), case.child(architecture)
        with torch.no_grad():
            for targets in (TARGETS, None):
                found = child(case.inputs, targets)
                torch.testing.assert_close(found, case.scores(gates, targets), rtol=0, atol=1e-10)
