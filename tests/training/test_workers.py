"""Work side by side gives what it gives one by one, whatever happens to a process."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from sharing_toys import make_task
from torch import Tensor

import lit_metanas as lm
from lit_metanas.estimators import TrainingEstimator
from lit_metanas.searchers import EvolvingHalving, SuccessiveHalving
from lit_metanas.training import workers
from lit_metanas.training.workers import StepEnded, Submitted, number_of_workers, submit, worker_processes, workers_now

CPU = torch.device("cpu")


@pytest.fixture
def task() -> lm.Task:
    return make_task(way=2, each=18)


@pytest.fixture
def space() -> lm.LayeredSpace:
    return lm.LayeredSpace(kernels=(1, 3), activations=("ReLU",), depths=(1, 2), widths=(4, 8))


def asleep(seconds: float, value: Any, step_ended: StepEnded) -> Any:
    time.sleep(seconds)
    return value


def failing(error: BaseException, step_ended: StepEnded) -> None:
    raise error


def killed(step_ended: StepEnded) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Failing(TrainingEstimator):
    """A training of two layers fails, or its process is killed."""

    kills = False

    def __call__(
        self, architecture: lm.Architecture, *, fidelity: float, start: dict[str, Tensor] | None = None
    ) -> lm.estimators.Score:
        if architecture["depth"] == "2":
            if self.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ArithmeticError("diverged")
        warnings.warn(f"a network of width {architecture['layer1.width']}", stacklevel=1)
        return super().__call__(architecture, fidelity=fidelity, start=start)


def same(one: lm.SearchResult, other: lm.SearchResult) -> bool:
    """Whether everything is equal to the last bit but seconds."""
    weights, others = one.network.state_dict(), other.network.state_dict()
    trials = [[replace(each, cost=replace(each.cost, seconds=0.0)) for each in r.record.trials] for r in (one, other)]
    return (
        trials[0] == trials[1]
        and (one.test_score, one.cost.flops, one.untried) == (other.test_score, other.cost.flops, other.untried)
        and weights.keys() == others.keys()
        and all(torch.equal(tensor, others[name]) for name, tensor in weights.items())
    )


@pytest.mark.parametrize(
    "method",
    [SuccessiveHalving(candidates=5, finish=True), EvolvingHalving(candidates=(4, 3), rungs=(0.5, 0.3))],
    ids=["halving", "evolving"],
)
def test_a_search_does_not_depend_on_the_number_of_workers(
    task: lm.Task, space: lm.LayeredSpace, method: lm.Searcher
) -> None:
    given: dict[str, Any] = {"flops": 4e7, "recipe": lm.Recipe(epochs=6), "progress": False}
    one, *others = (lm.search(task, space, method=method, workers=number, **given) for number in (1, 2, 3))
    assert len(one.record.trials) > 5
    assert all(same(one, other) for other in others)
    assert all(trial.cost.seconds > 0 for trial in others[0].record.trials)
    assert active_children() == []


def test_failures_and_warnings_do_not_depend_on_it_either(task: lm.Task, space: lm.LayeredSpace) -> None:
    found, told = [], []
    for number in (1, 2):
        method = SuccessiveHalving(candidates=6, rungs=(1.0,), estimator=Failing)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found.append(lm.search(task, space, method=method, flops=2e7, workers=number, progress=False))
        told.append(sorted((str(each.message), each.filename, each.lineno) for each in caught))
    assert same(*found)
    assert {trial.failure for trial in found[0].record.trials} == {"", "ArithmeticError: diverged"}
    assert told[0] == told[1] != []


def test_a_killed_process_loses_its_candidate_only(
    task: lm.Task, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = SuccessiveHalving(candidates=6, rungs=(1.0,), estimator=Failing)
    given: dict[str, Any] = {"method": method, "flops": 2e7, "progress": False}
    with pytest.warns(UserWarning, match="of width"):
        whole = lm.search(task, space, workers=1, **given)
    monkeypatch.setattr(Failing, "kills", True)
    with pytest.warns(UserWarning, match="of width"):
        cut = lm.search(task, space, workers=2, **given)
    failures = {trial.failure for trial in cut.record.trials if trial.failure}
    assert failures == {"RuntimeError: its process died (killed by signal 9, as for want of memory)"}
    assert [t.value for t in cut.record.trials] == [t.value for t in whole.record.trials]
    assert cut.cost.flops == whole.cost.flops
    assert active_children() == []


def test_work_is_side_by_side_and_results_are_in_order(tmp_path: Path) -> None:
    def meet(name: str, other: str, step_ended: StepEnded) -> str:
        (tmp_path / name).touch()
        for _ in range(600):
            if (tmp_path / other).exists():
                return name
            time.sleep(0.1)
        raise TimeoutError

    then: list[str] = []
    with worker_processes(2):
        assert workers_now() == 2
        slow = submit(partial(asleep, 0.3, "slow")).then(then.append)
        both = [submit(partial(meet, *names)).then(then.append) for names in (("a", "b"), ("b", "a"))]
        late = submit(partial(asleep, 0.0, "late")).then(then.append)
        assert [each.result() for each in (slow, *both, late)] == then == ["slow", "a", "b", "late"]
    assert 0.3 <= slow.seconds < 60
    assert workers_now() == 1


def test_steps_are_told_in_the_main_process() -> None:
    def steps(step_ended: StepEnded) -> int:
        for _ in range(3):
            step_ended()
        return os.getpid()

    told: list[int] = []
    for number in (1, 2):
        with worker_processes(number):
            process = submit(steps, lambda: told.append(os.getpid())).result()
        assert (process == os.getpid()) == (number == 1)
    assert told == 6 * [os.getpid()]


def test_an_error_comes_with_its_traceback_and_others_go_on() -> None:
    class OfTwoError(ValueError):
        def __init__(self, one: str, other: str) -> None:
            super().__init__(f"{one} {other}")

    with worker_processes(2):
        wrong = submit(partial(failing, KeyError("lost")))
        odd = submit(partial(failing, OfTwoError("cannot be", "read again")))
        right = submit(partial(asleep, 0.1, "right"))
        with pytest.raises(KeyError, match="lost") as caught:
            wrong.result()
        assert "in failing" in caught.value.__notes__[0]
        with pytest.raises(RuntimeError, match=r"^OfTwoError: cannot be read again$"):
            odd.result()
        assert right.result() == "right"


def test_an_interrupt_leaves_no_process() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    def step(step_ended: StepEnded) -> None:
        step_ended()
        time.sleep(600)

    def wait(one: Submitted[Any]) -> None:
        one.result()

    with worker_processes(2):
        one, other = submit(step, interrupted), submit(partial(asleep, 600.0, None))
        waiting = submit(partial(asleep, 600.0, None))
        with pytest.raises(KeyboardInterrupt):
            wait(one)
        assert active_children() == []
        for each in (one, other, waiting):
            with pytest.raises(RuntimeError, match="it was given up"):
                wait(each)
        assert submit(partial(asleep, 0.0, "again")).result() == "again"
        submit(partial(asleep, 600.0, None))
    assert active_children() == []


def test_work_that_is_given_up_makes_room() -> None:
    with worker_processes(2):
        endless = [submit(partial(asleep, 600.0, None)) for _ in range(3)]
        last = submit(partial(asleep, 0.0, "last"))
        for each in endless:
            each.give_up()
        assert last.result() == "last"


SCRIPT = """
import os, sys, time
from functools import partial
from lit_metanas.training.workers import submit, worker_processes

def tell():  # in one write, as three processes share the pipe
    os.write(1, f"{os.getpid()}\\n".encode())

def work(step_ended):
    tell()
    time.sleep(600)

try:
    with worker_processes(2):
        works = [submit(work) for _ in range(2)]
        tell()
        works[0].result()
except KeyboardInterrupt:
    sys.exit(3)
"""


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_no_process_outlives_the_main_one(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        started = [int(main.stdout.readline()) for _ in range(3)]
        assert all(map(alive, started))
        main.send_signal(number)
        code = main.wait(60)
    assert code == (3 if number == signal.SIGINT else -number)
    end = time.monotonic() + 60
    while any(map(alive, started)):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_spawned_processes_give_the_same(
    task: lm.Task, space: lm.LayeredSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"method": SuccessiveHalving(candidates=3), "flops": 1e7, "progress": False}
    one = lm.search(task, space, workers=1, **given)
    monkeypatch.setattr(workers, "_method", lambda: "spawn")
    assert same(one, lm.search(task, space, workers=2, **given))


def test_auto_is_one_for_each_core_if_the_work_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    number: Callable[..., int] = partial(number_of_workers, device=CPU)
    monkeypatch.setattr(workers, "own_cores", lambda: 6)
    assert [number("auto", flops=flops) for flops in (1e9, 1e12)] == [1, 6]
    assert [number(given, flops=1e9) for given in (1, 2, 5)] == [1, 2, 5]
    assert number_of_workers("auto", flops=1e12, device=torch.device("cuda")) == 1
    monkeypatch.setattr(workers, "_method", lambda: "spawn")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    assert [number(given, flops=1e12) for given in ("auto", 2)] == [1, 2]
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/usr/bin/lit-metanas")
    assert number("auto", flops=1e12) == 6
    torch.set_num_threads(2)
    try:
        assert [number(given, flops=1e12) for given in ("auto", 2)] == [1, 1]
    finally:
        torch.set_num_threads(1)
