import math

import pytest
import torch

from lit_metanas.callbacks.search_measures import entropy, gap, skip_share
from lit_metanas.spaces import Architecture, Choice


def test_entropy_of_uniform_and_decided():
    assert entropy(torch.full((4,), 0.25)) == pytest.approx(math.log(4))
    assert entropy(torch.tensor([0.0, 1.0, 0.0])) == 0


def test_share_of_skips_counts_choices_that_could_be_one():
    operations = ("sep_conv_3x3", "skip_connect", "none")
    choices = (
        Choice("edge1", operations, "edge"),
        Choice("edge2", operations, "edge"),
        Choice("layer1.skip", ("none", "residual"), "skip"),
        Choice("layer2.skip", ("none", "residual"), "skip"),
        Choice("layer1.kernel", ("3", "5"), "kernel"),
        Choice("layer3.skip", ("none",), "skip"),
    )
    labels = {"edge1": "skip_connect", "edge2": "none", "layer1.skip": "residual", "layer1.kernel": "3",
              "layer3.skip": "none"}  # fmt: skip
    assert skip_share(choices, Architecture(labels)) == pytest.approx(2 / 3)  # layer2 is inactive, layer3 fixed


def test_no_share_without_a_choice_of_skips():
    assert skip_share((Choice("kernel", ("3", "5")),), Architecture({"kernel": "3"})) is None


def test_gap_needs_both_accuracies():
    metrics = {"val/accuracy_one_hot": torch.tensor(0.5), "val/accuracy_relaxed": torch.tensor(0.75)}
    assert gap(metrics) == pytest.approx(0.25)
    assert gap({"val/accuracy_one_hot": torch.tensor(0.5)}) is None
