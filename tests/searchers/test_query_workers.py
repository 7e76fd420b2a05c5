"""Two processes on one study: nothing is lost, nothing overdrawn, and the trial of a killed one is begun anew."""

from contextlib import contextmanager

import optuna
import pytest
import query_toys
from optuna.trial import TrialState
from query_worker import Worker
from sqlalchemy import text

from lit_metanas.records import Budget
from lit_metanas.searchers import QuerySearcher

NAME = "digits/Digits/seed 0"


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request, tmp_path):
    """The address of an empty data base."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/studies.db"
    return request.getfixturevalue("postgres_database")


def begin(*workers):
    """Let all begin at once; none ends its first training before all are in it."""
    for worker in workers:
        worker.go()
    first = [worker.began() for worker in workers]
    for worker in workers:
        worker.go()
    return first


@contextmanager
def opened(storage):
    known = optuna.storages.RDBStorage(storage)
    yield known
    known.remove_session()
    known.engine.dispose()


def trials(storage):
    with opened(storage) as known:
        return optuna.load_study(study_name=NAME, storage=known).trials


def let_hours_pass(storage, lost):
    """The last heartbeat of the trial that has this architecture in hand, the first one, becomes an old one."""
    trial, *_ = (trial for trial in trials(storage) if trial.state == TrialState.RUNNING and trial.params == lost)
    with opened(storage) as known, known.engine.begin() as connection:
        words = "UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00.000000' WHERE trial_id = :trial"
        assert connection.execute(text(words), {"trial": trial._trial_id}).rowcount == 1


def test_what_another_has_in_hand_is_waited_for(tmp_path):
    """Of one architecture there is one score, and who drew it meanwhile repeats that at no cost."""
    storage = f"sqlite:///{tmp_path}/studies.db"
    first = Worker(storage, 1, 2, labels=1)
    second = Worker(storage, 2, 2, labels=1, held=False, tells=True)
    first.go()
    first.began()
    second.go()
    second.says("waits")
    first.go()
    (one, result), (other, same) = first.end(), second.end()
    assert result == same
    assert result["spent"] == len(result["scored"]) == 1
    assert one == other == []
    assert {trial.state for trial in trials(storage)} == {TrialState.COMPLETE}


@pytest.mark.parametrize("worker", [1, None])
def test_a_search_that_is_started_again_after_its_end_leaves_the_study_as_it_is(worker, tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"

    def again(**budget):
        found = query_toys.search(storage=storage, worker=worker, refusals=5, budget=Budget(**budget))
        return query_toys.told(found.record), trials(storage)

    before, left = again(flops=650)
    assert [trial.state for trial in left].count(TrialState.PRUNED) == 5
    for _ in range(2):
        assert again(flops=650) == (before, left)
    more, left = again(flops=820)
    assert more[: len(before)] == before
    assert len({str(trial[0]) for trial in more}) == 8
    assert again(flops=820) == (more, left)


def test_the_trial_of_a_killed_process_is_begun_anew_by_another(storage):
    doomed, witness = Worker(storage, 1, 8, hang_at=3), Worker(storage, 2, 8)
    begin(doomed)
    *_, lost = (doomed.began() for _ in range(3))
    begin(witness)
    doomed.kill()
    params = {f"arch.{name}": label for name, label in lost.items()}
    let_hours_pass(storage, params)
    more, result = witness.end()
    assert lost in more
    assert result["spent"] == len(result["scored"]) == 8
    kept = trials(storage)
    (stale,) = (trial for trial in kept if trial.state == TrialState.FAIL and "reserved" in trial.user_attrs
                and any(other.system_attrs.get("failed_trial") == trial.number for other in kept))  # fmt: skip
    (again,) = (trial for trial in kept if trial.system_attrs.get("failed_trial") == stale.number)
    assert again.params == stale.params == params
    assert again.state == TrialState.COMPLETE
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in kept)


def test_a_trial_that_others_gave_up_is_lost_here_and_the_search_goes_on(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"

    class Overtaken(query_toys.Sums):
        def __call__(self, architecture, *, fidelity, start=None):
            if len(self.calls) == 2:
                study = optuna.load_study(study_name=NAME, storage=storage)
                (own,) = study.get_trials(states=[TrialState.RUNNING])
                study.tell(own.number, state=TrialState.FAIL)
            return super().__call__(architecture, fidelity=fidelity, start=start)

    estimator, budget = Overtaken(), Budget(queries=5)
    found = query_toys.search(estimator, storage=storage, worker=1, budget=budget)
    assert budget.spent.queries == 5
    called = [architecture for architecture, _, _ in estimator.calls]
    assert [trial.architecture for trial in found.record.trials if not trial.duplicate] == called[:2] + called[3:]
    assert len(estimator.calls) == 6


def test_workers_need_a_storage():
    with pytest.raises(ValueError, match="Worker -1 is below 0: give each worker a number of its own, 0 or more"):
        QuerySearcher(worker=-1, storage="sqlite:///studies.db")
    with pytest.raises(ValueError, match="Worker 0 has no study to share: give a storage"):
        QuerySearcher(worker=0)
