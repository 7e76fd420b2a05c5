"""Connected words: from a series to its symbols, by a searched network."""

import pytest
import torch

import lit_metanas as lm
from lit_metanas.objectives.objective import BLANK

SPACE = lm.SequenceSpace(
    operations=("conv_3", "gru"), activations=("ReLU",), dropouts=(0.0,), skips=("residual",), depths=(1, 2),
    widths=(16,), readouts=("each",), stride=2,
)  # fmt: skip
SYMBOLS, LONGEST = 3, 3


def part(examples: int, seed: int) -> lm.Split:
    """Each symbol is five to seven steps of its own feature, with noise; silence lies between."""
    generator = torch.Generator().manual_seed(seed)

    def number(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    inputs, targets = torch.zeros(examples, SYMBOLS + 1, 36), torch.zeros(examples, LONGEST, dtype=torch.int64)
    for example in range(examples):
        at = 0
        for place in range(number(1, LONGEST + 1)):
            symbol, length = number(1, SYMBOLS + 1), number(5, 8)
            inputs[example, symbol - 1, at : at + length] = 1.0
            targets[example, place] = symbol
            at += length + number(2, 5)
        inputs[example, :-1, :at] += 0.5 * torch.randn(SYMBOLS, at, generator=generator)
        inputs[example, -1, :at] = 1.0
    return lm.Split(inputs, targets)


TASK = lm.Task(
    "words", way=SYMBOLS + 1, train=part(150, 0), val=part(40, 1), test=part(60, 2), classes=("a", "b", "c"),
    objective=lm.Transcription(SYMBOLS),
)  # fmt: skip
SMALL = {"depth": "1", "layer1.operation": "gru"}
GRU = SPACE.restricted(SMALL).sample(torch.Generator().manual_seed(0))


def test_a_search_finds_a_network_that_transcribes():
    result = lm.search(TASK, SPACE, queries=2, recipe=lm.Recipe(epochs=12), seed=0, progress=False)
    assert result.metric == "word accuracy"
    assert result.test_score > 0.8
    assert 0 < result.ci95 < 0.2
    assert result.class_accuracy == {}
    assert "test word accuracy: " in repr(result)
    predictions = TASK.goal.predictions(result.network(TASK.test.inputs))
    assert result.predict(TASK.test.inputs) == [" ".join("_abc"[symbol] for symbol in row) for row in predictions]
    assert result.classes == ("a", "b", "c")
    right = sum(said == [s for s in row if s] for said, row in zip(predictions, TASK.test.labels.tolist(), strict=True))
    assert right / 60 > 0.6


def test_what_an_example_says_does_not_depend_on_its_batch():
    network = SPACE.child(GRU, TASK.shape, TASK.way).double().eval()
    inputs = TASK.test.inputs.double()
    with torch.no_grad():
        together = network(inputs)
        for example in range(5):
            length = int(inputs[example, -1].sum())
            alone = network(inputs[example : example + 1, :, :length])
            assert torch.allclose(together[example, : alone.shape[1]], alone[0], atol=1e-10)
            silence = together[example, alone.shape[1] :].softmax(1)
            assert torch.equal(silence[:, BLANK], torch.ones(len(silence), dtype=torch.float64))


def test_a_meta_training_refuses_a_space_for_transcripts():
    with pytest.raises(ValueError, match="Classification wants scores for an input, and SequenceSpace has"):
        lm.MetaSearch(space=SPACE, shape=TASK.shape)
