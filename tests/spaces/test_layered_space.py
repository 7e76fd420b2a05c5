"""The layered space's choices: what can be opened, fixed and restricted, and its errors."""

import re

import jsonargparse
import pytest
import torch

from lit_metanas.spaces import LayeredSpace, SearchSpace


def test_seed_space_has_54_architectures():
    space = LayeredSpace(shared=True)
    assert space.size == 54
    generator = torch.Generator().manual_seed(0)
    assert len({space.sample(generator) for _ in range(1500)}) == 54


def test_groups_tie_equal_questions():
    space = LayeredSpace(depths=(2, 4))
    assert space.size == 2 * 54**4
    by_group = {}
    for choice in space.choices:
        by_group.setdefault(choice.group, []).append(choice)
    assert {group: len(choices) for group, choices in by_group.items()} == {
        "depth": 1,
        **dict.fromkeys(("kernel", "width", "norm", "skip", "activation", "pool", "dropout"), 4),
    }
    assert all(len({choice.labels for choice in choices}) == 1 for choices in by_group.values())
    assert [c.active_if for c in by_group["pool"]] == [(), ()] + [(("depth", frozenset({"4"})),)] * 2


def test_fixed_labels_restrict_single_choices():
    space = LayeredSpace(widths=(16, 32), fixed={"layer1.width": ["16"], "depth": ["4"], "layer2.kernel": ["5", "3"]})
    labels = {choice.name: choice.labels for choice in space.choices}
    assert labels["layer1.width"] == ("16",)
    assert labels["layer2.width"] == ("16", "32")
    assert labels["layer2.kernel"] == ("3", "5")


def test_restricted_keeps_everything_else(rich_space):
    shared = rich_space.restricted({"layer2.kernel": "11", "depth": "2"})
    before = {choice.name: choice for choice in rich_space.choices}
    assert [choice.name for choice in shared.choices] == list(before)
    for choice in shared.choices:
        expected = {"layer2.kernel": ("11",), "depth": ("2",)}.get(choice.name, before[choice.name].labels)
        assert choice.labels == expected
        assert (choice.group, choice.active_if) == (before[choice.name].group, before[choice.name].active_if)
    assert (shared.mix, shared.shared) == (rich_space.mix, rich_space.shared)
    assert "layer3.kernel" not in shared.sample(torch.Generator().manual_seed(0))


def test_restricted_twice_is_restricted_to_both():
    space = LayeredSpace(shared=True, depths=(2, 3), widths=(8, 16))
    twice = space.restricted({"kernel": "5"}).restricted({"width": "8"})
    assert {c.name: c.labels for c in twice.choices if c.name in ("kernel", "width")} == {
        "kernel": ("5",),
        "width": ("8",),
    }


def test_restricted_never_widens():
    space = LayeredSpace(shared=True).restricted({"kernel": "5"})
    with pytest.raises(ValueError, match=r"Choice 'kernel' has no label '3': use 5\."):
        space.restricted({"kernel": "3"})
    with pytest.raises(ValueError, match="Unknown choice 'colour'"):
        space.restricted({"colour": "red"})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"kernels": (3, 4)}, "Kernel size 4 is not an odd positive number"),
        ({"kernels": (-3,)}, "Kernel size -3 is not an odd positive number"),
        ({"kernels": ()}, "has no candidates"),
        ({"kernels": (3, 3)}, "'layer1.kernel' repeats a label: 3, 3."),
        ({"dropouts": (1.0,)}, "Dropout 1.0 is not a probability below 1"),
        ({"dropouts": (-0.1,)}, "Dropout -0.1 is not a probability below 1"),
        ({"dropouts": (float("nan"),)}, "Dropout nan is not a probability below 1"),
        ({"dropouts": (0.2, 0.2)}, "'layer1.dropout' repeats a label"),
        ({"depths": (0,)}, "Depth 0 is not a positive number"),
        ({"depths": ()}, "'depth' has no candidates"),
        ({"widths": (8, -8)}, "Width -8 is not a positive number"),
        ({"pools": ("maxx",)}, "Unknown label 'maxx' of 'pool': did you mean 'max'?"),
        ({"pools": ("stride",)}, "Unknown label 'stride' of 'pool': use max, avg."),
        ({"activations": ("relu",)}, "Unknown label 'relu' of 'activation': did you mean 'ReLU'?"),
        ({"norms": ("bacth",)}, "Unknown label 'bacth' of 'norm': did you mean 'batch'?"),
        ({"skips": ("residul",)}, "Unknown label 'residul' of 'skip': did you mean 'residual'?"),
        ({"mix": "merge"}, "Unknown label 'merge' of 'mix': did you mean 'merged'?"),
        (
            {"fixed": {"layer1.widht": ["32"]}},
            "Unknown choice 'layer1.widht': LayeredSpace has 'layer1.width'.",
        ),
        ({"fixed": {"colour": ["red"]}}, "Unknown choice 'colour': LayeredSpace has"),
        ({"fixed": {"layer1.kernel": ["33"]}}, "Choice 'layer1.kernel' has no label '33': use 3, 5, 7."),
        ({"fixed": {"layer1.kernel": []}}, "Choice 'layer1.kernel' has no candidates"),
        (
            {"shared": True, "fixed": {"layer1.kernel": ["3"]}},
            "Unknown choice 'layer1.kernel': LayeredSpace has 'kernel'.",
        ),
    ],
)
def test_errors_are_one_sentence(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)) as caught:
        LayeredSpace(**arguments)
    message = str(caught.value)
    assert message[-1] in ".?…"
    assert ". " not in message
    assert "\n" not in message


def test_yaml_builds_a_space_by_class_path():
    parser = jsonargparse.ArgumentParser()
    parser.add_argument("--space", type=SearchSpace)
    config = parser.parse_string(
        """
        space:
          class_path: lit_metanas.spaces.LayeredSpace
          init_args:
            kernels: [3, 5]
            norms: [none, layer]
            skips: [none]
            depths: [2, 3]
            widths: [8, 16]
            mix: normalised
            fixed: {layer1.width: ["16"]}
        """
    )
    space = parser.instantiate(config).space
    assert isinstance(space, LayeredSpace)
    labels = {choice.name: choice.labels for choice in space.choices}
    assert labels["layer1.width"] == ("16",)
    assert labels["layer3.norm"] == ("none", "layer")
    assert space.mix == "normalised"
    assert (
        space.size
        == LayeredSpace(
            kernels=(3, 5),
            norms=("none", "layer"),
            depths=(2, 3),
            widths=(8, 16),
            fixed={"layer1.width": ["16"]},
        ).size
    )


def test_yaml_refuses_a_wrong_type(capsys):
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--space", type=SearchSpace)
    with pytest.raises(jsonargparse.ArgumentError, match="kernels"):
        parser.parse_string("space: {class_path: lit_metanas.spaces.LayeredSpace, init_args: {kernels: [big]}}")
    del capsys
