"""The guarded portfolio against plain loops on what was kept, and the comparison on glyphs on rows that are made up."""

import json
import math

import numpy as np
import pytest


@pytest.fixture
def module(load):
    return load("guarded_stream")


@pytest.mark.parametrize("number", [38, 75, 91, 128])
def test_the_number_of_examples_is_told_by_shares_of_four_digits(module, number):
    draw = np.random.default_rng(number)
    shares = [round(float(count) / number, 4) for count in draw.integers(0, number + 1, size=40)]
    assert module.examples_of(shares) == number
    with pytest.raises(ValueError, match="no shares of 1,000 examples"):
        module.examples_of([0.1234, 0.4444, 0.3333, 0.7071, 0.5772, 0.6931])


def test_the_kept_table_is_what_plain_loops_make_of_the_kept_searches(module):
    """For each task and seed a walk over the children in order; nothing of the script but the names of tasks."""
    head, *lines = (module.RESULTS / "pool.jsonl").read_text().splitlines()
    members = len(json.loads(head)["pairs"])
    val, test = {}, {}
    for line in lines:
        task, member, _, own_val, own_test, _ = json.loads(line)
        val[task, member], test[task, member] = own_val, own_test
    orders = json.loads((module.RESULTS / "replays.json").read_text())["orders"]["portfolio"]
    kept = json.loads((module.RESULTS / "guarded.json").read_text())
    tasks = list(kept["examples"])
    assert len(tasks) == len(orders) == 24
    for row in kept["rows"]:
        accuracies, gains, left, worse = [], [], 0, 0
        for task, by_seed in zip(tasks, orders, strict=True):
            others = [other for other in tasks if other.split("/")[0] != task.split("/")[0]]
            means = [sum(val[other, member] for other in others) / len(others) for member in range(members)]
            one = means.index(max(means))
            for order in by_seed:
                used, best = one, val[task, one]
                for member in [one, *(m for m in order if m != one)][: row["children"]]:
                    a, b = val[task, member], val[task, one]
                    error = math.sqrt((a * (1 - a) + b * (1 - b)) / kept["examples"][task])
                    if a > best and a - b > row["margin"] * error:
                        used, best = member, a
                accuracies.append(100 * test[task, used])
                gains.append(100 * (test[task, used] - test[task, one]))
                left += used != one
                worse += test[task, used] < test[task, one]
        count = len(gains)
        assert count == 240
        assert row["accuracy"] == pytest.approx(sum(accuracies) / count, abs=0.006)
        assert row["ahead"][0] == pytest.approx(sum(gains) / count, abs=0.006)
        assert row["switched"] == pytest.approx(left / count, abs=0.0006)
        assert row["worse"] == pytest.approx(worse / count, abs=0.0006)


def test_the_guarded_portfolio_is_never_below_one_for_all_and_above_it_with_few_children(module):
    rows = json.loads((module.RESULTS / "guarded.json").read_text())["rows"]
    for row in rows:
        assert row["ahead"][1] >= -0.3
        assert (row["ahead"][1] > 0) == (row["children"] > 1)


def test_differences_are_paired_by_seed_and_episode(load):
    glyphs = load("guarded_glyphs")
    rows = [
        {"seed": seed, "protocol": "p", "way": way, "values": values}
        for seed, one, other in ((0, [0.5, 0.75, 1.0], [0.75, 0.75]), (1, [0.25, 0.25, 0.5], [0.5, 0.25]))
        for way, values in ((glyphs.ONE, one), (glyphs.GUARDED, other))
    ]
    mean, low, high = glyphs.difference(rows, "p", glyphs.GUARDED)
    assert mean == pytest.approx(100 * (0.25 + 0.0 + 0.25 + 0.0) / 4)
    assert low <= mean <= high
    assert glyphs.difference(rows, "p", glyphs.ONE) == (0.0, 0.0, 0.0)
    assert glyphs.difference(rows, "p", "nothing") is None
