"""Values of a parameter: in its range, different, adjacent, uniform."""

from collections import Counter
from math import exp, log

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from lit_metanas.searchers.mutation import any_value, can_have

NAN = float("nan")
DISTRIBUTIONS = [
    CategoricalDistribution((None, "a", 2, NAN)),
    IntDistribution(-3, 4),
    IntDistribution(1, 10, step=3),
    IntDistribution(1, 2, log=True),
    IntDistribution(1, 300, log=True),
    FloatDistribution(-0.3, 0.6, step=0.1),
    FloatDistribution(-1.0, 2.0),
    FloatDistribution(1e-5, 1e-1, log=True),
]
every_kind = pytest.mark.parametrize("kind", DISTRIBUTIONS, ids=str)


@every_kind
def test_draws_are_uniform_on_the_scale_of_the_distribution(kind):
    generator = np.random.default_rng(1)
    draws = [any_value(kind, generator) for _ in range(4000)]
    if isinstance(kind, CategoricalDistribution):
        shares = Counter(kind.to_internal_repr(draw) for draw in draws)
        bins = len(kind.choices)
    elif kind.log:
        bins = 2
        whole = 0.5 * isinstance(kind, IntDistribution)
        low, high = log(kind.low - whole), log(kind.high + whole)
        middle = round(exp((low + high) / 2)) + whole if whole else exp((low + high) / 2)
        share = (log(middle) - low) / (high - low)
        assert abs(sum(draw < middle for draw in draws) / 4000 - share) < 0.03
        return
    else:
        half = (kind.step or 0.0) / 2
        width = kind.high - kind.low + 2 * half
        bins = round(width / (kind.step or width / 4))
        shares = Counter(int((draw - kind.low + half) / width * bins) for draw in draws)
    assert len(shares) == bins
    assert all(abs(count / 4000 - 1 / bins) < 0.03 for count in shares.values())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (CategoricalDistribution(("a", 2)), "b"),
        (IntDistribution(10, 50, step=10), 33),
        (IntDistribution(1, 9), 2.5),
        (IntDistribution(1, 9), True),
        (FloatDistribution(0.0, 0.2, step=0.1), 0.05),
        (FloatDistribution(0.0, 1.0), 1.5),
        (FloatDistribution(0.0, 1.0), "0.5"),
    ],
    ids=str,
)
def test_a_parameter_cannot_have_what_lies_beside_its_values(kind, value):
    assert not can_have(kind, value)
