"""The layered space: what can be opened, fixed and restricted, its errors, and passes that it does without."""

import pytest

from lit_metanas.spaces import LayeredSpace


def test_fixed_labels_restrict_single_choices():
    space = LayeredSpace(widths=(16, 32), fixed={"layer1.width": ["16"], "depth": ["4"], "layer2.kernel": ["5", "3"]})
    labels = {choice.name: choice.labels for choice in space.choices}
    assert labels["layer1.width"] == ("16",)
    assert labels["layer2.width"] == ("16", "32")
    assert labels["layer2.kernel"] == ("3", "5")


def test_restricted_never_widens():
    space = LayeredSpace(shared=True).restricted({"kernel": "5"})
    with pytest.raises(ValueError, match=r"Choice 'kernel' has no label '3': use 5\."):
        space.restricted({"kernel": "3"})
    with pytest.raises(ValueError, match="Unknown choice 'colour'"):
        space.restricted({"colour": "red"})
