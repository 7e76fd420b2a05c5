"""What samplers remember of a study: trials, equal parameter sets, proposals to running trials."""

import random
from copy import copy
from time import sleep

import optuna
from optuna.trial import TrialState, create_trial

from lit_metanas.searchers import RegularisedEvolution
from lit_metanas.searchers.samplers.memory import Identities, Memory
from lit_metanas.spaces import Choice, ChoiceSpace

STATES = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED, TrialState.RUNNING)


def trials(number, shift=0):
    """Trials of few parameter sets, of two kinds, in several states."""
    made = []
    for place in range(number):
        name = "x" if place % 5 else "y"
        state = STATES[(place * 3 // 2 + shift) % 4]
        made.append(
            create_trial(
                params={name: (place * 7 + shift) % 6},
                distributions={name: optuna.distributions.IntDistribution(0, 5 + place)},
                state=state,
                value=float(place) if state == TrialState.COMPLETE else None,
            )
        )
        made[-1].number = place
    return made


def content(digest):
    return digest.trials, digest.completed, digest.tried, digest.distributions


def test_a_change_in_what_was_read_is_noticed():
    study = trials(40)
    memory = Memory()
    memory.read(study)
    running = next(trial.number for trial in study if trial.state == TrialState.RUNNING)
    later = copy(study[running])
    later.state, later.values = TrialState.COMPLETE, [1.0]
    changed = [*study[:running], later, *study[running + 1 :]]
    for other in (changed, study[:10], trials(50, shift=1), [], study):
        fresh = Memory()
        fresh.identities = memory.identities
        fresh._digest._identities = memory.identities
        assert content(memory.read(other)) == content(fresh.read(other))


def test_values_tell_apart_and_the_order_of_names_does_not():
    identify = Identities()
    assert identify({"p": 1, "q": "a"}).number == identify({"q": "a", "p": 1}).number
    assert identify({"p": 1, "q": "a"}).number != identify({"p": 1, "q": "b"}).number
    assert identify({"p": None}).number != identify({}).number
    assert identify({"p": 0.1 + 0.2}).number == identify({"p": 0.3}).number
    assert identify({"p": 0.3}).number != identify({"p": 0.3000001}).number
    assert identify({"p": ["no", "hash"]}).number == identify({"p": ["no", "hash"]}).number


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
