import math

import pytest
import torch

from lit_metanas.callbacks.search_measures import entropy, gap


def test_entropy_of_uniform_and_decided():
    assert entropy(torch.full((4,), 0.25)) == pytest.approx(math.log(4))
    assert entropy(torch.tensor([0.0, 1.0, 0.0])) == 0


def test_gap_needs_both_accuracies():
    metrics = {"val/accuracy_one_hot": torch.tensor(0.5), "val/accuracy_relaxed": torch.tensor(0.75)}
    assert gap(metrics) == pytest.approx(0.25)
    assert gap({"val/accuracy_one_hot": torch.tensor(0.5)}) is None
