"""Measures of a classification, against scikit-learn and a plain loop; the table of all test examples."""

import math
import re

import numpy as np
import pytest
import torch
from sklearn import metrics

import lit_metanas as lm
from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.comparisons.tested_part import describe_predictions
from lit_metanas.objectives.classification import calibration_error
from lit_metanas.records import ExampleRow, read_example_rows
from lit_metanas.records.result_files import write_example_rows

DRAW = np.random.default_rng(0)


def scores(way, number=300):
    """Labels, predictions and probabilities that suit them somewhat; the last class is never predicted."""
    labels = DRAW.choice(way, number, p=np.arange(1, way + 1) / sum(range(way + 1)))
    own = DRAW.normal(size=(number, way)) + 1.5 * np.eye(way)[labels]
    own[:, -1] -= 9 * (way > 2)
    probabilities = torch.from_numpy(own).softmax(1)
    return torch.from_numpy(labels), probabilities.argmax(1), probabilities


@pytest.mark.parametrize("way", [2, 4])
def test_measures_are_those_of_scikit_learn(way):
    labels, said, probabilities = scores(way)
    found = lm.Classification(way).measures(probabilities, labels, ())
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, said))
    assert found["balanced accuracy"] == pytest.approx(metrics.balanced_accuracy_score(labels, said))
    assert found["log-loss"] == pytest.approx(metrics.log_loss(labels, probabilities.numpy()))
    if way == 2:
        assert found["AUROC"] == pytest.approx(metrics.roc_auc_score(labels, probabilities[:, 1]))
    names = [f"class {place}" for place in range(way)]
    table = table_of(labels.tolist(), said.tolist(), names)
    assert table.confusions.tolist() == metrics.confusion_matrix(labels, said).tolist()
    assert table.recall.numpy() == pytest.approx(metrics.recall_score(labels, said, average=None))
    precision = metrics.precision_score(labels, said, average=None, zero_division=0)
    assert table.precision.numpy() == pytest.approx(precision)
    assert table.never_predicted == ([names[-1]] if way > 2 else [])
    assert table.markdown().count("never predicted") == (way > 2)


def table_of(labels, said, names):
    rows = [ExampleRow("", names[label], names[one]) for label, one in zip(labels, said, strict=True)]
    return ClassTable.of(rows, names)


def test_calibration_error_is_that_of_a_plain_loop():
    probabilities, right = torch.rand(101), torch.rand(101) < 0.6
    rows = sorted(zip(probabilities.tolist(), right.tolist(), strict=True))
    sizes = [101 // 15 + (place < 101 % 15) for place in range(15)]
    total = begin = 0
    for size in sizes:
        part, begin = rows[begin : begin + size], begin + size
        total += size / 101 * abs(np.mean([row[0] for row in part]) - np.mean([row[1] for row in part]))
    assert calibration_error(probabilities, right) == pytest.approx(total)
    assert calibration_error(torch.tensor([0.9, 0.7]), torch.tensor([True, False])) == pytest.approx(0.4)


def test_many_classes_have_a_list_of_confusions():
    labels = list(range(30)) * 2
    said = [*range(30), *range(1, 30), 0]
    text = table_of(labels, said, [f"name{place}" for place in range(30)]).markdown()
    assert "name3 for name4 (1)" in text
    assert text.count("\n") < 36
    assert "taken" not in table_of(labels, labels, [f"name{place}" for place in range(30)]).markdown()
    assert table_of([0], [1], [*map(str, range(203))]).markdown().count("3 more classes have a higher recall.") == 1
    nothing = ClassTable.of([ExampleRow("", "", "", shares=(("a", 0.2), ("b", 0.7)))], ["a", "b"])
    assert nothing.average_precision.isnan().all()


@pytest.mark.parametrize(
    ("objective", "labels", "told"),
    [
        (None, ["a", "c"], r"On the 1 example with a label: accuracy 100\.0 %, .* The network does not know c\."),
        (None, ["", "c"], r"The network does not know c\."),
        (lm.Classification(2, metric="AUROC"), ["a", "a"], r"On the 2 examples with a label: accuracy (?!.*AUROC).*"),
        (lm.Regression((0.0, 0.0), (1.0, 1.0)), ["1", "2"], ""),
    ],
)
def test_new_labels_tell_what_they_can(objective, labels, told):
    found = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    assert re.fullmatch(told, describe_predictions(objective, ("a", "b"), found, labels))


def test_what_is_written_is_read(tmp_path):
    rows = [
        ExampleRow('a "quoted",\ntext', "猫", "dog", 0.25, 1.5),
        ExampleRow("photos/1.jpg", "dog", "dog", 1.0, 0.0),
        ExampleRow("7", "0.3", "0.4", math.nan, math.nan),
    ]
    write_example_rows(tmp_path / "rows.csv", rows)
    found = read_example_rows(tmp_path / "rows.csv")
    assert (found[:2], found[2][:3]) == (rows[:2], rows[2][:3])
    assert all(map(math.isnan, found[2][3:5]))
    write_example_rows(tmp_path / "numbers.csv", rows[2:])  # without empty columns
    assert (tmp_path / "numbers.csv").read_text() == "example,truth,prediction\n7,0.3,0.4\n"
    assert read_example_rows(tmp_path / "numbers.csv")[0][:3] == rows[2][:3]
    for content in (
        "",
        "a,b\n",
        "example,truth,prediction,probability,loss\n1,2,3\n",
        "example,truth,prediction,probability,loss\n1,2,3,x,1\n",
    ):
        (tmp_path / "rows.csv").write_text(content)
        with pytest.raises(ValueError, match="is damaged or another file"):
            read_example_rows(tmp_path / "rows.csv")


def test_every_test_example_of_auto_has_a_row(tmp_path):
    """Names are files, places or texts; report and card have the classes, also in scripts that no font has."""
    draw = np.random.default_rng(1)
    y = np.array(["bird", "สุนัข", "猫"])[draw.choice(3, 300, p=(0.1, 0.4, 0.5))]
    X = draw.normal(size=(300, 4)) + (y == "bird")[:, None]
    result = lm.auto((X, y), flops=(2e7, 2e7), output=tmp_path / "out", progress=False, workers=1)
    rows = read_example_rows(tmp_path / "out" / "predictions.csv")
    assert len(rows) == result.images[1]
    assert [row.truth for row in rows] == [y[int(row.example)] for row in rows]
    for row in rows[:5]:
        shares = result.predict(X[int(row.example)][None])[0]
        assert next(iter(shares)) == row.prediction
        assert shares[row.prediction] == pytest.approx(row.probability, abs=1e-4)
        assert -math.log(shares[row.truth]) == pytest.approx(row.loss, abs=1e-3)
    assert result.test_accuracy == pytest.approx(np.mean([row.right for row in rows]))
    report = (tmp_path / "out" / "report" / "report.md").read_text()
    card = (tmp_path / "out" / "README.md").read_text()
    for text in (report, card):
        assert "| class | examples | recall % | precision % |" in text
    assert "![Confusion matrix of the test part](confusions.png)" in report
    assert len(result.errors) == min(20, sum(not row.right for row in rows))
    worst = max((row for row in rows if not row.right), key=lambda row: row.loss)
    assert f"| {worst.example} | {worst.truth} | {worst.prediction} |" in report
