"""The cost model of time: recorded work, fitted rates, and the file of a machine."""

import json
from functools import partial
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

import lit_metanas as lm
from lit_metanas.training.step_time import (
    StepTimes,
    machine_rates,
    machine_times,
    nominal_times,
    step_seconds,
    step_work,
)
from lit_metanas.training.step_time.recorded_work import record_work
from lit_metanas.training.step_time.step_rates import fit_rates, nonnegative_least_squares

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
    architecture, times = drawn(space), nominal_times(precision)
    small, middle, large = (
        step_seconds(space, architecture, shape, 4, batch_size=size, times=times) for size in (10, 20, 30)
    )
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


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="32-true and bf16-mixed, and the precision is 'fp8'"):
        nominal_times("fp8")


def least_by_subsets(matrix, values):
    """The best of all solutions with some free elements, the others zero."""
    best, number = (np.sum(values**2), np.zeros(matrix.shape[1])), matrix.shape[1]
    for size in range(1, number + 1):
        for free in map(list, combinations(range(number), size)):
            found = np.zeros(number)
            found[free] = np.linalg.lstsq(matrix[:, free], values)[0]
            if found.min() >= 0:
                best = min(best, (np.sum((matrix @ found - values) ** 2), found), key=lambda pair: pair[0])
    return best[1]


@pytest.mark.parametrize("seed", range(20))
def test_nonnegative_least_squares_finds_the_best_of_all_subsets(seed):
    draw = np.random.default_rng(seed)
    matrix, values = draw.normal(size=(12, 6)) + 0.5 * (seed % 3), draw.normal(size=12)
    np.testing.assert_allclose(nonnegative_least_squares(matrix, values), least_by_subsets(matrix, values), atol=1e-9)


def test_rates_are_found_again_and_none_is_negative():
    draw = np.random.default_rng(0)
    rates = {"calls": 1e-5, "values": 2e-9, "products": 3e-11, "none": 0.0}
    works = [{"calls": a, "values": b * 1e6, "products": c * 1e9, "none": d} for a, b, c, d in draw.random((30, 4))]
    seconds = [StepTimes(rates).seconds(work) for work in works]
    assert fit_rates(works, seconds) == pytest.approx(rates, abs=1e-15)
    noisy = fit_rates(works, [one * draw.uniform(0.8, 1.2) for one in seconds])
    assert min(noisy.values()) >= 0
    assert noisy["values"] == pytest.approx(2e-9, rel=0.2)


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """How often the machine was measured; the folder for caches is a new one."""
    monkeypatch.setenv("LIT_METANAS_CACHE", str(tmp_path))
    calls = []

    def measure(precision, *, clock):
        calls.append(precision)
        return dict.fromkeys(machine_rates.WORK_GROUPS, 2.0 * len(calls))

    monkeypatch.setattr(machine_rates, "measure_ratios", measure)
    return calls


def test_a_machine_is_measured_once_for_each_precision_and_number_of_threads(measured, tmp_path):
    nominal = nominal_times().rates
    assert machine_times().rates == machine_times().rates == {kind: 2 * rate for kind, rate in nominal.items()}
    machine_times("bf16-mixed")
    machine_times(threads=2)
    machine_times(threads=2)
    assert measured == ["32-true", "bf16-mixed", "32-true"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"ratios": 3}', '{"ratios": {"calls": 1}}', "negative", "zero", "text"]
)
def test_a_damaged_file_is_measured_anew(content, measured, tmp_path):
    machine_times()
    (path,) = tmp_path.iterdir()
    kept = path.read_text()
    for word, value in {"negative": -1.0, "zero": 0.0, "text": "fast"}.items():
        if content == word:
            content = json.dumps({"ratios": dict.fromkeys(machine_rates.WORK_GROUPS, value)})
    path.write_text(content)
    assert machine_times().rates == {kind: 4 * rate for kind, rate in nominal_times().rates.items()}
    assert len(measured) == 2
    assert machine_times().rates == {kind: 4 * rate for kind, rate in nominal_times().rates.items()}
    assert len(path.read_text()) == len(kept)


def test_where_nothing_can_be_written_each_call_measures(measured, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIT_METANAS_CACHE", str(tmp_path / "file"))
    machine_times()
    machine_times()
    assert len(measured) == 2


def test_every_kind_of_work_is_in_a_group():
    kinds = {kind for precision in ("32-true", "bf16-mixed") for kind in nominal_times(precision).rates}
    for space, shape in SPACES.values():
        kinds |= step_work(space, drawn(space), shape, 4).total(1).keys()
    assert {machine_rates.work_group(kind) for kind in kinds} == set(machine_rates.WORK_GROUPS)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_machine_is_compared_by_groups_of_work(precision, monkeypatch):
    nominal = nominal_times(precision)
    seconds = iter(2 * one for one in nominal.probes)
    monkeypatch.setattr(machine_rates, "fastest_step", lambda *args, **kwargs: next(seconds))
    assert machine_rates.measure_ratios(precision) == pytest.approx(dict.fromkeys(machine_rates.WORK_GROUPS, 2.0))


def test_a_machine_whose_products_alone_are_slow_is_found_out(monkeypatch):
    nominal = nominal_times()
    slow = {
        kind: rate * (1 + 9 * (machine_rates.work_group(kind) == "products")) for kind, rate in nominal.rates.items()
    }
    works = [record_work(own, own, inputs[:2]).total(len(inputs)) for own, inputs in machine_rates.timed_networks()]
    shares = [StepTimes(slow).seconds(work) / nominal.seconds(work) for work in works]
    seconds = iter(share * one for share, one in zip(shares, nominal.probes, strict=True))
    monkeypatch.setattr(machine_rates, "fastest_step", lambda *args, **kwargs: next(seconds))
    ratios = machine_rates.measure_ratios("32-true")
    assert max(ratios, key=ratios.get) == "products"
    assert 5 < ratios["products"] < 15


def test_the_fastest_step_but_the_first_is_timed_and_trains():
    ticks = iter([0.0, 0.01, 1.0, 1.09, 2.0, 2.05, 3.0, 3.2, 4.0])
    network = nn.Linear(4, 3)
    before = network.weight.detach().clone()
    found = machine_rates.fastest_step(network, torch.rand(8, 4), "bf16-mixed", clock=lambda: next(ticks))
    assert found == pytest.approx(0.05)
    assert next(ticks) == 4.0  # after 0.35 seconds it has taken long enough
    assert not torch.equal(network.weight, before)
