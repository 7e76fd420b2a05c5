"""Several labels: from data to an exported network that predicts sets of them, by the shell and in Python."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from exported_script import answers
from sklearn.metrics import average_precision_score

import lit_metanas as lm
from lit_metanas.automl import calls
from lit_metanas.cli.command_line import main
from lit_metanas.kinds.given_data import read_given
from lit_metanas.objectives import SeveralLabels

NAMES = ("red", "round", "soft")


def toys(number: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of four numbers, and which labels they have."""
    X = np.random.default_rng(seed).normal(size=(number, 4)).round(4)
    return X, (X[:, :3] > (0.3, 0.0, 0.9)).astype(int)


def table(path: Path, number: int, seed: int, *, columns: bool = False) -> None:
    """A table of toys with a column of labels, or one for each."""
    lines = ["a,b,c,d," + (",".join(NAMES) if columns else "label")]
    for row, own in zip(*toys(number, seed), strict=True):
        labels = ",".join(map(str, own)) if columns else ";".join(np.array(NAMES)[own > 0])
        lines.append(",".join(map(str, row)) + f",{labels}")
    path.write_text("\n".join(lines))


def test_a_table_of_labels_becomes_a_network_that_predicts_sets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table(Path("toys.csv"), 300, 0)
    table(Path("new.csv"), 80, 1)
    main(["auto", "toys.csv", "--flops", "[3e7,3e7]", "--workers", "1", "--onnx", "true"])
    told = capsys.readouterr()
    assert "with 1" in told.err
    assert "of 3 labels on average" in told.err
    assert "may have several labels, such as 'red; round" in told.err
    assert "give --objective classification if these are one class" in told.err
    assert "test mAP: " in told.out
    assert "micro F1" in told.out
    assert "pipeline_tag: tabular-classification" in Path("model/README.md").read_text()
    assert "| class | examples | average precision % |" in Path("model/README.md").read_text()
    assert "| class | examples | average precision % |" in Path("model/report/report.md").read_text()
    with Path("model/predictions.csv").open() as opened:
        heading = next(csv.reader(opened))
    assert heading == ["example", "truth", "prediction", "loss", *(f"p({name})" for name in NAMES)]

    main(["predict", "model", "new.csv"])
    told = capsys.readouterr().out
    assert "line 2: " in told
    assert "On the 80 examples with a label: mAP 100" in told
    with Path("predictions.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == ["row", "labels", *(f"p({name})" for name in NAMES)]
    shares = np.array([[float(row[f"p({name})"]) for name in NAMES] for row in rows])
    assert average_precision_score(toys(80, 1)[1], shares) > 0.95
    exported = lm.load("model")
    assert isinstance(exported.objective, SeveralLabels)
    assert exported.objective.cuts != (0.5,) * 3
    assert exported.show(toys(80, 1)[0]) == [row["labels"] for row in rows]
    for model in ("model.pt2", "model.onnx"):
        for line, row in zip(answers("model/predict.py", "new.csv", "--model", model), rows, strict=True):
            assert "; ".join(line.pop("labels")) == row["labels"].replace("–", "")
            assert line == pytest.approx({name: float(row[name]) for name in line}, abs=1e-4)
    table(Path("new.csv"), 80, 1, columns=True)
    main(["predict", "model", "new.csv"])  # replaces its own table
    assert "On the 80 examples with a label: mAP 100" in capsys.readouterr().out

    # The same call reads the finished search.
    monkeypatch.setattr(calls, "_searched", None)
    again = lm.auto("toys.csv", flops=(3e7, 3e7), output="model", workers=1, onnx=True, progress=False)
    for found, row in zip(again.predict(toys(80, 1)[0]), rows, strict=True):
        assert "; ".join(name for name in NAMES if name in found) == row["labels"].replace("–", "")
        assert found == pytest.approx({name: float(row[f"p({name})"]) for name in found}, abs=1e-4)


def test_columns_of_0_and_1_are_the_same_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(tmp_path / "one.csv", 60, 0)
    table(tmp_path / "each.csv", 60, 0, columns=True)
    one = read_given(str(tmp_path / "one.csv"))
    each = read_given(str(tmp_path / "each.csv"), label="red, round,soft")
    assert one.classes == each.classes == NAMES
    assert (one.train.labels == each.train.labels).all()
    assert (one.train.inputs == each.train.inputs).all()
    with pytest.raises(ValueError, match="pay for no epoch"):
        lm.auto(tmp_path / "each.csv", label=NAMES, flops=1, workers=1)
    assert "60 rows with" in (told := capsys.readouterr().err)
    assert "may have several labels" not in told  # nobody doubts columns that are named
    output = ["--output", str(tmp_path / "model"), "--workers", "1"]
    assert main(["auto", str(tmp_path / "each.csv"), "--label", "[red,round,soft]", "--flops", "1", *output]) == 2
    assert "pay for no epoch" in capsys.readouterr().err
    table(tmp_path / "test.csv", 20, 1, columns=True)
    tested = read_given(str(tmp_path / "each.csv"), label="red,round,soft", test=str(tmp_path / "test.csv"))
    assert tested.test.labels.tolist() == toys(20, 1)[1].tolist()
    (tmp_path / "lists.jsonl").write_text(
        "\n".join(json.dumps({"a": row[0], "b": row[1], "tags": own}) for row, own in zip(toys(60)[0], 20 * [
            ["red"], ["round", "red"], []
        ], strict=True))
    )  # fmt: skip
    assert read_given(str(tmp_path / "lists.jsonl")).classes == ("red", "round")


def test_a_classifier_of_scikit_learn_takes_an_indicator() -> None:
    X, y = toys(200)
    space = lm.MLPSpace(depths=(0, 1), widths=(16,), dropouts=(0.0,), activations=("ReLU",), shared=True)
    classifier = lm.AutoClassifier(space=space, flops=2e7, recipe=lm.Recipe(epochs=30))
    weights = np.r_[np.zeros(20), np.ones(180)]
    classifier.fit(X, y, sample_weight=weights)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert classifier.predict(X).shape == classifier.predict_proba(X).shape == (200, 3)
    assert set(np.unique(classifier.predict(X))) == {0, 1}
    assert classifier.score(X, y) > 0.8  # exact matches, as of other classifiers
    assert (pickle.loads(pickle.dumps(classifier)).predict(X) == classifier.predict(X)).all()
    for wrong, message in (
        (np.c_[y, np.zeros(200, dtype=int)], "No example has the label '3': leave its column of y out"),
        (np.c_[y, np.eye(200, 1, dtype=int)], "Class '3' has 1 example, too few for a train and val part"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier.fit(X, wrong)
    classifier.set_params(metric="log_loss")
    with pytest.raises(ValueError, match="There is no metric 'log_loss' for several labels: give mAP"):
        classifier.fit(X, y)
