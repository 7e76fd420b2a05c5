"""The objective of numbers against scikit-learn and plain loops, and the coverage of its intervals."""

import math
from time import perf_counter
from types import SimpleNamespace

import pytest
import torch
from sklearn.metrics import r2_score

import lit_metanas as lm
from lit_metanas.kinds.stored_preprocessing import describe_objective, read_objective, read_preprocessing
from lit_metanas.objectives.regression import COVERAGE
from lit_metanas.tasks.number_targets import are_numbers, learned_as


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_targets_that_are_all_the_same_are_scored_as_by_scikit_learn(error: float) -> None:
    truth, said = torch.tensor([[3.0, 1.0], [3.0, 2.0]]), [(3.0 + error, 1.0), (3.0, 2.5)]
    judged = lm.Regression((0.0, 0.0), (1.0, 1.0)).judge(said, truth)
    assert judged.value == pytest.approx(r2_score(truth, said))


def test_the_loss_is_of_standardised_targets_and_predictions_are_in_their_units() -> None:
    targets = torch.tensor([[1e5, 3.0], [2e5, 5.0], [4e5, 4.0]])
    objective = lm.Regression.of(targets)
    scores = torch.randn(3, 2, generator=torch.Generator().manual_seed(0))
    squares = []
    for column in range(2):
        values = targets[:, column].tolist()
        mean = sum(values) / 3
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 3)
        for row in range(3):
            squares.append((scores[row, column].item() - (values[row] - mean) / deviation) ** 2)
            said = objective.predictions(scores)[row][column]
            assert said == pytest.approx(scores[row, column].item() * deviation + mean)
    assert objective.loss(scores, targets).item() == pytest.approx(sum(squares) / 6, rel=1e-5)
    network, plain = objective.program_of(torch.nn.Identity())
    torch.testing.assert_close(network(scores).double(), objective.values(scores), rtol=1e-6, atol=0)
    assert plain.predictions(network(scores))[0] == pytest.approx(objective.predictions(scores)[0], rel=1e-5)


def test_nine_of_ten_new_targets_lie_within_the_interval_whatever_their_distribution() -> None:
    draw, covered = torch.Generator().manual_seed(0), []
    objective = lm.Regression((0.0,), (1.0,))
    for _ in range(400):
        noise = torch.empty(60, 1).exponential_(generator=draw) ** 2  # far from normal
        known, new = noise[:39], noise[39:]
        ready = objective.calibrated(torch.zeros(39, 1), known)
        assert ready.reaches[0] == sorted(known[:, 0].tolist())[35]  # ceil(40 * 0.9), counted from 1
        covered.append((new <= ready.reaches[0]).double().mean())
    # By the theory the mean is from 0.9 to 0.9 + 1 / 40.
    assert COVERAGE - 0.01 < float(torch.stack(covered).mean()) < COVERAGE + 1 / 40 + 0.01
    assert objective.calibrated(torch.zeros(8, 1), torch.ones(8, 1)).reaches is None


def test_intervals_have_their_columns_and_are_stored() -> None:
    one = lm.Regression((5.0,), (2.0,), (1.5,))
    assert one.columns((4.0,), ("price",)) == {"prediction": 4.0, "lower": 2.5, "upper": 5.5}
    two = lm.Regression((5.0, 1.0), (2.0, 3.0))
    assert two.columns((4.0, 1.0), ("a", "b")) == {"prediction(a)": 4.0, "prediction(b)": 1.0}
    assert two.show([(4.0, 1.0)], torch.zeros(1, 1), SimpleNamespace(classes=("a", "b"))) == ["a 4, b 1"]
    for objective in (one, two):
        assert read_objective(describe_objective(objective), objective.outputs, read_preprocessing) == objective


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"means": []}, "a mean and a deviation for each target"),
        ({"means": ["1"]}, "no finite number"),
        ({"deviations": [0.0]}, "not above 0"),
        ({"reaches": [1.0, 2.0]}, "a reach for each or for none"),
        ({"deviations": 3}, "without means and deviations"),
        ({"means": [1.0, 2.0], "deviations": [1.0, 2.0]}, "2 targets with 1 names"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object], sentence: str) -> None:
    stored = {"kind": "regression", "means": [1.0], "deviations": [2.0], **change}
    with pytest.raises(ValueError, match=sentence):
        read_objective(stored, 1, read_preprocessing)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0.5 * n for n in range(10)], True),
        ([0.5 * n for n in range(9)], False),  # few, such as versions
        ([*range(10)] * 30, False),  # digits
        ([*range(10)], True),
        ([*range(100)] * 3, False),
        ([*range(100)] * 3 + [*range(100, 112)], True),  # some hardly repeat
        ([f"{n}.00" for n in range(20)] * 2, True),
        ([f"{n}.00" for n in range(20)] * 3, False),
        ([*map(str, range(20)), "x"], False),
        ([True, False] * 20, False),
        ([[1.5], [2.5]] * 20, False),
    ],
)
def test_labels_are_numbers_or_classes_by_how_they_look(labels: list[object], expected: bool) -> None:
    assert are_numbers(labels) is expected


def test_long_texts_that_begin_with_a_digit_are_classes_at_once() -> None:
    labels = [f"{n}{' ' * 5000}!" for n in range(12)]
    begin = perf_counter()
    assert learned_as(labels, None) == "classification"
    assert perf_counter() - begin < 2  # minutes, if parts of the pattern take the same letters
