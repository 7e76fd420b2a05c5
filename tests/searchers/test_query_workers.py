"""Two processes on one study: nothing is lost, nothing overdrawn, and the trial of a killed one is begun anew."""

import time
import uuid
from contextlib import contextmanager, suppress
from threading import Barrier, BrokenBarrierError, Thread

import optuna
import pytest
import query_toys
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb.models import TrialModel
from optuna.trial import TrialState
from query_worker import Worker
from sqlalchemy import text

from lit_metanas.records import Budget, Cost, SearchRecord
from lit_metanas.searchers import QuerySearcher
from lit_metanas.searchers.query.ledger import Ledger, Query, trial_attributes
from lit_metanas.searchers.query.worker_group import TRIES, WorkerGroup, retry, shared_storage

NAME = "digits/Digits/seed 0"


@pytest.fixture(params=["sqlite", "postgres"])
def storage(request, tmp_path):
    """The address of an empty data base."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/studies.db"
        return
    url = request.getfixturevalue("postgres")
    from sqlalchemy import create_engine, make_url

    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(url).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


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


@pytest.mark.slow
def test_nothing_is_scored_twice_where_two_of_four_processes_are_killed(storage):
    doomed = [Worker(storage, number, 24, hang_at=2, labels=3, held=False) for number in (1, 4)]
    others = [Worker(storage, number, 24, labels=3, held=False) for number in (2, 3)]
    begun = []
    for worker in doomed:  # one after the other: so they draw the same each time, the last not what the first has
        worker.go()
        begun.append([worker.began() for _ in range(3)])
    for worker in others:
        worker.go()
    time.sleep(1)
    for worker in doomed:
        worker.kill()
    lost = [last for *_, last in begun]
    assert lost[0] != lost[1]
    for each in lost:
        let_hours_pass(storage, {f"arch.{name}": label for name, label in each.items()})
    (one, result), (other, same) = (worker.end() for worker in others)
    assert result == same
    scored = [*begun[0][:2], *begun[1][:2], *one, *other]
    assert result["spent"] == len(result["scored"]) == len({str(each) for each in scored}) == len(scored) == 24
    assert all(each in scored for each in lost)
    kept = trials(storage)
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in kept)
    assert len([trial for trial in kept if "retry of" in trial.user_attrs]) == 2


@contextmanager
def group(storage, heartbeat=3600):
    """One process's view of an empty study, here in a thread."""
    known = shared_storage(storage, heartbeat)
    study = optuna.create_study(study_name=NAME, storage=known, direction="maximize", load_if_exists=True)
    yield WorkerGroup(study, known, heartbeat)
    known.remove_session()
    known.engine.dispose()


def in_hand(group, trial):
    """The trial's turn to score the one architecture, waited for in a thread: what others have set aside."""
    query, ledger = Query.of(dict.fromkeys("xyz", "0"), {}), Ledger(Budget(), SearchRecord("digits"))
    found = []

    def wait():
        with group.beating(trial):
            found.append(group.reserve(trial, query, Cost(queries=1, flops=100), ledger))
            found.append(query in ledger.known)

    thread = Thread(target=wait)
    thread.start()
    return thread, found


def tell(trial, study):
    """Finish a trial of the one architecture."""
    for name, said in trial_attributes(
        Query.of(dict.fromkeys("xyz", "0"), {}), Cost(1), measures={}, fidelity=None
    ).items():
        trial.set_user_attr(name, said)
    study.tell(trial, 0.5)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
@pytest.mark.parametrize("ends", ["told", "dead"])
def test_who_began_later_waits_for_the_score_or_for_the_end_of_the_process(ends, storage):
    """Also where it has the smaller number, as one that is begun again for a dead process."""
    with group(storage) as team:
        team.study.enqueue_trial({})
        early = optuna.Trial(team.study, team.study._storage.create_new_trial(team.study._study_id))
        thread, found = in_hand(team, early)
        thread.join(600)
        assert found == [Cost(), False]
        late = team.study.ask()
        assert late.number < early.number
        thread, found = in_hand(team, late)
        thread.join(0.5)
        assert thread.is_alive()
        if ends == "told":
            tell(early, team.study)
        else:
            with team.storage.engine.begin() as connection:
                words = "UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00.000000' WHERE trial_id = :trial"
                connection.execute(text(words), {"trial": early._trial_id})
        thread.join(600)
        assert found == [Cost(), ends == "told"]
        assert [trial.state for trial in team.study.trials[:2]] == [
            TrialState.RUNNING,
            TrialState.COMPLETE if ends == "told" else TrialState.FAIL,
        ]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_that_waits_is_begun_and_given_up_by_one_process_alone(storage, monkeypatch):
    """SQLite lets both of two that read at the same time write, unless one locks before it reads."""
    with group(storage) as one, group(storage) as other:
        one.study.enqueue_trial({})
        (waiting,) = one.study.trials
        find = TrialModel.find_or_raise_by_id

        def slow(*args, **options):
            found = find(*args, **options)
            with suppress(BrokenBarrierError):
                both.wait(1)
            return found

        monkeypatch.setattr(TrialModel, "find_or_raise_by_id", slow)
        for state in (TrialState.RUNNING, TrialState.FAIL):
            both, begun = Barrier(2), []

            def begin(team, state=state, begun=begun):
                with suppress(UpdateFinishedTrialError):
                    begun.append(team.storage.set_trial_state_values(waiting._trial_id, state))

            threads = [Thread(target=begin, args=(team,)) for team in (one, other)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(600)
            assert begun.count(True) == 1


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
                and any(other.user_attrs.get("retry of") == trial.number for other in kept))  # fmt: skip
    (again,) = (trial for trial in kept if trial.user_attrs.get("retry of") == stale.number)
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
    assert [trial.architecture for trial in found.record.trials if not trial.duplicate] == [
        architecture for index, (architecture, _, _) in enumerate(estimator.calls) if index != 2
    ]
    assert len(estimator.calls) == 6


def test_a_trial_that_costs_every_process_is_given_up():
    study = optuna.create_study()
    study.enqueue_trial({}, user_attrs={"tries": 1})
    for tries in range(1, TRIES + 1):
        trial = study.ask()
        assert trial.user_attrs["tries"] == tries
        study.tell(trial, state=TrialState.FAIL)
        retry(study, study.trials[trial.number])
    assert not study.get_trials(states=[TrialState.WAITING])
    assert len(study.trials) == TRIES


def test_workers_need_a_storage():
    with pytest.raises(ValueError, match="Worker -1 is below 0: give each worker a number of its own, 0 or more"):
        QuerySearcher(worker=-1, storage="sqlite:///studies.db")
    with pytest.raises(ValueError, match="Worker 0 has no study to share: give a storage"):
        QuerySearcher(worker=0)
