"""What the parts of tasks, their labels and their targets cannot be gets one sentence."""

from functools import partial

import numpy as np
import pytest
import torch

import lit_metanas as lm
from lit_metanas.objectives import SeveralLabels
from lit_metanas.tasks import labels, number_targets, source, splits
from lit_metanas.tasks.task import Portion

LISTS = dict.fromkeys(splits.SUBSETS)
class_subsets = partial(splits.class_subsets, ["a", "b"], owner="Toys", place="toys", fractions=(0.5, 0.5, 0), seed=0)
PART = lm.Split(torch.zeros(2, 3), torch.tensor([0, 1]))
SPREAD = {name: [f"{name}{n}" for n in range(2)] for name in "abcdefghijklmnop"}
LONE = {"a": [0, 1], "b": [2, 3], **{str(n): [n] for n in range(4, 9)}}
TWO, ONE = SeveralLabels(2), lm.Regression((0.0,), (1.0,))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: labels.label_list(np.zeros((3, 2)), 3), r"y has shape \(3, 2\): give one label an image, shape"),
        (lambda: labels.label_list([1, torch.zeros(2)], 2), "Label 1 in y is a Tensor: give a number or a name"),
        (lambda: labels.class_names([], None), "There are no images: give some of two or more classes"),
        (lambda: labels.label_sets(np.eye(2) * 2, 2, separator=";"), "y has values that are neither 0 nor 1: give 1"),
        (lambda: splits.check_shares("Toys", val=0.2, test=0.2, seed=-1), "Toys: seed = -1 must be at least 0"),
        (lambda: splits.large_classes(LONE, True, "t.csv"), "min_per_class = True must be a whole number of at least"),
        (lambda: splits.large_classes(LONE, 2, "t.csv"), "Most examples of t.csv are of classes with fewer than 2 ex"),
        (lambda: splits.deal_groups(SPREAD, train=0.1, val=0, test=0.8, seed=0, culprit="Class {}".format),
         "Class a has too few groups to be learned and tested: add some"),
        (lambda: class_subsets(LISTS, seed=-1), "Toys: seed = -1 must be at least 0"),
        (lambda: class_subsets(LISTS, fractions=(0.5, 0.6, 0)), r"fractions = \(0.5, 0.6, 0\) must be .* sum to 1"),
        (lambda: class_subsets({**LISTS, "train": ["a"], "test": ["a"]}), "'a' of toys is named in train and in test"),
        (lambda: number_targets.number_targets(np.zeros((2, 1, 1)), 2), r"y has shape \(2, 1, 1\): give one number"),
        (lambda: number_targets.number_targets([1.5], 2), "There are 2 rows, but y has 1 target: give as many"),
        (lambda: lm.task_from_arrays(np.zeros((0, 3)), [], targets="regression"), "y has no targets: give some rows"),
        (lambda: number_targets.number_targets([1e39, 1.0], 2), "y has a number beyond 3.4e38: give all in a larger"),
        (lambda: lm.Task("x", 2, PART, None, PART, objective=lm.Classification(3)), "way = 2, but an objective with 3"),
        (lambda: lm.Task("x", 2, PART, None, PART, ("a", "\ud800")), "is called '.*', which is not UTF-8: rename it"),
        (lambda: source.check_source(3), r"source is a int, .* make one by lm.kinds.ArraySource\(images, labels\)"),
        (lambda: SeveralLabels(2, (0.5,)), "give a threshold, and two weights, for each of the 2 classes"),
        (lambda: TWO.check_targets("It", torch.zeros(2, 3)), r"It has targets of shape \(2, 3\): give \(n, 2\)"),
        (lambda: TWO.check_targets("It", torch.full((2, 2), 0.5)), "It has targets that are neither 0 nor 1"),
        (lambda: TWO.check_targets("It", torch.zeros(2, 2)), "It has no label at all: give it examples of some"),
        (lambda: ONE.check_targets("It", torch.zeros(2)), r"It has targets of shape \(2,\): give \(n, 1\)"),
        (lambda: ONE.check_targets("It", torch.full((2, 1), np.nan)), "It has targets that are not finite: leave"),
        (lambda: lm.Span.from_plain({"longest": 3}, 1, None), "it is a span with 1 class"),
        (lambda: lm.Transcription.from_plain({}, 0, None), "it is a transcription without symbols"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_what_is_left_as_it_is():
    assert Portion(PART, torch.tensor([0, 1])).portion(2).places.tolist() == [0, 1]
    assert TWO.calibrated(torch.zeros(3, 2), torch.zeros(3, 2)) == TWO
    assert TWO.calibrated(torch.zeros(40, 2) - 1, torch.zeros(40, 2)).thresholds == (0.5, 0.5)
    assert lm.Transcription(2).judged_by("word accuracy") == lm.Transcription(2)
    weighted = lm.Task("x", 2, lm.Split(PART.inputs, PART.labels, torch.ones(2)), None, PART)
    assert labels.natural_goal(weighted) == weighted.goal
    assert number_targets.learned_as([f"{n} kg" for n in range(20)] * 3, None) == "classification"
    dealt = splits.deal_groups({"a": [*"uvwx"]}, train=0.25, val=0, test=0.25, seed=0, culprit=str)
    assert {*dealt.values()} == {"train", "test", None}
    judged = lm.Regression((1.0,), (1.0,), metric="Pearson").judge([(2.0,)] * 2, torch.tensor([[1.0], [2.0]]))
    assert judged.value == 0
    with pytest.warns(UserWarning, match="'t.csv' has the label 'NA' in 1 row, and it becomes a class"):
        labels.warn_of_missing(["NA", "b"], "t.csv", "row")
