"""The portfolio against plain loops, with what is missing or wrong in records, and in anyone's study."""

import pickle
from copy import deepcopy
from math import nan

import optuna
import pytest
import torch

from lit_metanas.records import Cost, SearchRecord, Trial, write_record_lines
from lit_metanas.searchers import MetaSampler, PortfolioSampler, RegularisedEvolution
from lit_metanas.searchers.samplers.portfolio_sampler import SourceScores, agreement, order_members
from lit_metanas.spaces import Choice, ChoiceSpace

pytestmark = pytest.mark.usefixtures("quiet_optuna")


class Letters(ChoiceSpace):
    choices = (Choice("x", tuple("abcdefgh")), Choice("y", ("1", "2", "3")))


SPACE = Letters()
ALL = tuple(SPACE.architectures())


def record(task, values, **options):
    """A search that tried these members of the space, by their places."""
    known = enumerate(values.items(), start=1)
    trials = [Trial(ALL[place], value, Cost(queries=number)) for number, (place, value) in known]
    return SearchRecord(task, trials, **options)


def random_records(seed, tasks=5, missing=0.4):
    draw = torch.Generator().manual_seed(seed)
    scores = torch.rand(tasks, len(ALL), generator=draw)
    kept = torch.rand(tasks, len(ALL), generator=draw) >= missing
    return [
        record(str(task), {place: float(scores[task, place]) for place in range(len(ALL)) if kept[task, place]})
        for task in range(tasks)
    ]


def plain_portfolio(records, number):
    """Greedy, in loops: each adds most to the mean over tasks of the best so far."""
    heights = []
    for own in records:
        values = {trial.architecture: trial.value for trial in own.trials}
        low, high = min(values.values()), max(values.values())
        heights.append({one: (value - low) / (high - low) for one, value in values.items()})
    chosen = []
    for _ in range(number):

        def covered(members):
            return sum(max((own.get(one, 0.0) for one in members), default=0.0) for own in heights)

        def alone(one):
            return sum(own.get(one, 0.0) for own in heights)

        seen = [one for one in dict.fromkeys(a for own in heights for a in own) if one not in chosen]
        chosen.append(max(seen, key=lambda one: (round(covered([*chosen, one]), 9), round(alone(one), 9))))
    return chosen


def tried(study):
    return [SPACE.from_parameters(trial.params) for trial in study.trials]


def studied(sampler, number, value=lambda architecture: 0.5, direction="maximize"):
    study = optuna.create_study(sampler=sampler, direction=direction)
    study.optimize(lambda trial: value(SPACE.suggest(trial)), n_trials=number)
    return tried(study)


@pytest.mark.parametrize("seed", range(4))
def test_the_portfolio_is_that_of_plain_loops(seed):
    records = random_records(seed)
    sampler = PortfolioSampler(space=SPACE, records=records, size=9)
    expected = plain_portfolio(records, 9)
    assert [query.architecture for query in sampler.sources.cover(9)] == expected
    assert studied(sampler, 9) == expected  # of equal scores, which no source orders otherwise


def test_what_has_no_score_is_left_out():
    trials = [
        Trial(ALL[0], nan, Cost(), failure="no memory"),
        Trial(ALL[1], 0.99, Cost(), fidelity=0.1, pruned=True),
        Trial(ALL[2], 0.2, Cost(), fidelity=1.0),
        Trial(ALL[2], 0.9, Cost(), fidelity=0.5),
        Trial(ALL[3], 0.4, Cost()),
        Trial(ALL[4], 0.1, Cost(queries=7)),
        Trial(ALL[5], float("inf"), Cost(queries=7)),
    ]
    same = record("all the same", {6: 0.5, 7: 0.5})
    sources = SourceScores([SearchRecord("letters", trials), same, SearchRecord("empty")], SPACE)
    assert [member.architecture for member in sources.members] == [ALL[2], ALL[3], ALL[4]]
    assert sources.scores.tolist() == [[pytest.approx(1 / 3), 1.0, 0.0]]
    assert sources.cost.queries == 9


def test_agreement_is_one_less_the_square_of_the_share_of_discordant_pairs():
    scores = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.1, nan, nan, 0.4], [0.5, 0.5, nan, nan]])
    values = torch.tensor([1.0, 2.0, 3.0, 4.0])
    found = agreement(scores.double(), torch.arange(4), values)

    def weight(wrong, pairs):
        return max(0.0, 1 - ((wrong + 0.4) / (pairs + 2) / 0.5) ** 2)

    assert found.tolist() == pytest.approx([weight(0, 6), weight(6, 6), weight(0, 1), weight(0, 0)])
    assert found[1] == 0
    assert agreement(scores.double(), torch.arange(0), values[:0]).tolist() == pytest.approx([weight(0, 0)] * 4)
    assert order_members(scores.double(), found, torch.tensor([0]))[0] == 3


def test_sources_that_mislead_drop_out():
    """Half of the sources are turned round: with weights the right half decides from the third trial on."""
    right = {place: float(place % 7) + place / 100 for place in range(len(ALL))}
    wrong = {place: -value for place, value in right.items()}
    records = [record("right", right), record("wrong", wrong), record("wrong, too", {**wrong, 23: -9.0})]
    value = {ALL[place]: own for place, own in right.items()}.__getitem__
    best = max(right.values())
    values = [value(one) for one in studied(PortfolioSampler(space=SPACE, records=records, size=5), 5, value)]
    assert values[0] < best
    assert all(own > 5 for own in values[3:])
    minimised = studied(PortfolioSampler(space=SPACE, records=records, size=5), 5, lambda one: -value(one), "minimize")
    assert minimised == studied(PortfolioSampler(space=SPACE, records=records, size=5), 5, value)


def recipes(rates):
    known = enumerate(rates, start=1)
    trials = [Trial(ALL[at], value, Cost(queries=n), recipe={"learning_rate": rate}) for n, (at, value, rate) in known]
    return [SearchRecord("letters", trials)]


def test_networks_come_with_their_recipes():
    records = recipes([(3, 0.9, 0.02), (3, 0.8, 0.5), (5, 0.7, 0.03), (6, 0.1, 0.01)])

    def params(suggest, number=3):
        study = optuna.create_study(sampler=PortfolioSampler(space=SPACE, records=records, size=3, seed=0))
        study.optimize(suggest, n_trials=number)
        rates = [trial.params.get("train.learning_rate") for trial in study.trials]
        return list(zip(tried(study), rates, strict=True))

    def both(trial):
        SPACE.suggest(trial)
        return trial.suggest_float("train.learning_rate", 0.001, 0.1, log=True)

    # The second of the records has a rate that is not in this study's range.
    assert params(both) == [(ALL[3], 0.02), (ALL[5], 0.03), (ALL[6], 0.01)]
    plain = params(lambda trial: SPACE.suggest(trial)["x"] == "a")
    assert [one for one, _ in plain] == [ALL[3], ALL[5], ALL[6]]  # no network twice where there are no recipes
    assert {rate for _, rate in plain} == {None}


@pytest.mark.parametrize("make", [None, MetaSampler, RegularisedEvolution])
def test_another_sampler_follows(make):
    records = random_records(0)
    then = None if make is None else make(space=SPACE, seed=0)
    sampler = PortfolioSampler(space=SPACE, records=records, size=4, then=then, seed=0)
    order = studied(sampler, 24, ALL.index)
    assert order[:4] == studied(PortfolioSampler(space=SPACE, records=records, size=4), 4, ALL.index)
    assert set(order) == set(ALL)  # each once
    for copy in (deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert order == studied(copy, 24, ALL.index)


def test_a_search_tries_the_recorded_recipe(tmp_path):
    write_record_lines(tmp_path / "records.jsonl", recipes([(3, 0.9, 0.02), (6, 0.1, 0.01)]))
    sampler = PortfolioSampler(space=SPACE, paths=[str(tmp_path / "records.jsonl")], size=1)
    assert sampler.meta_cost.queries == 2
    assert [query.architecture for query in sampler.sources.cover(9)] == [ALL[3], ALL[6]]
    with pytest.raises(FileNotFoundError, match="no file"):
        PortfolioSampler(space=SPACE, paths=[str(tmp_path / "none.jsonl")])
