"""What is remembered of a study is what a new reading gives."""

from copy import copy

import optuna
from optuna.trial import TrialState, create_trial

from lit_metanas.searchers.samplers.memory import Memory

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
