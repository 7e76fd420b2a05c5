"""The cost model of time: recorded work and fitted rates."""

from functools import partial

import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.training.step_time import record_work, step_seconds, step_work

IMAGES, TEXTS = lm.ImageShape(3, 16, 16), lm.TokenShape(50, 12)
SPACES = {
    "grid": (lm.GridSpace(), IMAGES),
    "layered": (lm.LayeredSpace(), IMAGES),
    "texts": (lm.default_space(TEXTS), TEXTS),
    "series": (lm.default_space(lm.SeriesShape(5, 12)), lm.SeriesShape(5, 12)),
    "rows": (lm.default_space(lm.RowShape(7)), lm.RowShape(7)),
    "pairs": (lm.EncoderDecoderSpace(lm.SequenceSpace(widths=(16,), readouts=("each",)), target_steps=6), TEXTS),
}


def drawn(space, seed=0):
    return space.sample(torch.Generator().manual_seed(seed))


def test_the_work_of_a_network_is_what_one_counts_by_hand():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),  # no gradient of its inputs: two of three passes
        nn.BatchNorm2d(8),
        nn.GELU(),
        nn.Conv2d(8, 20, 1, stride=2, bias=False),
        nn.Conv2d(20, 20, 5, padding=2, groups=20, bias=False),
        nn.Flatten(),
        nn.Linear(20 * 4, 5),
    )
    work = record_work(network, network, torch.zeros(2, 3, 4, 4))
    assert dict(work.each) == pytest.approx(
        {
            "2d colour multiply-adds": 16 * 3 * 9 * 16 * 2 / 3,  # 8 channels take as long as 16
            "2d colour values": 16 * 8,
            "batch norm values": 16 * 8,
            "curved values": 16 * 8,
            "2d pointwise multiply-adds": 4 * 16 * 32,
            "2d pointwise values": 16 * 8 + 4 * 20,
            "2d strided values": 16 * 8,
            "2d large depthwise multiply-adds": 4 * 20 * 25,
            "2d large depthwise values": 20 * (2 + 4) ** 2,
            "product multiply-adds": 80 * 16,
            "product values": 80 + 5,
        }
    )
    assert dict(work.once) == {
        "2d calls": 3,
        "product calls": 1,
        "other calls": 3,  # the norm, its count of batches, the activation
        "weight values": 1,
        "steps": 1,
        "kernels": 8 * 27 + 8 * 20 + 20 * 25,
        "parameters": 8 + 8 + 8 + 80 * 5 + 5,
        "tensors": 8,
    }


@pytest.mark.parametrize("name", SPACES)
def test_work_for_each_example_does_not_depend_on_their_number(name):
    space, shape = SPACES[name]
    for seed in range(3):
        network = space.child(drawn(space, seed), shape, 4)
        found = []
        for number in (2, 5):
            batch = lm.inputs.batches.blank_inputs(number, shape), torch.ones(number, 6, dtype=torch.int64)
            found.append(record_work(network, partial(space.training_scores, network), *batch))
        few, many = ({k: v for k, v in work.each.items() if k != "fixed values"} for work in found)
        assert few == pytest.approx(many)
        # The mask that says which steps all examples lack has no examples of its own.
        assert found[0].each.get("fixed values", 0) == pytest.approx(found[1].each.get("fixed values", 0), abs=20)
        assert found[0].once == found[1].once


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_steps_of_all_spaces_take_time_which_is_linear_in_the_batch(name, precision):
    space, shape = SPACES[name]
    before = torch.get_rng_state()
    architecture = drawn(space)
    seconds = partial(step_seconds, space, architecture, shape, 4, precision=precision)
    small, middle, large = (seconds(batch_size=size) for size in (10, 20, 30))
    assert 0 < small <= middle <= large < 10
    assert large - middle == pytest.approx(middle - small)
    assert torch.equal(torch.get_rng_state(), before)
    assert step_work(space, dict(architecture), shape, 4) is step_work(space, architecture, shape, 4)


def test_wide_networks_take_longer_but_not_as_much_longer_as_they_compute_more():
    space = lm.LayeredSpace(widths=(8, 64), depths=(3,), shared=True)
    labels = dict(drawn(space))
    narrow, wide = (space.canonical({**labels, "width": width}) for width in ("8", "64"))
    times = [step_seconds(space, one, IMAGES, 4, batch_size=64) for one in (narrow, wide)]
    flops = [space.cost(one, IMAGES, 4).flops for one in (narrow, wide)]
    assert 1 < times[1] / times[0] < flops[1] / flops[0]
