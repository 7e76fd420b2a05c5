"""The share of right answers against counting one by one."""

import pytest
import torch

from lit_metanas.objectives.classification import Classification
from lit_metanas.tasks import Split
from lit_metanas.training.child import judge


@pytest.mark.parametrize("batch_size", [1, 4, 7, 500])
def test_it_is_a_count_whatever_the_batches(batch_size):
    generator = torch.Generator().manual_seed(0)
    inputs, labels = torch.rand(11, 3, generator=generator), torch.randint(0, 3, (11,), generator=generator)
    sizes = []

    def scores(batch):
        sizes.append(len(batch))
        return batch

    expected = sum(
        max(range(3), key=row.__getitem__) == label for row, label in zip(inputs.tolist(), labels.tolist(), strict=True)
    )
    assert 0 < expected < 11
    _, judged = judge(scores, Split(inputs, labels), Classification(3), batch_size=batch_size)
    assert judged.value == expected / 11
    assert max(sizes) <= batch_size
    assert sum(sizes) == 11
