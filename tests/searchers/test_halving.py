"""Halving and evolving halving against plain versions, on an estimator whose scores are a formula."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import ClassVar

import pytest
import torch
from hypothesis import given, settings, strategies as st

from lit_metanas.estimators import Estimator, Score
from lit_metanas.estimators.estimator import BestSoFar, Query
from lit_metanas.records import Budget, Cost, SearchRecord, Trial, write_record_lines
from lit_metanas.records.record import FailedWorkError
from lit_metanas.records.statistics import non_dominated
from lit_metanas.searchers import EvolvingHalving, FrontHalving, SuccessiveHalving
from lit_metanas.searchers.halving.rungs import Contender, Race
from lit_metanas.searchers.mutation import draw_new, mutate
from lit_metanas.spaces import LayeredSpace
from lit_metanas.spaces.choice_space import complete

SPACE = LayeredSpace(depths=(1, 2), widths=(8, 16))
START = complete(SPACE, {})


def quality(architecture):
    """A fixed number in [0, 1) for each architecture."""
    return sum(ord(letter) * (place % 7 + 1) for place, letter in enumerate(str(architecture))) % 997 / 997


class Curve(Estimator):
    """The score rises with the training behind the weights; a full training costs by the architecture's size."""

    def __init__(self, task, space, seed, calls=None):
        self.calls = [] if calls is None else calls

    def full(self, architecture):
        return 1000 + 400 * int(architecture["depth"])

    def cost(self, architecture, fidelity):
        return Cost(queries=1, flops=math.floor(self.full(architecture) * fidelity))

    def __call__(self, architecture, *, fidelity, start=None):
        before = 0.0 if start is None else float(start["trained"])
        trained = before + self.cost(architecture, fidelity).flops
        self.calls.append((architecture, fidelity, before))
        value = quality(architecture) * (1 - math.exp(-trained / 500))
        return Score(value, self.cost(architecture, fidelity), {"trained": torch.tensor(trained, dtype=torch.float64)})


def run(searcher, budget, seed=0, calls=None):
    return searcher.run(Curve(None, SPACE, seed, calls), SPACE, budget, seed, problem="curve")


def plain_halving(first, total, eta, rungs):
    """Successive halving in plain loops: calls in order, and the winner."""
    estimator = Curve(None, SPACE, 0)
    alive = [(architecture, 0.0) for architecture in first]
    calls = []
    for share in rungs:
        each = share * total / len(alive)
        scores = []
        for architecture, before in alive:
            fidelity = min(1.0, each / estimator.full(architecture))
            calls.append((architecture, fidelity, before))
            trained = before + math.floor(estimator.full(architecture) * fidelity)
            scores.append((quality(architecture) * (1 - math.exp(-trained / 500)), architecture, trained))
        scores.sort(key=lambda row: row[0], reverse=True)
        alive = [(architecture, trained) for _, architecture, trained in scores[: math.ceil(len(scores) / eta)]]
    return calls, alive[0][0]


@pytest.mark.parametrize(("candidates", "eta", "rungs"), [(8, 2, None), (9, 3, None), (5, 2, (0.2, 0.3, 0.1))])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_schedule_equals_a_plain_version(candidates, eta, rungs, seed):
    calls = []
    budget = Budget(flops=9000)
    found = run(SuccessiveHalving(candidates=candidates, eta=eta, rungs=rungs), budget, seed, calls)
    first = [architecture for architecture, _, before in calls if before == 0.0]
    assert len(set(first)) == candidates
    shares = rungs or {8: (1 / 3, 1 / 3, 1 / 3), 9: (1 / 2, 1 / 2)}[candidates]
    expected, winner = plain_halving(first, 9000, eta, shares)
    assert [c[0] for c in calls] == [c[0] for c in expected]
    assert [c[1:] for c in calls] == [pytest.approx(c[1:]) for c in expected]
    assert (found.architecture, budget.spent.queries) == (winner, candidates)
    assert len(found.record.trials) == len(calls)


def test_each_rung_keeps_its_own_number():
    calls, first = [], [Query.of(one, {}) for one in SPACE.architectures()][:6]
    given = {"candidates": (6, 4, 2), "rungs": (0.3, 0.3, 0.3), "finish": False, "first": first}
    run(EvolvingHalving(survivors=(3, 2, 1), **given), Budget(flops=5000), calls=calls)
    assert [sum(before > 0 for _, _, before in rung) for rung in (calls[:6], calls[6:10], calls[10:])] == [0, 4, 2]
    best = sorted(calls[:6], key=lambda call: -quality(call[0]) * (1 - math.exp(-250 / 500)))[:3]
    assert {architecture for architecture, _, _ in calls[6:9]} == {architecture for architecture, _, _ in best}
    for wrong in ((3, 2), (7, 2, 1), (0, 1, 1)):
        with pytest.raises(ValueError, match="one number of candidates a rung, and of survivors from 1 to that"):
            EvolvingHalving(survivors=wrong, **given)


@settings(max_examples=40, deadline=None)
@given(flops=st.integers(1, 6000), seed=st.integers(0, 50), evolve=st.booleans(), queries=st.none() | st.integers(1, 9))
def test_the_budget_is_never_overdrawn(flops, seed, evolve, queries):
    calls = []
    budget = Budget(flops=flops, queries=queries)
    searcher = EvolvingHalving() if evolve else SuccessiveHalving(finish=True)
    found = run(searcher, budget, seed, calls)
    assert budget.spent.flops <= flops
    assert queries is None or budget.spent.queries <= queries
    estimator = Curve(None, SPACE, 0)
    assert budget.spent.flops == sum(estimator.cost(a, f).flops for a, f, _ in calls)
    assert budget.spent.queries == len({a for a, _, _ in calls})
    assert found.record.trials[-1].cost == budget.spent


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), survivors=st.integers(1, 3))
def test_evolution_keeps_the_incumbent_and_mutants_inherit(seed, survivors):
    calls = []
    run(EvolvingHalving(survivors=survivors, rungs=(0.2, 0.2, 0.2)), Budget(flops=10**4), seed, calls)
    rungs = [calls[:6], calls[6:10], calls[10:14], calls[14:]]
    assert [len(rung) for rung in rungs] == [6, 4, 4, 1]
    assert rungs[0][0][0] == START
    assert all(before == 0.0 for _, _, before in rungs[0])
    estimator = Curve(None, SPACE, 0)
    for earlier, later in pairwise(rungs):
        trained = {a: before + estimator.cost(a, fidelity).flops for a, fidelity, before in earlier}
        ranked = sorted(trained, key=lambda a: -quality(a) * (1 - math.exp(-trained[a] / 500)))
        kept = min(survivors, len(later))
        assert [a for a, _, _ in later[:kept]] == ranked[:kept]
        assert [before for _, _, before in later[:kept]] == [trained[a] for a in ranked[:kept]]
        assert all(before == trained[ranked[0]] for _, _, before in later[kept:])
        assert not {a for a, _, _ in later[kept:]} & set(trained)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="divides a budget of training FLOPs"):
        run(SuccessiveHalving(), Budget(queries=5))
    with pytest.raises(ValueError, match=r"1000 FLOPs and 0 queries is too small to train any architecture on 'curve'"):
        run(EvolvingHalving(), Budget(flops=1000, queries=0))
    with pytest.raises(ValueError, match="0 FLOPs and any number of queries is too small to train any architecture"):
        run(SuccessiveHalving(), Budget(flops=0))
    for kind, wrong, words in (
        (SuccessiveHalving, {"rungs": (0.9, 0.2)}, "sum to at most 1"),
        (SuccessiveHalving, {"eta": 1}, "eta >= 2"),
        (SuccessiveHalving, {"train": {"rate": []}}, "train has no value for 'rate'"),
        (EvolvingHalving, {"candidates": (4, 4)}, "one number of candidates a rung"),
        (EvolvingHalving, {"examples": 0}, "examples is 0; give at least 1"),
        (EvolvingHalving, {"head_start": -0.1}, "head_start is -0.1; give at least 0"),
        (EvolvingHalving, {"power": -1.0}, "power is -1.0; give at least 0"),
        (EvolvingHalving, {"ahead": -1}, "ahead is -1; give at least 0"),
    ):
        with pytest.raises(ValueError, match=words):
            kind(**wrong)


def led(scores, begun, examples):
    """The best of a rung; where nothing leads by a standard error, as Wilson has it, of what it began with.

    Of these, the one that comes first, unless the best of them leads it by half an error.
    """

    def error(p, z, n=examples):
        return z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)

    first = max(scores, key=scores.__getitem__)
    best = max(begun, key=scores.__getitem__, default=first)
    if not begun or scores[first] - scores[best] >= error(scores[best], 1):
        return first
    return next(one for one in begun if scores[best] - scores[one] < error(scores[one], 0.5))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), examples=st.sampled_from([3, 30, 3000]), known=st.integers(0, 3))
def test_what_a_rung_begins_with_is_given_up_only_for_what_leads_by_a_standard_error(seed, examples, known):
    space, generator = LayeredSpace(depths=(2, 3, 4), widths=(8, 16, 32)), torch.Generator().manual_seed(seed)
    first = [Query.of(one, {}) for one in draw_new(lambda: space.sample(generator), known, refusal=lambda one: None)]
    calls, rungs = [], (0.1, 0.1, 0.1, 0.1)
    searcher = EvolvingHalving(candidates=(6, 4, 4, 4), rungs=rungs, finish=False, examples=examples, first=first)
    estimator, begun = Curve(None, space, 0, calls), [query.architecture for query in first]
    found = searcher.run(estimator, space, Budget(flops=10**4), seed, problem="curve")
    assert len(calls) == 18
    for start in (0, 6, 10, 14):
        rung = calls[start : start + (4 if start else 6)]
        after = {one: before + estimator.cost(one, fidelity).flops for one, fidelity, before in rung}
        scores = {one: quality(one) * (1 - math.exp(-trained / 500)) for one, trained in after.items()}
        begun = [led(scores, begun, examples)]
    assert [found.architecture] == begun


class Learning(Curve):
    """The error falls by a power law of the epochs, to a part that depends on the depth; deep networks cost more."""

    epochs = 1000

    @property
    def settings(self):
        return {"epochs": self.epochs}

    def full(self, architecture):
        return {"1": 1000, "2": 10_000}[architecture["depth"]]

    def __call__(self, architecture, *, fidelity, start=None):
        found = super().__call__(architecture, fidelity=fidelity, start=start)
        epochs = 1000 * float(found.weights["trained"]) / self.full(architecture)
        return replace(found, value=1 - {"1": 0.8, "2": 0.6}[architecture["depth"]] * epochs**-0.3)


class Grown(Learning):
    """The same with ten times as many epochs: the deep network has 50, too."""

    epochs = 10_000


class Begun(Learning):
    """The same with few epochs: the shallow network has 2."""

    epochs = 40


@pytest.mark.parametrize(
    ("estimator", "head_start", "ahead", "depth"),
    [
        (Learning, 0.0, 950, "1"),
        (Learning, 0.017, 950, "1"),
        (Learning, 0.1, 950, "2"),
        (Learning, 0.1, 0, "1"),
        (Grown, 0.2, 950, "1"),
        (Begun, 0.2, 950, "1"),
    ],
)
@pytest.mark.parametrize("examples", [None, 100_000])
def test_networks_of_fewer_epochs_in_the_same_time_are_ranked_by_what_they_promise(
    estimator, head_start, ahead, depth, examples
):
    """After the same FLOPs the shallow network leads by 12 points; the deep one would lead after the same epochs.

    The winner will have been trained 20 times as long, whose logarithm is 3.
    """
    first = [Query.of(complete(SPACE, {"depth": depth}), {}) for depth in ("1", "2")]
    searcher = EvolvingHalving(
        candidates=(2,), rungs=(0.1,), finish=False, first=first, examples=examples, head_start=head_start, ahead=ahead
    )
    found = searcher.run(estimator(None, SPACE, 0), SPACE, Budget(flops=1000), 0, problem="learning")
    shallow, deep = found.record.trials
    assert (shallow.trained, deep.trained) == (50, 50)
    assert shallow.value == pytest.approx(1 - 0.8 * 50**-0.3)
    assert deep.value == pytest.approx(1 - 0.6 * 5**-0.3)
    assert found.architecture["depth"] == depth


@pytest.mark.parametrize(("power", "parts"), [(0.0, (50, 50)), (0.5, (24, 75)), (1.0, (9, 90))])
def test_a_power_gives_large_networks_more_of_a_rung(power, parts):
    first = [Query.of(complete(SPACE, {"depth": depth}), {}) for depth in ("1", "2")]
    searcher = EvolvingHalving(candidates=(2,), rungs=(0.1,), finish=False, first=first, power=power)
    found = searcher.run(Learning(None, SPACE, 0), SPACE, Budget(flops=1000), 0, problem="learning")
    assert tuple(trial.trained for trial in found.record.trials) == parts


class Forbidding(LayeredSpace):
    def violation(self, architecture):
        return "too deep" if architecture["depth"] == "2" else None


def test_an_incumbent_that_cannot_be_built_is_refused():
    space = Forbidding(depths=(1, 2))
    searcher = EvolvingHalving(incumbent={"depth": "2"})
    with pytest.raises(ValueError, match="too deep"):
        searcher.run(Curve(None, space, 0), space, Budget(flops=9000), 0, problem="x")
    calls = []
    SuccessiveHalving().run(Curve(None, space, 0, calls), space, Budget(flops=9000), 0, problem="x")
    assert {architecture["depth"] for architecture, _, _ in calls} == {"1"}


def test_what_has_no_number_for_a_score_has_failed():
    class Lost(Curve):
        def __call__(self, architecture, *, fidelity, start=None):
            score = super().__call__(architecture, fidelity=fidelity, start=start)
            return replace(score, value=math.nan) if quality(architecture) < limit else score

    limit, budget = min(quality(START), 0.6), Budget(flops=9000)
    estimator = Lost(None, SPACE, 0)
    found = SuccessiveHalving(finish=True).run(estimator, SPACE, budget, 0, problem="curve")
    lost = {architecture for architecture, _, _ in estimator.calls if quality(architecture) < limit}
    assert lost
    failures = {t.architecture: t.failure for t in found.record.trials if t.failure}
    assert failures == dict.fromkeys(lost, "ArithmeticError: its score is not a number")
    assert found.architecture not in lost
    assert found.architecture == found.record.best.architecture
    assert budget.spent.flops == sum(estimator.cost(*call[:2]).flops for call in estimator.calls)


def test_a_search_in_which_all_trainings_fail_names_the_last_reason():
    class Failing(Curve):
        def __call__(self, architecture, *, fidelity, start=None):
            raise torch.OutOfMemoryError("too large")

    with pytest.raises(FailedWorkError, match="All of 8 trainings on 'curve' failed, the last one because of OutOf"):
        SuccessiveHalving().run(Failing(None, SPACE, 0), SPACE, Budget(flops=9000), 0, problem="curve")


class Rated(Curve):
    """A curve that is steeper the nearer the rate is to 3; the rate is 1 at first."""

    settings: ClassVar = {"rate": 1}

    def with_recipe(self, changes):
        other = type(self)(None, SPACE, 0, self.calls)
        other.settings = {**self.settings, **changes}
        return other

    def __call__(self, architecture, *, fidelity, start=None):
        score = super().__call__(architecture, fidelity=fidelity, start=start)
        return Score(score.value - abs(self.settings["rate"] - 3), score.cost, score.weights)


def test_what_an_estimator_does_not_score_is_not_proposed():
    class NoThree(Rated):
        """Scores no deep network at a rate of 3."""

        def refusal(self, architecture, recipe):
            return "too deep" if (architecture["depth"], recipe.get("rate")) == ("2", 3) else None

    searcher = EvolvingHalving(
        candidates=(4, 4, 4, 16), rungs=(0.2, 0.2, 0.2, 0.3), later={"rate": [1, 2, 3]}, incumbent={"depth": "1"}
    )
    for kind, kept in ((Rated, True), (NoThree, False)):
        pairs = set()
        for seed in range(4):
            estimator = BestSoFar(kind(None, SPACE, 0), "curve")
            found = searcher.run(estimator, SPACE, Budget(flops=90_000), seed, problem="curve")
            pairs |= {(trial.architecture["depth"], trial.recipe["rate"]) for trial in found.record.trials}
        assert {("2", 1), ("1", 3)} <= pairs
        assert (("2", 3) in pairs) == kept


class Sized(Curve):
    """The wider a network, the higher its score, and the larger it is; by how much depends on the kernel."""

    measures: ClassVar = {"parameters": lambda architecture: size_of(architecture)}

    def full(self, architecture):
        return 10 * size_of(architecture)

    def __call__(self, architecture, *, fidelity, start=None):
        cost = self.cost(architecture, fidelity)
        self.calls.append((architecture, fidelity))
        return Score(height_of(architecture), cost, {"trained": torch.tensor(cost.flops)})


SIZES = LayeredSpace(
    kernels=(1, 3, 5), activations=("ReLU",), dropouts=(0,), depths=(2, 3), widths=(4, 8, 16, 32), shared=True
)


def size_of(architecture):
    return 1000 * int(architecture["width"]) * int(architecture["depth"])


def height_of(architecture):
    return math.log(size_of(architecture)) / 20 - abs(int(architecture["kernel"]) - 3) / 20


def find_front(flops=10**8, seed=0, calls=None, **more):
    searcher = FrontHalving(**{"candidates": (6, 4), "rungs": (0.6, 0.4), **more})
    return searcher.run(Sized(None, SIZES, seed, calls), SIZES, Budget(flops=flops), seed, problem="sized")


def test_a_front_is_found_and_spread_over_the_sizes():
    calls = []
    found = find_front(calls=calls, candidates=(8, 6, 6), rungs=(0.4, 0.3, 0.3))
    points = [(height_of(one.architecture), -size_of(one.architecture)) for one in found.front]
    assert non_dominated(points) == list(range(len(points)))
    assert found.architecture == found.front[0].architecture
    assert height_of(found.architecture) == max(height for height, _ in points)
    tried = [size_of(architecture) for architecture, _ in calls]
    assert (min(tried), max(tried)) == (8_000, 96_000)
    assert found.record.objectives == ("accuracy", "parameters")
    assert all(trial.measures == {"parameters": size_of(trial.architecture)} for trial in found.record.trials)
    assert {one.architecture for one in found.front} <= {trial.architecture for trial in found.record.trade_offs}
    assert all(one.weights is not None for one in found.front)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_parts_of_a_rung_follow_the_cost_of_a_training(power):
    small, large = (complete(SIZES, {"width": width}) for width in ("4", "32"))
    calls = []
    race = Race(Sized(None, SIZES, 0, calls), SIZES, Budget(flops=10**9), SearchRecord("sized"), torch.Generator())
    race.train([Contender(Query(small)), Contender(Query(large))], 10_000, power)
    (_, few), (_, more) = calls
    assert (more * size_of(large)) / (few * size_of(small)) == pytest.approx(8**power)


def test_the_front_of_records_is_what_is_begun_with(tmp_path):
    """Kernels of 3 are best on other tasks, whatever the size."""
    trials = [Trial(each, height_of(each), Cost(queries=1)) for each in SIZES.architectures()]
    write_record_lines(tmp_path / "records.jsonl", [SearchRecord(name, trials) for name in ("one", "two")])
    calls = []
    find_front(calls=calls, records=[str(tmp_path / "records.jsonl")])
    begun = [architecture for architecture, _ in calls[:6]]
    assert {architecture["kernel"] for architecture in begun} == {"3"}
    assert {architecture["width"] for architecture in begun} >= {"4", "32"}


def differing_groups(one, other):
    return {name.split(".")[-1] for name in {**one, **other} if one.get(name) != other.get(name)}


@given(seed=st.integers(0, 2000))
def test_a_mutation_changes_one_choice_or_one_kind_of_choice(seed):
    generator = torch.Generator().manual_seed(seed)
    parent = SPACE.sample(generator)
    single = mutate(SPACE, parent, generator)
    changed = [name for name in single if name in parent and single[name] != parent[name]]
    assert len(changed) == 1
    if changed != ["depth"]:
        assert set(single) == set(parent)
    whole = mutate(SPACE, parent, generator, whole_groups=1.0)
    assert whole != parent
    if whole["depth"] == parent["depth"]:
        (group,) = differing_groups(parent, whole)
        assert len({label for name, label in whole.items() if name.endswith(group)}) == 1
    elif whole["depth"] == "2":
        assert all(whole[f"layer2.{g}"] == whole[f"layer1.{g}"] for g in SPACE.layout.questions)
