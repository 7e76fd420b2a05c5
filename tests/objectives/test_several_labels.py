"""Several labels against scikit-learn and plain loops: mAP, thresholds, temperature, loss, and how labels are read."""

from __future__ import annotations

import math
import pickle
from itertools import compress

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import average_precision_score, f1_score
from torch.utils.data import TensorDataset

import lit_metanas as lm
from lit_metanas.comparisons.class_table import ClassTable
from lit_metanas.kinds.stored_preprocessing import describe_objective, read_objective, read_preprocessing
from lit_metanas.objectives import SeveralLabels
from lit_metanas.objectives.several_labels import best_threshold, label_text, labels_of_text
from lit_metanas.records import ExampleRow, read_example_rows
from lit_metanas.records.result_files import write_example_rows
from lit_metanas.tasks.labels import are_label_sets, balanced_task, label_sets, separator_of
from lit_metanas.tasks.splits import deal_labels


def drawn(number: int, way: int, seed: int = 0, ties: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, some of them equal if ``ties``, and labels drawn by their probabilities."""
    generator = torch.Generator().manual_seed(seed)
    scores = 1.5 * torch.randn(number, way, generator=generator, dtype=torch.float64) - 1
    if ties:
        scores = (2 * scores).round() / 2
    return scores, (torch.rand(number, way, generator=generator) < scores.sigmoid()).float()


@pytest.mark.parametrize("ties", [False, True])
def test_the_metric_is_that_of_scikit_learn(ties: bool) -> None:
    scores, targets = drawn(40, 4, ties=ties)
    targets[:, 2] = 0  # left out
    objective = SeveralLabels(4)
    judged = objective.judge(objective.predictions(scores), targets)
    known = [0, 1, 3]
    assert judged.value == pytest.approx(average_precision_score(targets[:, known], scores[:, known]), abs=1e-6)
    assert 0 < judged.half < 0.3


@pytest.mark.parametrize("ties", [False, True])
def test_thresholds_have_the_highest_f1_of_all(ties: bool) -> None:
    scores, targets = drawn(60, 3, ties=ties)
    objective = SeveralLabels(3).calibrated(scores, targets)
    probabilities, said = objective.values(scores), objective.chosen(objective.predictions(scores))
    for column, threshold in enumerate(objective.cuts):
        own, meant = probabilities[:, column], targets[:, column]
        every = [f1_score(meant, own >= one) for one in [0.0, *own.tolist()]]
        assert f1_score(meant, own >= threshold) == pytest.approx(max(every))
        assert f1_score(meant, said[:, column]) == pytest.approx(max(every))
    assert best_threshold(torch.tensor([0.9, 0.3]), torch.tensor([1.0, 0.0])) == pytest.approx(0.6)


@pytest.mark.parametrize("sharpness", [3.0, 0.4])
def test_the_temperature_is_the_best_of_a_plain_search(sharpness: float) -> None:
    right, targets = drawn(400, 3, seed=4)
    scores = sharpness * right
    objective = SeveralLabels(3).calibrated(scores, targets)

    def log_loss(temperature: float) -> float:
        rows = zip((scores / temperature).flatten().tolist(), targets.flatten().tolist(), strict=True)
        return sum(math.log1p(math.exp(-score if target else score)) for score, target in rows)

    best = min((log_loss(t) + (math.log(t) / 0.3) ** 2 / 2, t) for t in np.geomspace(0.2, 6, 400))[1]
    assert objective.temperature == pytest.approx(best, rel=0.02)
    network, plain = objective.program_of(torch.nn.Identity())
    assert np.allclose(plain.predictions(network(scores)), objective.predictions(scores))
    assert plain.thresholds == objective.thresholds


def test_the_loss_is_a_mean_of_weighted_cross_entropies() -> None:
    scores, targets = drawn(7, 2)
    weights = (0.5, 4.0), (1.0, 2.0)
    losses = []
    for row in range(7):
        found = []
        for column in range(2):
            share = 1 / (1 + math.exp(-float(scores[row, column])))
            has = int(targets[row, column])
            found.append(-weights[column][has] * math.log(share if has else 1 - share))
        losses.append(sum(found) / 2)
    objective = SeveralLabels(2, weights=weights)
    assert objective.losses(scores, targets).tolist() == pytest.approx(losses)
    assert float(objective.loss(scores, targets)) == pytest.approx(sum(losses) / 7)
    with pytest.raises(ValueError, match="takes no label smoothing"):
        objective.loss(scores, targets, label_smoothing=0.1)


def test_measures_and_the_table_are_those_of_scikit_learn(tmp_path) -> None:
    scores, targets = drawn(50, 3)
    said, shares = scores.sigmoid() >= 0.4, scores.sigmoid()
    found = SeveralLabels(3, (0.4,) * 3).measures(shares, targets, ())
    assert found["micro F1"] == pytest.approx(f1_score(targets, said, average="micro"), abs=1e-6)
    assert found["macro F1"] == pytest.approx(f1_score(targets, said, average="macro"), abs=1e-6)
    assert found["exact matches"] == pytest.approx(float((said == targets).all(1).float().mean()))
    assert found["mAP of guessing"] == pytest.approx(average_precision_score(targets, torch.zeros(50, 3)), abs=1e-6)
    names = ["=red", "a,b", "p(x)"]
    rows = []
    for own, chosen, one in zip(targets.tolist(), said.tolist(), shares.float().tolist(), strict=True):
        meant, found = (label_text(compress(names, each)) for each in (own, chosen))
        rows.append(ExampleRow(str(len(rows)), meant, found, loss=0.5, shares=tuple(zip(names, one, strict=True))))
    write_example_rows(tmp_path / "rows.csv", rows)
    read = read_example_rows(tmp_path / "rows.csv")
    heading = (tmp_path / "rows.csv").read_text().splitlines()[0]
    assert heading == 'example,truth,prediction,loss,p(=red),"p(a,b)",p(p(x))'
    table = ClassTable.of(read, names)
    assert (table.names, table.examples.tolist()) == (tuple(names), targets.sum(0).tolist())
    for column in range(3):
        alone = average_precision_score(targets[:, column], scores[:, column])
        assert float(table.average_precision[column]) == pytest.approx(alone, abs=1e-5)
    assert [labels_of_text(text) for text in (label_text([]), "red; round")] == [frozenset(), {"red", "round"}]


def test_an_objective_is_the_same_after_files_and_pickles() -> None:
    objective = SeveralLabels(2, thresholds=(0.25, 0.75), temperature=1.5)
    plain = describe_objective(objective)
    assert read_objective(plain, 2, read_preprocessing) == objective == pickle.loads(pickle.dumps(objective))
    for wrong in ({"thresholds": [0.5]}, {"thresholds": [0.5, 2]}, {"thresholds": [0.5, "x"]}, {"temperature": 0}):
        with pytest.raises(ValueError, match=r"threshold|temperature"):
            read_objective({**plain, **wrong}, 2, read_preprocessing)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["red;round", "red", "", "round;red"], [{"red", "round"}, {"red"}, set(), {"red", "round"}]),
        (["red |round", "red", None, "round"], [{"red", "round"}, {"red"}, set(), {"round"}]),
        (["red;", "round;", ";"], [{"red"}, {"round"}, set()]),
        ([["red", " round"], [], {"red"}], [{"red", "round"}, set(), {"red"}]),
        (np.array([[1, 0], [0, 0], [1, 1]]), [{0}, set(), {0, 1}]),
        (np.array([[1, 0], [0, 0]], dtype=object), [{0}, set()]),
        (torch.tensor([[True, False], [True, True]]), [{0}, {0, 1}]),
        ([[1, 0], [0, 0], [1, 1]], [{0}, set(), {0, 1}]),
        ([["red", "round"], ["soft", "red"]], [{"red", "round"}, {"red", "soft"}]),
        ([["red"], 3], [{"red"}, {3}]),
        ([torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])], [{0}, {1}]),
    ],
)
def test_sets_of_labels_are_known_by_their_look(labels, expected) -> None:
    assert are_label_sets(labels)
    assert label_sets(labels, len(labels), separator=separator_of(labels)) == list(map(set, expected))


def test_each_part_has_its_share_of_each_class() -> None:
    draw = np.random.default_rng(0)
    shares = np.array([0.5, 0.2, 0.05, 0.03, 0.02])
    targets = torch.from_numpy(draw.random((400, 5)) < shares).float()
    parts = deal_labels(targets, train=None, val=0.2, test=0.3, seed=3, culprit=str)
    assert sorted(torch.cat(parts).tolist()) == list(range(400))
    for part, share in zip(parts, (0.5, 0.2, 0.3), strict=True):
        assert abs(len(part) - 400 * share) <= 4
        gaps = targets[part].sum(0) - share * targets.sum(0)
        assert float(gaps.abs().max()) <= 2.5
    others = deal_labels(targets, train=None, val=0.2, test=0.3, seed=4, culprit=str)
    assert [own.tolist() for own in parts] != [own.tolist() for own in others]
    few = deal_labels(targets, train=0.1, val=0.1, test=0.1, seed=0, culprit=str)
    assert all(35 <= len(own) <= 50 and bool(targets[own].any(0).all()) for own in few)
    targets[:, 4] = 0
    targets[:2, 4] = 1
    with pytest.raises(ValueError, match="4 has 2 examples, too few for a train, val and test part"):
        deal_labels(targets, train=None, val=0.2, test=0.2, seed=0, culprit=str)


def test_tasks_of_arrays_texts_series_and_data_sets() -> None:
    draw = np.random.default_rng(0)
    y = (draw.random((40, 3)) < 0.4).astype(int)
    sets = [[name for name, has in zip(("red", "round", "soft"), own, strict=True) if has] for own in y]
    rows, images = draw.normal(size=(40, 4)), draw.random((40, 8, 8))
    texts = [f"a toy that is {' and '.join(own)} {place}" for place, own in enumerate(sets)]
    for task in (
        lm.task_from_arrays(rows, sets),
        lm.task_from_arrays(images, y, classes=["red", "round", "soft"]),
        lm.task_from_arrays(rows, ["|".join(own) for own in sets]),
        lm.task_from_texts(texts, [",".join(own) for own in sets], targets="several labels"),
        lm.task_from_texts(texts, list(map(set, sets))),
        lm.task_from_arrays(rows, csr_matrix(y), classes=["red", "round", "soft"]),
        lm.kinds.task_from_series(draw.normal(size=(40, 2, 9)), sets),
        lm.task_from_dataset(TensorDataset(torch.rand(40, 1, 8, 8), torch.tensor(y)), classes=["red", "round", "soft"]),
    ):
        assert (task.goal, task.classes) == (SeveralLabels(3), ("red", "round", "soft"))
        every = torch.cat([task.train.labels, task.val.labels, task.test.labels])
        assert sorted(every.tolist()) == sorted(y.tolist())
    grouped = lm.task_from_arrays(rows, sets, group=[f"g{place // 4}" for place in range(40)])
    assert all(int(name) // 4 in {int(other) // 4 for other in grouped.test_names} for name in grouped.test_names)
    assert len(grouped.test) % 4 == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["red"], ["red"], []] * 4, "All rows have the label 'red'"),
        ([["red", None], ["round"]] * 6, "Label 0 in y holds 'None', which is no name"),
        ([["red;round"], ["soft"]] * 6, "A label is called 'red;round', and ';' stands between labels"),
        ([["red"], ["round"], []], "There are 12 rows, but y has labels for 3"),
        ([["red"], ["round"]] * 5 + [["soft"], []], "Class 'soft' has 1 example, too few"),
    ],
)
def test_one_sentence_names_what_is_wrong_with_labels(labels, message) -> None:
    with pytest.raises(ValueError, match=message):
        lm.task_from_arrays(np.zeros((12, 2)), labels)


def test_weights_of_classes() -> None:
    y = (np.arange(40)[:, None] % [2, 4] == 0).astype(int)
    task = lm.task_from_arrays(np.random.default_rng(0).normal(size=(40, 2)), y)
    balanced, _ = balanced_task(task, None, "balanced")
    number, own = len(task.train), task.train.labels.sum(0).tolist()
    expected = [(number / (2 * (number - one)), number / (2 * one)) for one in own]
    assert np.allclose(balanced.goal.weights, expected)
    assert balanced_task(task, "mAP", {"1": 3})[0].goal.weights == ((1, 1), (1, 3))
