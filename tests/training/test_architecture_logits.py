"""The logits as one vector: prior, pruning, inheritance, fixed labels."""

import torch

from lit_metanas.relaxations import PRUNED
from lit_metanas.spaces import Choice, LayeredSpace
from lit_metanas.training.architecture_logits import ArchitectureLogits, fixed_labels

CHOICES = (
    Choice("a.kernel", ("1", "3", "5"), "kernel"),
    Choice("b.kernel", ("1", "3", "5"), "kernel"),
    Choice("depth", ("2",), "depth"),
    Choice("b.pool", ("max", "avg"), "pool"),
)


def set_values(logits, *rows):
    with torch.no_grad():
        logits.values.copy_(torch.tensor([value for row in rows for value in row]))


def test_the_name_of_a_choice_goes_before_its_group():
    logits = ArchitectureLogits(CHOICES, prior={"kernel": "3", "b.kernel": "5", "depth": "4"}, strength=2.0)
    assert logits.tree()["depth"].tolist() == [0]  # a prior says nothing to a settled choice
    assert logits.tree()["a.kernel"].tolist() == [0, 2, 0]
    assert logits.tree()["b.kernel"].tolist() == [0, 0, 2]
    assert logits.tree()["b.pool"].tolist() == [0, 0]


def test_pruning():
    logits = ArchitectureLogits(CHOICES)
    set_values(logits, (0, 0, 0), (3, 0, -1), (0,), (1, 0))
    logits.prune(0.2)
    assert logits.pruned.tolist() == [False] * 3 + [False, True, True] + [False] + [False] * 2
    set_values(logits, (0, 0, 0), (-5, 9, 9), (0,), (9, -9))
    assert logits.tree()["b.kernel"].tolist() == [-5, PRUNED, PRUNED]
    assert logits.probabilities()["b.kernel"].tolist() == [1, 0, 0]
    assert logits.flat({name: torch.ones_like(row) for name, row in logits.tree().items()}).tolist() == [
        1, 1, 1, 1, 0, 0, 1, 1, 1,
    ]  # fmt: skip
    logits.prune(0.2)  # what was pruned stays so
    assert logits.pruned.tolist() == [False] * 3 + [False, True, True] + [False] + [False, True]
    assert logits.open
    logits.prune(1.0)
    assert logits.open  # three equally likely candidates: all of them are the likeliest
    set_values(logits, (0, 0, 1), (-5, 9, 9), (0,), (9, -9))
    logits.prune(1.0)
    assert not logits.open


def test_inheritance_goes_by_label():
    theirs = {"a.kernel": ["5", "7", "1"], "b.pool": ["avg", "max"], "other": ["x"]}
    logits = ArchitectureLogits(CHOICES)
    logits.inherit(theirs, {"a.kernel": torch.tensor([5.0, 7.0, 1.0]), "b.pool": torch.tensor([2.0, PRUNED])})
    assert logits.tree()["a.kernel"].tolist() == [1, 0, 5]
    assert logits.tree()["b.pool"].tolist() == [PRUNED, 2]
    assert logits.pruned.tolist() == [False] * 7 + [True, False]


def test_a_choice_whose_candidates_were_all_pruned_is_open_again():
    logits = ArchitectureLogits((Choice("b.pool", ("max",), "pool"), Choice("c.pool", ("max", "min"), "pool")))
    pruned = torch.tensor([PRUNED, PRUNED])
    logits.inherit({"b.pool": ["max", "avg"], "c.pool": ["max", "min"]}, {"b.pool": pruned, "c.pool": pruned})
    assert {name: row.tolist() for name, row in logits.probabilities().items()} == {"b.pool": [1], "c.pool": [0.5, 0.5]}


def test_a_group_stands_for_its_choices_but_those_that_are_named():
    space = LayeredSpace(widths=(16, 32), depths=(2,))
    labels = fixed_labels({"depth": "2", "width": "32", "layer2.width": "16"}, space)
    assert labels == {"depth": "2", "layer1.width": "32", "layer2.width": "16"}


def test_inactive_choices_are_closed():
    labels = fixed_labels({"depth": "1"}, LayeredSpace(depths=(1, 2), widths=(8, 4)))
    assert labels["layer2.width"] == "8"
    assert "layer1.width" not in labels
