"""What was proposed to running trials, and threads that propose side by side."""

import random
from time import sleep

import optuna
from optuna.trial import TrialState

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.searchers.samplers.memory import Proposals
from lit_metanas.spaces import Choice, ChoiceSpace


class Letters(ChoiceSpace):
    """All words of six letters."""

    choices = tuple(Choice(name, ("a", "b", "c")) for name in "uvwxyz")


SPACE = Letters()


def test_a_proposal_is_shown_until_its_trial_ends():
    study = optuna.create_study()
    proposals = Proposals()
    trial, other = study.ask(), study.ask()
    proposals.keep(study.study_name, trial.number, {"x": 1, "y": "a"})
    proposals.keep("another study", other.number, {"x": 2})
    assert [one.params for one in proposals.with_proposals(study.study_name, study.trials)] == [{"x": 1, "y": "a"}, {}]
    trial.suggest_int("x", 3, 3)
    assert proposals.with_proposals(study.study_name, study.trials)[0].params == {"x": 3, "y": "a"}
    study.tell(trial, 0.0)
    shown = proposals.with_proposals(study.study_name, study.trials)
    assert [one.params for one in shown] == [{"x": 3}, {}]
    assert [one.state for one in shown] == [TrialState.COMPLETE, TrialState.RUNNING]
    assert [one.params for one in proposals.with_proposals("another study", study.trials)] == [{"x": 3}, {"x": 2}]


def test_threads_try_nothing_twice():
    def slow(trial):
        draw = random.Random(trial.number)
        for choice in SPACE.choices:
            sleep(0.002 * draw.random())
            trial.suggest_categorical(f"arch.{choice.name}", SPACE.proposed_labels(choice))
        return draw.random()

    study = optuna.create_study(sampler=RegularisedEvolution(space=SPACE, seed=0))
    study.optimize(slow, n_trials=60, n_jobs=4)
    assert len({SPACE.suggest(optuna.trial.FixedTrial(trial.params)) for trial in study.trials}) == 60
