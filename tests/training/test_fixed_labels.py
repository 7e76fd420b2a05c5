"""Labels by choice, by group, and of choices that become inactive."""

from lit_metanas.spaces import LayeredSpace
from lit_metanas.training.architecture_logits import fixed_labels


def test_a_group_stands_for_its_choices_but_those_that_are_named():
    space = LayeredSpace(widths=(16, 32), depths=(2,))
    labels = fixed_labels({"depth": "2", "width": "32", "layer2.width": "16"}, space)
    assert labels == {"depth": "2", "layer1.width": "32", "layer2.width": "16"}


def test_a_choice_of_the_same_name_as_its_group_is_itself():
    assert fixed_labels({"kernel": "3"}, LayeredSpace(shared=True)) == {"kernel": "3"}


def test_inactive_choices_are_closed():
    labels = fixed_labels({"depth": "1"}, LayeredSpace(depths=(1, 2), widths=(8, 4)))
    assert labels["layer2.width"] == "8"
    assert "layer1.width" not in labels
