"""Metrics by their names in torchmetrics and scikit-learn: scikit-learn's values, from the objective to ``auto``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics

import lit_metanas as lm
from lit_metanas.kinds.stored_preprocessing import describe_objective, read_objective, read_preprocessing
from lit_metanas.objectives import SeveralLabels
from lit_metanas.objectives.metric_table import class_metrics
from lit_metanas.objectives.objective import LeftOut


def drawn(way: int, number: int = 90) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Scores, labels that they say something of, and probabilities."""
    draw = torch.Generator().manual_seed(way)
    labels = torch.randint(0, way, (number,), generator=draw)
    scores = torch.randn(number, way, generator=draw, dtype=torch.float64) + torch.eye(way)[labels]
    return scores, labels.numpy(), scores.softmax(1).numpy()


def of_classes(metric: Any, **options: Any) -> Any:
    return lambda y, p: metric(y, p.argmax(1), **options)


@pytest.mark.parametrize(
    ("ways", "name", "of"),
    [
        ((2, 4), "balanced_accuracy", of_classes(metrics.balanced_accuracy_score)),
        ((2, 4), "MulticlassAccuracy", of_classes(metrics.balanced_accuracy_score)),
        ((2, 4), "f1_micro", of_classes(metrics.accuracy_score)),
        ((2, 4), "f1_macro", of_classes(metrics.f1_score, average="macro")),
        ((2, 4), "MulticlassF1Score", of_classes(metrics.f1_score, average="macro")),
        ((2, 4), "f1_weighted", of_classes(metrics.f1_score, average="weighted")),
        ((2, 4), "precision_macro", of_classes(metrics.precision_score, average="macro")),
        ((2, 4), "jaccard_weighted", of_classes(metrics.jaccard_score, average="weighted")),
        ((2, 4), "matthews_corrcoef", of_classes(metrics.matthews_corrcoef)),
        ((2, 4), "CohenKappa", of_classes(metrics.cohen_kappa_score)),
        ((2,), "roc_auc", lambda y, p: metrics.roc_auc_score(y, p[:, 1])),
        ((4,), "MulticlassAUROC", lambda y, p: metrics.roc_auc_score(y, p, multi_class="ovr")),
        ((2,), "average_precision", lambda y, p: metrics.average_precision_score(y, p[:, 1])),
        ((4,), "average precision", metrics.average_precision_score),
        ((2,), "f1", of_classes(metrics.f1_score)),
        ((2,), "BinaryRecall", of_classes(metrics.recall_score)),
        ((4,), "precision", of_classes(metrics.precision_score, average="macro")),
        ((2, 4), "neg_log_loss", metrics.d2_log_loss_score),
        ((4,), "log-loss skill", metrics.d2_log_loss_score),
    ],
)
def test_metrics_of_classes_are_those_of_scikit_learn(ways: tuple[int, ...], name: str, of: Any) -> None:
    for way in ways:
        scores, labels, shares = drawn(way)
        objective = lm.Classification(way, name)
        judged = objective.judge(objective.evidence(scores), torch.from_numpy(labels))
        assert judged.value == pytest.approx(of(labels, shares), abs=1e-6)
        assert 0 < judged.half < 0.4
        assert read_objective(describe_objective(objective), way, read_preprocessing) == objective


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("f1_micro", lambda y, said, p: metrics.f1_score(y, said, average="micro")),
        ("MultilabelF1Score", lambda y, said, p: metrics.f1_score(y, said, average="macro")),
        ("jaccard_macro", lambda y, said, p: metrics.jaccard_score(y, said, average="macro")),
        ("accuracy", lambda y, said, p: metrics.accuracy_score(y, said)),
        ("roc_auc", lambda y, said, p: metrics.roc_auc_score(y, p)),
        ("average_precision", lambda y, said, p: metrics.average_precision_score(y, p)),
    ],
)
def test_metrics_of_several_labels_are_those_of_scikit_learn(name: str, of: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    targets = (torch.rand(60, 3, generator=draw) < 0.4).float()
    scores = 2 * torch.randn(60, 3, generator=draw) + 3 * targets - 1
    objective = SeveralLabels(3, (0.5, 0.3, 0.6), metric=name)
    said, shares = objective.chosen(objective.predictions(scores)), scores.double().sigmoid()
    judged = objective.judge(objective.evidence(scores), targets)
    assert judged.value == pytest.approx(of(targets.numpy(), said.numpy(), shares.numpy()), abs=1e-6)
    assert read_objective(describe_objective(objective), 3, read_preprocessing) == objective


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("neg_mean_squared_error", metrics.r2_score),
        ("rmse", lambda y, said: 1 - metrics.root_mean_squared_error(y, said) / y.std()),
        ("neg_mean_absolute_error", metrics.d2_absolute_error_score),
        ("explained_variance", metrics.explained_variance_score),
        ("PearsonCorrCoef", lambda y, said: np.corrcoef(y, said)[0, 1]),
    ],
)
def test_metrics_of_numbers_are_those_of_scikit_learn_and_their_mean(name: str, of: Any) -> None:
    draw = np.random.default_rng(0)
    truth = draw.normal(size=(40, 2)) * 10 + 50
    said = truth + draw.normal(size=(40, 2)) * 5 + 2
    objective = lm.Regression((50.0, 50.0), (10.0, 10.0), metric=name)
    judged = objective.judge([*map(tuple, said)], torch.from_numpy(truth))
    columns = [of(truth[:, place], said[:, place]) for place in range(2)]
    assert judged.value == pytest.approx(np.mean(columns), abs=1e-5)
    assert read_objective(describe_objective(objective), 2, read_preprocessing) == objective


def test_an_interval_is_measured_where_it_is_asked_for() -> None:
    measured: list[int] = []
    judged = LeftOut(lambda at: measured.append(len(at)) or 0.5, 100)
    assert (judged.value, measured) == (0.5, [100])
    assert judged.half == pytest.approx(0, abs=1e-9)
    assert measured[1:] == [98] * 50
    assert math.isnan(LeftOut(lambda at: 0.5, 1).half)


def test_a_metric_that_the_objective_lacks_gets_a_sentence() -> None:
    for objective, name, sentence in (
        (lm.Classification(3), "r2", "There is no metric 'r2' for 3 classes: give accuracy, balanced accuracy, "),
        (SeveralLabels(3), "log_loss", "There is no metric 'log_loss' for several labels: give mAP, micro F1, "),
        (lm.Regression((0.0,), (1.0,)), "f1", "no metric 'f1' for numbers: give R2, RMSE skill, .* or Spearman"),
        (lm.Classification(2), metrics.make_scorer(metrics.f1_score), "is no name: give one as a text"),
        (lm.Span(), "f1", "Span is judged by span F1 alone: leave 'metric' out"),
    ):
        with pytest.raises(ValueError, match=sentence):
            objective.judged_by(name)  # type: ignore[arg-type]
    for way in (2, 3):  # each name means one thing
        names = [alias for one in class_metrics(way).values() for alias in one.aliases]
        assert len(names) == len({*names})


def test_a_search_chooses_by_it_and_reports_it(tmp_path: Any) -> None:
    X = np.random.default_rng(0).normal(size=(120, 2))
    y = np.where(X[:, 0] + X[:, 1] > 0.5, "yes", "no")
    found = lm.auto((X, y), metric="roc_auc", flops=2e7, output=tmp_path / "out", progress=False, workers=1)
    assert found.metric == "AUROC"
    assert found.test_score == pytest.approx(found.measures["AUROC"], abs=1e-6)
    assert "test AUROC: " in repr(found)
    assert "test AUROC" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert '"metric": "AUROC"' in (tmp_path / "out" / "results.json").read_text(encoding="utf-8")
    numbers = lm.AutoRegressor(metric="neg_mean_absolute_error", flops=1e6, recipe=lm.Recipe(epochs=2)).fit(X, X[:, 0])
    assert numbers.objective_.metric == "MAE skill"
    assert np.isfinite(numbers.val_score_)
    sentence = r"sample = 0\.5 is a share of files of images or sounds, and the data are none"
    with pytest.raises(ValueError, match=sentence):
        lm.auto((X, y), sample=0.5, flops=2e7, progress=False)
