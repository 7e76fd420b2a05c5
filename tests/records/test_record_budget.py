"""The account and the record."""

import pytest
from hypothesis import given, strategies as st

from lit_metanas.records import Budget, Cost, Exhausted, SearchRecord, Trial
from lit_metanas.spaces import Architecture

costs = st.builds(Cost, queries=st.integers(0, 3), flops=st.integers(0, 50), images=st.integers(0, 9))


@given(limit=st.integers(0, 100), queries=st.none() | st.integers(0, 5), charges=st.lists(costs, max_size=20))
def test_a_budget_is_never_overdrawn_and_counts_what_it_took(limit, queries, charges):
    budget = Budget(flops=limit, queries=queries)
    flops = asked = 0
    for cost in charges:
        fits = flops + cost.flops <= limit and (queries is None or asked + cost.queries <= queries)
        assert budget.affords(cost) == fits
        if fits:
            budget.charge(cost)
            flops, asked = flops + cost.flops, asked + cost.queries
        else:
            with pytest.raises(Exhausted):
                budget.charge(cost)
        assert (budget.spent.flops, budget.spent.queries) == (flops, asked)
    assert flops <= limit


def test_the_best_is_the_earliest_of_equals_and_the_curve_only_rises():
    values = [0.2, 0.5, 0.1, 0.5, 0.6]
    trials = [Trial(Architecture({"a": str(i)}), v, Cost(i + 1, flops=10 * i)) for i, v in enumerate(values)]
    assert SearchRecord("t", trials[:4]).best is trials[1]
    assert SearchRecord("t", trials).curve_over("flops") == ((0.0, 0.2), (10.0, 0.5), (40.0, 0.6))
    assert SearchRecord("t", trials).curve_over("queries") == ((1.0, 0.2), (2.0, 0.5), (5.0, 0.6))
    with pytest.raises(ValueError, match="task 't' tried no architecture"):
        _ = SearchRecord("t").best
