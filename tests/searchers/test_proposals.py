"""What was proposed to running trials, and threads that propose side by side."""

import random
from time import sleep

import optuna

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.spaces import Choice, ChoiceSpace


class Letters(ChoiceSpace):
    """All words of six letters."""

    choices = tuple(Choice(name, ("a", "b", "c")) for name in "uvwxyz")


SPACE = Letters()


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
