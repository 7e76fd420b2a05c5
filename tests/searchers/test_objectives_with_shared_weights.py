"""Searches that share weights, on tasks of other objectives than to tell classes apart."""

import math
from itertools import product

import pytest
import torch

import lit_metanas as lm
from lit_metanas.training.child import score

LETTERS = lm.kinds.Words(steps=4, least=1).fitted(["a b c d e"])
READS = lm.SequenceSpace(
    operations=("gru", "conv_3"), activations=("Identity",), dropouts=(0.0, 0.2), skips=("residual",), depths=(1, 2),
    widths=(16,), readouts=("each",),
)  # fmt: skip
WRITES = lm.EncoderDecoderSpace(READS, decoder_depths=(1, 2), target_steps=5)
RATES = {"weights": 0.05}


def translation() -> lm.Task:
    """Three of five letters, from the last to the first."""

    def part(number: int, seed: int) -> lm.Split:
        draws = torch.Generator().manual_seed(seed)
        letters = torch.randint(2, LETTERS.shape.vocabulary, (number, 4), generator=draws)
        letters[::2, 3] = 0
        back = letters.flip(1)
        back[::2] = back[::2].roll(-1, 1)
        return lm.Split(letters, back)

    objective = lm.Translation(LETTERS)
    return lm.Task(
        "reversed", way=objective.outputs, train=part(160, 0), val=part(40, 1), test=part(40, 2),
        vocabulary=LETTERS.shape.vocabulary, preprocessing=LETTERS, objective=objective,
    )  # fmt: skip


def transcription() -> lm.Task:
    """Each symbol is three steps of its own feature, with one of silence behind it."""

    def part(number: int, seed: int) -> lm.Split:
        draws = torch.Generator().manual_seed(seed)
        symbols = torch.randint(1, 4, (number, 3), generator=draws)
        symbols[::2, 2] = 0
        series = torch.nn.functional.one_hot(symbols, 4).float().transpose(1, 2)
        series[:, 0] = 0.0
        series = series.repeat_interleave(4, 2)
        series[:, :, 3::4] = 0.0
        mask = (symbols > 0).repeat_interleave(4, 1).float()
        return lm.Split(torch.cat([series, mask[:, None]], 1), symbols)

    return lm.Task(
        "symbols", way=4, train=part(160, 0), val=part(40, 1), test=part(40, 2), objective=lm.Transcription(3)
    )


def span() -> lm.Task:
    """The answer stands between tokens 1 and 2."""

    def part(number: int, seed: int) -> lm.Split:
        draws, rows = torch.Generator().manual_seed(seed), torch.arange(number)
        inputs = torch.randint(3, 9, (number, 10), generator=draws)
        start = torch.randint(1, 6, (number,), generator=draws)
        end = start + torch.randint(0, 3, (number,), generator=draws)
        inputs[rows, start - 1], inputs[rows, end + 1] = 1, 2
        return lm.Split(inputs, torch.stack([start, end], 1))

    return lm.Task(
        "marked", way=3, train=part(160, 0), val=part(40, 1), test=part(40, 2), vocabulary=9, objective=lm.Span()
    )


CASES = {"translation": (translation, WRITES), "transcription": (transcription, READS), "span": (span, READS)}
CASE = pytest.mark.parametrize(("make", "space"), CASES.values(), ids=CASES)

DARTS = {"epochs": 2, "batch_size": 32, "rates": lm.training.DARTSRates(**RATES)}
METHODS = {
    "DARTS": lm.DARTSSearcher(**DARTS),
    "ENAS": lm.searchers.ENASSearcher(epochs=2, batch_size=32, rates=lm.training.WeightRates(**RATES), candidates=2),
    "second order": lm.DARTSSearcher(**DARTS, gradient=lm.training.SecondOrder()),
}


@pytest.mark.parametrize(("case", "name"), [*product(CASES, ("DARTS", "ENAS")), ("transcription", "second order")])
def test_a_search_ends_with_a_network_that_has_learned(case, name):
    (make, space), method = CASES[case], METHODS[name]
    task, budget = make(), lm.Budget(flops=1e12)
    outcome = method.search(task, space, budget, seed=0)
    assert space.violation(outcome.architecture) is None
    assert budget.spent.flops > 0
    assert len(outcome.record.trials) == {lm.DARTSSearcher: 2, lm.searchers.ENASSearcher: 4}[type(method)]
    assert all(math.isfinite(trial.value) for trial in outcome.record.trials)
    child, fresh = (child_of(space, task, outcome.architecture, weights) for weights in (outcome.weights, None))
    assert math.isfinite(score(child, task.test))
    assert loss_of(child, task) < loss_of(fresh, task)
    if isinstance(method, lm.DARTSSearcher):  # what was validated last is what was found
        assert outcome.record.trials[-1].value == pytest.approx(score(child, task.val), abs=1e-6)


def child_of(space: lm.SearchSpace, task: lm.Task, architecture, weights) -> lm.Child:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return lm.Child(
            space=space, architecture=architecture, shape=task.shape, way=task.way, objective=task.goal, weights=weights
        ).eval()


@torch.no_grad()
def loss_of(child: lm.Child, task: lm.Task) -> float:
    (scores,) = child.space.training_scores(child.network, task.test.inputs, task.test.labels)
    return float(task.goal.loss(scores, task.test.labels))


@CASE
def test_a_supernet_estimates_what_its_child_scores(make, space):
    task, architecture = make(), space.sample(torch.Generator().manual_seed(3))
    net = space.supernet(task.shape)
    weights = {**dict(net.named_parameters()), **space.output_weights(net.features, task.way)}
    weights = {name: value.detach() for name, value in weights.items()}
    estimate = lm.estimators.SupernetEstimator(task, space, 0, weights)(architecture, fidelity=1.0)
    assert estimate.value == pytest.approx(score(child_of(space, task, architecture, weights), task.val), abs=1e-6)
    del weights["head.bias"]
    with pytest.raises(ValueError, match=rf"lack head.bias for the {task.way} outputs of task '{task.id}': give those"):
        lm.estimators.SupernetEstimator(task, space, 0, weights)


def test_a_head_that_starts_from_classes_is_refused():
    weights = dict(WRITES.supernet(translation().shape).named_parameters())
    logits = {choice.name: torch.zeros(len(choice.labels)) for choice in WRITES.choices}
    start = lm.meta.Parameters(weights, logits, {})
    method = lm.DARTSSearcher(epochs=1, start=start, head=lm.meta.PrototypeLinearHead())
    words = r"PrototypeLinearHead starts from the classes of the train part, and task 'rev"
    with pytest.raises(ValueError, match=words):
        method.search(translation(), WRITES, lm.Budget(flops=1e9), seed=0)
