"""The layered space: what can be opened, fixed and restricted, its errors, and passes that it does without."""

import re

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


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernels": (3, 4)}, "kernel size 4 is not odd and positive"),
        ({"kernels": (3, 3)}, "'layer1.kernel' repeats a label: 3, 3."),
        ({"dropouts": (float("nan"),)}, "dropout nan is not a probability below 1"),
        ({"depths": (0,)}, "the least depth is 0; give at least 1."),
        ({"pools": ("stride",)}, "unknown label 'stride' of 'pools': use max, avg."),
        ({"mix": "merge"}, "unknown label 'merge' of 'mix': did you mean 'merged'?"),
        ({"fixed": {"layer1.widht": ["32"]}}, "Unknown choice 'layer1.widht': LayeredSpace has 'layer1.width'."),
        ({"fixed": {"layer1.kernel": ["33"]}}, "Choice 'layer1.kernel' has no label '33': use 3, 5, 7."),
    ],
)
def test_errors_are_one_sentence(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        LayeredSpace(**arguments)
    message = str(caught.value)
    assert message[-1] in ".?…"
    assert ". " not in message
    assert "\n" not in message
