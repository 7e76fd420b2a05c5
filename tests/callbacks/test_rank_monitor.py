"""Processes hear of each other, and name the one that is lost.

Where seconds matter, heartbeats are given by hand, in rounds: no thread of a busy machine falls behind another.
"""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn

from lit_metanas.callbacks import RankMonitor
from lit_metanas.callbacks.guards import heartbeat
from lit_metanas.callbacks.guards.heartbeat import Heartbeat
from lit_metanas.callbacks.guards.rank_monitor import _children, _sentence
from lit_metanas.training import Preemption

INTERVAL = 0.05
PATIENCE = 300
"""Seconds that the busiest machine may take."""

WAITS = heartbeat._is_waiting


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(heartbeat, "INTERVAL", INTERVAL)
    monkeypatch.setattr(heartbeat, "EXIT_GRACE", 0.5)
    # What runs here waits in no collective: tests say who does.
    monkeypatch.setattr(heartbeat, "_is_waiting", lambda thread: False)


def until(happens):
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def star(size, *, timeout=PATIENCE, hang_timeout=None, children=None, by_hand=False):
    """As many processes, here threads, and what they ended with.

    By hand, ``beats`` stands for the threads until ``run`` starts them; the main threads are known by the ranks.
    """
    ended, begun = {}, []
    threads = [
        Heartbeat(
            rank=rank,
            timeout=timeout,
            hang_timeout=hang_timeout,
            children=(children or {}) if rank == 0 else {},
            end=lambda said, rank=rank: ended.setdefault(rank, said),
        )
        for rank in range(size)
    ]
    if by_hand:
        for each in threads:
            each.start, each._main = lambda rank=each.rank: begun.append(rank), each.rank
    rendezvous = threads[0].listen("127.0.0.1", False, size - 1)
    for each in threads[1:]:
        each.connect(rendezvous)
    until(lambda: 0 in begun or threads[0].is_alive())
    return threads, ended


def beats(threads, count, silent=None):
    """So many heartbeats of all but one, each heard by all."""
    for _ in range(count):
        for each in threads:
            if each.rank != silent:
                each._send_beat(suspended=False)
        for each in threads:
            for rank in set(each._peers) - {silent}:
                each._receive(rank)


def run(threads):
    """Leave the rest to the threads, which have all the time that they need."""
    for each in threads:
        each.timeout, each.hang_timeout = PATIENCE, None
        threading.Thread.start(each)


def reasons(threads):
    return [each._reason for each in threads if each._reason]


def join(threads):
    for each in threads:
        each.join(PATIENCE)
        assert not each.is_alive()


def part(threads):
    """All at once, as after a barrier."""
    leaving = [threading.Thread(target=each.close) for each in threads]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join(PATIENCE)
    join(threads)


def vanish(threads):
    """As the kernel does it when a process dies."""
    threads._ended.set()
    threads.join(PATIENCE)
    for peer in list(threads._peers.values()):
        peer.close()


def test_processes_that_part_are_not_missed():
    threads, ended = star(3, timeout=5 * INTERVAL, by_hand=True)
    beats(threads, 15)
    assert not reasons(threads)
    run(threads)
    until(lambda: min(count for _, count in threads[0]._states.values()) >= 30)  # the threads beat, too
    assert all(each.is_alive() for each in threads)
    part(threads)
    assert ended == {}


def test_one_that_dies_is_named_to_all():
    threads, ended = star(4)
    vanish(threads[2])
    join(threads)
    assert ended == dict.fromkeys([0, 1, 3], "Process 2 has exited")
    assert threads[3].wait_for_reason() == "Process 2 has exited"


def test_where_the_first_dies_all_say_so():
    threads, ended = star(3)
    vanish(threads[0])
    join(threads)
    assert ended == dict.fromkeys([1, 2], "Process 0 has exited")


def test_one_that_falls_silent_is_named():
    threads, ended = star(3, timeout=4 * INTERVAL, by_hand=True)
    beats(threads, 5)
    beats(threads, 3, silent=1)
    assert not reasons(threads)
    threads[0]._send_beat(suspended=False)
    assert reasons(threads) == ["Process 1 has sent no heartbeat for 0.2 s"]
    run(threads)
    join(threads)
    assert ended == dict.fromkeys(range(3), "Process 1 has sent no heartbeat for 0.2 s")


def test_who_was_stopped_himself_blames_nobody():
    threads, ended = star(2, timeout=4 * INTERVAL, by_hand=True)
    for _ in range(10):
        threads[0]._missed[1] = 100
        threads[0]._send_beat(suspended=True)
    assert not reasons(threads)
    run(threads)
    part(threads)
    assert ended == {}


@pytest.mark.parametrize("heard", [True, False])
def test_who_was_stopped_himself_and_given_up_says_so(heard, monkeypatch):
    """It finds the others gone, whether what they said last can still be heard or not."""
    threads, _ = star(2, by_hand=True)
    beats(threads, 3)
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    assert child.wait(PATIENCE) == 1
    threads[0].children, threads[0].timeout = {1: child}, 20 * INTERVAL
    if heard:
        threads[1]._send_beat(suspended=False)
        threads[1]._report_loss(0, f"has sent no heartbeat for {20 * INTERVAL:g} s")
    for peer in threads[1]._peers.values():
        peer.close()
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: next(clock, 60.0)))
    threads[0].run()
    assert threads[0]._reason == "Process 0 has sent no heartbeat for 1 s"


def test_one_that_hangs_is_named_if_another_waits_for_it(monkeypatch):
    threads, ended = star(3, hang_timeout=10 * INTERVAL, by_hand=True)
    waiting = set()
    monkeypatch.setattr(heartbeat, "_is_waiting", lambda main: main in waiting)
    beats(threads, 20)
    assert not reasons(threads)  # nobody waits
    waiting |= {0, 2}
    beats(threads, 10)
    assert not reasons(threads)
    threads[0]._send_beat(suspended=False)
    run(threads)
    join(threads)
    assert ended == dict.fromkeys(range(3), "Process 1 has made no progress for 0.5 s while process 0 waits for it")


def test_one_that_comes_further_does_not_hang(monkeypatch):
    threads, ended = star(2, hang_timeout=10 * INTERVAL, by_hand=True)
    monkeypatch.setattr(heartbeat, "_is_waiting", lambda main: main == 0)
    for _ in range(30):
        threads[1].progress += 1
        beats(threads, 1)
    assert not reasons(threads)
    run(threads)
    part(threads)
    assert ended == {}


def test_a_reason_reaches_all():
    threads, ended = star(3)
    tell = threads[1]._send_all
    threads[1]._send_all = lambda text: (
        tell(text),
        join(threads[::2]),
    )  # it is slow to leave, and hears it from them, too
    threads[1].close("Process 1 has stopped (the disk is full)")
    join(threads)
    assert ended == dict.fromkeys([0, 2], "Process 1 has stopped (the disk is full)")


def test_the_main_thread_may_end_by_itself(monkeypatch):
    monkeypatch.setattr(heartbeat, "EXIT_GRACE", PATIENCE)
    threads, ended = star(2)
    threads[1].close("Process 1 has stopped")
    assert threads[0].wait_for_reason() == "Process 1 has stopped"
    threads[0].close()
    join(threads)
    assert ended == {}


def test_how_a_child_ended_is_told_and_a_stopped_one_is_killed():
    child = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"])
    threads, ended = star(2, children={1: child})
    threads[1]._send_all = lambda text: None
    beat = threads[0]._send_beat
    threads[0]._send_beat = lambda *, suspended: beat(suspended=False)  # as on a machine that is never busy
    threads[0].timeout = 6 * INTERVAL
    join(threads)
    assert ended == dict.fromkeys([0, 1], "Process 1 has sent no heartbeat for 0.3 s")
    assert child.wait(PATIENCE) == -9
    child = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    threads, ended = star(2, children={1: child})
    join(threads)
    assert ended == dict.fromkeys([0, 1], "Process 1 was killed by SIGKILL")
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    threads, ended = star(2, children={1: child})
    join(threads)
    assert ended == dict.fromkeys([0, 1], "Process 1 exited with code 3")


def test_strangers_are_not_let_in():
    import socket

    threads = [Heartbeat(rank=rank, timeout=PATIENCE, hang_timeout=None, children={}, end=print) for rank in range(2)]
    rendezvous = threads[0].listen("127.0.0.1", False, 1)
    with socket.create_connection((rendezvous.host, rendezvous.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    threads[1].connect(rendezvous)
    until(threads[0].is_alive)
    assert set(threads[0]._peers) == {1}
    part(threads)


def test_waiting_is_seen_in_the_main_threads_stack():
    module = type(sys)("torch.distributed.made_up")
    code = "def wait(inside, over):\n    inside.set()\n    over.wait()\n"
    exec(code, vars(module))
    here = {}
    exec(code, here)
    over, inside = threading.Event(), [threading.Event(), threading.Event()]
    targets = (module.wait, here["wait"])
    threads = [
        threading.Thread(target=target, args=(event, over)) for target, event in zip(targets, inside, strict=True)
    ]
    for thread, event in zip(threads, inside, strict=True):
        thread.start()
        assert event.wait(PATIENCE)
    assert [WAITS(thread.ident) for thread in threads] == [True, False]
    over.set()
    for thread in threads:
        thread.join()
    assert not WAITS(threads[0].ident)


def test_seconds_below_two_are_refused():
    with pytest.raises(ValueError, match="timeout is 1 and hang_timeout"):
        RankMonitor(timeout=1)


def test_lightnings_observer_is_left_nothing_to_watch(monkeypatch):
    module = "lightning.pytorch.strategies.launchers.subprocess_script"
    watched = []
    monkeypatch.setattr(f"{module}._launch_process_observer", watched.append)
    monkeypatch.setattr(f"{module}._basic_subprocess_cmd", lambda: [sys.executable, "-c", ""])
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "")  # what the launcher sets is put back
        monkeypatch.delenv(name)
    trainer = Trainer(accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_checkpointing=False)
    trainer.strategy.launcher.launch(lambda: None)
    assert len(watched[0]) == 1
    (child,) = watched[0]
    assert _children(trainer) == {1: child}
    assert watched == [[]]
    assert trainer.strategy.launcher.procs == [child]
    assert child.wait(PATIENCE) == 0


def test_what_to_do_is_told_for_the_verb_and_for_the_checkpoint_that_is_there(tmp_path):
    def told(verb):
        trainer.state.fn = verb
        return _sentence("Process 1 has exited", trainer).removeprefix(
            "Process 1 has exited, so the other processes stop: "
        )

    guard = Preemption(str(tmp_path / "own.ckpt"))
    trainer = Trainer(default_root_dir=tmp_path, callbacks=[guard], accelerator="cpu", logger=False)
    for verb in (TrainerFn.TESTING, TrainerFn.VALIDATING, TrainerFn.PREDICTING):
        assert told(verb) == "the same command goes on after what is finished."
    begins = f"there is no checkpoint '{tmp_path}/own.ckpt' yet, so the next start is from the beginning."
    assert told(TrainerFn.FITTING) == begins
    for name in ("checkpoints/last.ckpt", "own.ckpt"):  # of an epoch's end, and between two steps
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
        resumes = f"resume the training with --ckpt_path '{tmp_path}/{name}', or a `run` with the same command."
        assert told(TrainerFn.FITTING) == resumes
