"""Settings of searchers, samplers and studies that cannot be get one sentence."""

import math

import optuna
import pytest
import torch
from letters import SPACE
from lightning.pytorch.callbacks import EarlyStopping
from query_toys import Sums, search

from lit_metanas import Budget, LayeredSpace, Split, Task, searchers
from lit_metanas.estimators import Score
from lit_metanas.searchers import FrontHalving, MetaSampler, PortfolioSampler, RegularisedEvolution, record_of
from lit_metanas.searchers.mutation import can_have
from lit_metanas.searchers.query.ledger import Objectives, RecipeRange, check_ranges

pytestmark = pytest.mark.usefixtures("quiet_optuna")

PART = Split(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]))
SLOW = LayeredSpace(depths=(1,)).limited(lambda architecture: "too slow")
FIXED = searchers.FixedArchitecture({})


def two_objectives():
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=RegularisedEvolution())
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1), n_trials=1)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Objectives(("flops",), {}), "The objectives flops must be 'accuracy' followed by measures, each once"),
        (lambda: Objectives(("accuracy",), {"flops": 0}), "The constraint flops <= 0 cannot be met: give a limit abov"),
        (lambda: RecipeRange(0, 1, log=True), r"from 0 to 1 \(log\) is empty or reaches 0: give low <= high"),
        (lambda: check_ranges({"batch_size": RecipeRange(2.5, 4)}), "a whole number, and 2.5 is not: give whole bo"),
        (lambda: searchers.QuerySearcher(fidelity=0), "The fidelity 0 is not a share: give a number above 0 and at"),
        (lambda: MetaSampler(space=SPACE, first=-1), "MetaSampler: first is -1; give at least 0"),
        (lambda: PortfolioSampler(space=SPACE, size=-1), "PortfolioSampler: size is -1; give at least 0"),
        (lambda: PortfolioSampler(space=SPACE, then=RegularisedEvolution(prefix="net.")), "has 'net.': give both the"),
        (lambda: FrontHalving(candidates=(1,)), r"one number of candidates a rung, .*: got \[1\] for the rungs"),
        (lambda: FrontHalving(allowance=-0.1), "FrontHalving: allowance is -0.1; give 0 or more"),
        (lambda: searchers.DARTSSearcher(epochs=0), "A search needs epochs >= 1 and a batch size >= 2, not 0 and"),
        (lambda: searchers.DARTSSearcher(callbacks=[EarlyStopping("loss")]), "EarlyStopping waits for a"),
        (lambda: FIXED.search(Task("t", 2, PART, None, PART), SLOW, Budget(), 0), r"cannot be built \(too slow\): "),
        (two_objectives, "RegularisedEvolution searches for one objective, and the study has 2: use a sampler"),
        (lambda: search(storage="floppy://a"), r"\(no such kind of data base\)"),
        (lambda: record_of(optuna.create_study(study_name="a1"), SPACE), "The study 'a1' has no finished trial"),
    ],
)
def test_what_is_wrong_is_told(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_portfolio_without_records_draws():
    sampler = PortfolioSampler(space=SPACE, seed=0)
    sampler.check(SPACE)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: len(SPACE.suggest(trial)), n_trials=4)
    assert len({SPACE.from_parameters(trial.params) for trial in study.trials}) == 4


def test_what_a_parameter_can_have():
    letters = optuna.distributions.CategoricalDistribution(["a", "b"])
    assert [can_have(letters, one) for one in ("a", "c")] == [True, False]


def test_a_score_that_is_no_number_is_a_failure():
    class Undefined(Sums):
        def __call__(self, architecture, *, fidelity, start=None):
            score = super().__call__(architecture, fidelity=fidelity, start=start)
            return Score(math.nan, score.cost) if len(self.calls) == 2 else score

    record = search(Undefined(), budget=Budget(queries=4), storage="sqlite://").record
    assert [trial.failure for trial in record.trials] == ["", "ArithmeticError: its score is not a number", "", ""]
