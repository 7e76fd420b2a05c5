"""Temperatures: learned against a plain search, better on other examples, and the same in all files of an export."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from exported_script import answers

import lit_metanas as lm


def overconfident(number, sharpness, seed):
    """Scores that are too large by a factor, and classes drawn by the right ones."""
    generator = torch.Generator().manual_seed(seed)
    right = 1.5 * torch.randn(number, 4, generator=generator, dtype=torch.float64)
    return sharpness * right, right.softmax(1).multinomial(1, generator=generator)[:, 0]


@pytest.mark.parametrize("sharpness", [3.0, 0.4])
def test_other_examples_have_half_of_the_calibration_error(sharpness):
    scores, targets = overconfident(600, sharpness, 0)
    goal = lm.Classification(4)
    objective = goal.calibrated(scores, targets)
    assert objective.temperature == pytest.approx(sharpness, rel=0.15)

    def plain(temperature):
        own = (scores / temperature).log_softmax(1)
        return -sum(float(row[label]) for row, label in zip(own, targets.tolist(), strict=True))

    best = min((plain(t) + (math.log(t) / 0.3) ** 2 / 2, t) for t in np.geomspace(0.2, 6, 500))[1]
    assert objective.temperature == pytest.approx(best, rel=0.02)
    others, answers = overconfident(3000, sharpness, 1)
    before, after = (goal.measures(one.values(others), answers, ()) for one in (goal, objective))
    assert after["calibration error"] < before["calibration error"] / 2
    assert after["log-loss"] < before["log-loss"]
    assert objective.predictions(others) == goal.predictions(others)


def test_a_temperature_that_may_be_chance_is_left_out():
    kept, goal = [], lm.Classification(4)
    for seed in range(40):
        scores, targets = overconfident(50, 1.0, seed)  # the right temperature is 1
        found = goal.calibrated(scores, targets)
        rows = zip(scores.split(1), targets.split(1), strict=True)
        gains = [float(goal.loss(row, label) - goal.loss(row / found.temperature, label)) for row, label in rows]
        assert np.sum(gains) >= np.std(gains, ddof=1) * 50**0.5
        kept.append(found.temperature != 1)
    assert 0 < sum(kept) < 12


def test_a_network_of_balanced_classes_says_how_frequent_a_class_is_and_predicts_as_before():
    """Against Bayes' rule: what two normal distributions say of a number, of which the second is of 4 % of examples."""
    draw = torch.Generator().manual_seed(0)
    X = torch.randn(3000, 1, generator=draw)
    labels = (torch.arange(3000) < 120).long()
    X[:, 0] += 2 * labels
    result = lm.auto((X.numpy(), labels.numpy()), flops=(1e8, 1e8), progress=False, workers=1)
    assert result.metric == "balanced accuracy"
    assert result.objective.shift is not None
    for found in result.predict(np.array([[0.0], [1.5], [3.0]])):
        assert sum(found.values()) == pytest.approx(1)
    middle = result.predict(np.array([[1.4]]))[0]
    odds = 0.04 * math.exp(-((1.4 - 2) ** 2) / 2) / (0.96 * math.exp(-(1.4**2) / 2))
    assert list(middle) == ["1", "0"]  # as a class of equal weight is the more probable one
    assert middle["1"] == pytest.approx(odds / (1 + odds), abs=0.05)
    assert result.measures["calibration error"] < result.measures["calibration error without calibration"] / 2
    assert result.measures["log-loss"] < result.measures["log-loss without calibration"]
    with pytest.raises(ValueError, match="give a finite shift for each of the 2 classes"):
        lm.Classification(2, shift=(1.0,))


def test_few_examples_make_no_network_certain():
    scores = 4 * torch.eye(3).repeat(10, 1)
    targets = torch.arange(3).repeat(10)
    assert 0.3 < lm.Classification(3).calibrated(scores, targets).temperature < 1
    assert lm.Classification(3).calibrated(scores[:9], targets[:9]).temperature == 1
    with pytest.raises(ValueError, match="temperature = 0 must be above 0"):
        lm.Classification(3, temperature=0)


def test_all_files_of_an_export_have_the_same_probabilities(tmp_path):
    space = lm.LayeredSpace(depths=(1,), widths=(4,))
    architecture = space.sample(torch.Generator())
    network = space.child(architecture, (1, 8, 8), way=2).eval()
    goal = lm.Classification(2, "balanced accuracy", temperature=0.25, shift=(1.5, -1.5))
    given = {"architecture": architecture, "classes": ("a", "b"), "shape": (1, 8, 8)}
    lm.export_child(network, tmp_path, objective=goal, onnx=True, **given)
    images = torch.rand(3, 1, 8, 8)
    scores = network(images).detach()
    expected = (scores / 0.25 + torch.tensor([1.5, -1.5])).softmax(1)
    loaded = lm.load(tmp_path)
    assert loaded.predict(images).numpy() == pytest.approx(expected.numpy(), abs=1e-6)
    assert loaded.objective == replace(goal, temperature=1.0)
    about = json.loads((tmp_path / "model.json").read_text())
    described = {"metric": "balanced accuracy", "temperature": 0.25, "shift": [1.5, -1.5]}
    assert about["objective"] == {"kind": "classification", **described}
    said = [("a", "b")[place] for place in scores.argmax(1).tolist()]
    assert loaded.show(images) == said
    np.save(tmp_path / "inputs.npy", images.numpy())
    for model in ("model.pt2", "model.onnx"):
        rows = answers(tmp_path / "predict.py", tmp_path / "inputs.npy", "--model", model)
        assert [row["a"] for row in rows] == pytest.approx(expected[:, 0].tolist(), abs=1e-5)
        assert [next(iter(row)) for row in rows] == said  # the prediction comes first, however probable it is
    lm.export_child(network, tmp_path, objective=lm.Classification(2), **given)
    assert "objective" not in json.loads((tmp_path / "model.json").read_text())


def test_auto_and_the_classifier_give_calibrated_probabilities(tmp_path):
    draw = np.random.default_rng(0)
    y = draw.choice(3, 400)
    X = draw.normal(size=(400, 5)) + np.eye(5)[y]
    result = lm.auto((X, y), flops=(2e7, 2e7), output=tmp_path / "out", progress=False, workers=1)
    temperature = result.objective.temperature
    assert temperature != 1
    assert result.measures["temperature"] == temperature
    with torch.no_grad():
        scores = result.network(result.test.inputs).double()
    labels = result.test.labels
    for name, divided in (("log-loss", temperature), ("log-loss without calibration", 1.0)):
        expected = float(torch.nn.functional.cross_entropy(scores / divided, labels))
        assert result.measures[name] == pytest.approx(expected, rel=1e-4)
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"by a temperature of {temperature:.3g}" in card
    assert "without calibration)" in card
    again = lm.auto((X, y), flops=(2e7, 2e7), output=tmp_path / "out", progress=False, workers=1)  # from its files
    assert again.objective == result.objective
    assert again.predict(X[:3]) == result.predict(X[:3])
    found = lm.load(tmp_path / "out").predict(X[:3])
    assert found[0].tolist() == pytest.approx([result.predict(X[:1])[0][str(label)] for label in range(3)], abs=1e-5)
    classifier = lm.AutoClassifier(flops=(2e7, 2e7), workers=1).fit(X, y)
    shares = classifier.predict_proba(X[:5])
    assert classifier.objective_.temperature != 1
    classifier.export(tmp_path / "other")
    assert lm.load(tmp_path / "other").predict(X[:5]).numpy() == pytest.approx(shares, abs=1e-5)
