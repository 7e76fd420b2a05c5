"""What a child of one width has learned is inherited by those of all widths."""

import pytest
import torch

from lit_metanas.estimators import fresh_weights, overlay
from lit_metanas.spaces import LayeredSpace, NASBench101

SHAPE = (1, 8, 8)


@pytest.mark.parametrize(
    "space",
    [
        LayeredSpace(kernels=(3,), depths=(1, 2), widths=(4, 8, 6), dropouts=(0.0,), skips=("none", "residual")),
        NASBench101(vertices=5, channels=6, stacks=1, cells=1, merge_isomorphs=False),
    ],
    ids=lambda space: space.name,
)
def test_children_inherit_from_narrower_and_wider_ones(space):
    generator = torch.Generator().manual_seed(0)
    base = fresh_weights(space, SHAPE, 0)
    images = torch.rand(5, *SHAPE, generator=generator)
    extended = 0
    for _ in range(12):
        first = space.child(space.sample(generator), SHAPE, 3)
        first(images)  # moves the running statistics
        learned = space.supernet_weights(first)
        second = space.child(space.sample(generator), SHAPE, 3, overlay(base, learned))
        for name, tensor in space.supernet_weights(second).items():
            known = learned.get(name)
            if name.endswith((".mean", ".var")):
                fresh = 0.0 if name.endswith("mean") else 1.0
                length = 0 if known is None else min(len(known), len(tensor))
                assert known is None or torch.equal(tensor[:length], known[:length])
                assert (tensor[length:] == fresh).all()
                extended += 0 < length < len(tensor)
            elif not name.startswith("head"):
                assert torch.equal(tensor, overlay(base, learned)[name][tuple(map(slice, tensor.shape))])
        assert second.eval()(images).isfinite().all()
    assert extended
