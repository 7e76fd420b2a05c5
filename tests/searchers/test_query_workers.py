"""Two processes on one study: nothing is lost, nothing overdrawn, and the trial of a killed one is begun anew."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
import query_toys
from optuna.trial import TrialState
from sqlalchemy import text

from lit_metanas.records import Budget
from lit_metanas.searchers import QuerySearcher
from lit_metanas.searchers.query.worker_group import TRIES, WorkerGroup, retry, team_storage

SCRIPT = Path(query_toys.__file__).with_name("query_worker.py")
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


def start(storage, worker, queries, seconds=0.05, hang_at=-1):
    command = [sys.executable, str(SCRIPT), storage, *map(str, (worker, queries, seconds, hang_at))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, text=True, env=environment, **pipes)


def go(*processes):
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def began(process):
    return json.loads(process.stdout.readline())["began"]


def begin(*processes):
    """Let all begin at once, however long each took to start; none ends its first training before all are in it."""
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    go(*processes)
    first = [began(process) for process in processes]
    go(*processes)
    return first


def end(process):
    """What a process printed: what it began, and what it came to."""
    output, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    return [line["began"] for line in lines[:-1]], lines[-1]


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
    """The last heartbeat of the trial that has this architecture in hand becomes an old one."""
    (trial,) = (trial for trial in trials(storage) if trial.state == TrialState.RUNNING and trial.params == lost)
    with opened(storage) as known, known.engine.begin() as connection:
        words = "UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00.000000' WHERE trial_id = :trial"
        assert connection.execute(text(words), {"trial": trial._trial_id}).rowcount == 1


def test_two_processes_share_a_study_and_its_budget(storage):
    processes = [start(storage, worker, 16, seconds=0.2) for worker in (1, 2)]
    both = begin(*processes)
    (more, one), (also, other) = map(end, processes)
    assert one == other
    assert one["spent"] == len(both) + len(more) + len(also) == 16
    assert len(one["scored"]) >= 14  # both may have had the same architecture in hand at the same time
    kept = trials(storage)
    assert len({trial.number for trial in kept}) == len(kept)
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in kept)
    complete = [trial for trial in kept if trial.state == TrialState.COMPLETE]
    assert sum(trial.user_attrs["cost"]["queries"] for trial in complete) == 16
    assert one["best"] == max(trial.value for trial in complete)


def test_the_trial_of_a_killed_process_is_begun_anew_by_another(storage):
    doomed, witness = start(storage, 1, 8, hang_at=3), start(storage, 2, 8)
    begin(doomed)
    *_, lost = (began(doomed) for _ in range(3))
    begin(witness)
    os.kill(doomed.pid, signal.SIGKILL)
    doomed.communicate()
    params = {f"arch.{name}": label for name, label in lost.items()}
    let_hours_pass(storage, params)
    more, result = end(witness)
    assert lost in more
    assert result["spent"] == len(result["scored"]) == 8
    kept = trials(storage)
    (stale,) = (trial for trial in kept if trial.state == TrialState.FAIL and "reserved" in trial.user_attrs
                and any(other.user_attrs.get("retry of") == trial.number for other in kept))  # fmt: skip
    (again,) = (trial for trial in kept if trial.user_attrs.get("retry of") == stale.number)
    assert again.params == stale.params == params
    assert again.state == TrialState.COMPLETE
    assert not any(trial.state in (TrialState.RUNNING, TrialState.WAITING) for trial in kept)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")
def test_a_trial_in_hand_shows_signs_of_life(storage):
    known = team_storage(storage, 1)
    study = optuna.create_study(storage=known)
    trial, seen, begun = study.ask(), set(), time.monotonic()
    with WorkerGroup(study, known, 1).beating(trial):
        while len(seen) < 2 and time.monotonic() - begun < 600:
            with known.engine.connect() as connection:
                seen |= {row.heartbeat for row in connection.execute(text("SELECT heartbeat FROM trial_heartbeats"))}
            time.sleep(0.02)
    known.remove_session()
    known.engine.dispose()
    assert len(seen) >= 2


def test_a_search_by_one_process_goes_on_from_what_several_left(tmp_path):
    storage = f"sqlite:///{tmp_path}/studies.db"
    query_toys.search(storage=storage, worker=1, budget=Budget(queries=6))
    budget = Budget(queries=10)
    found = query_toys.search(storage=storage, budget=budget)
    assert budget.spent.queries == 10
    assert len([trial for trial in found.record.trials if not trial.duplicate]) == 10


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
    with pytest.raises(ValueError, match="Worker -1 has no number to draw by: give each worker another one, 0 or more"):
        QuerySearcher(worker=-1, storage="sqlite:///studies.db")
    with pytest.raises(ValueError, match="Worker 0 has no study to share: give a storage"):
        QuerySearcher(worker=0)
