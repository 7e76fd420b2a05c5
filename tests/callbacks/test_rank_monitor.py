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

from lit_metanas.callbacks import RankMonitor
from lit_metanas.callbacks.guards import heartbeat
from lit_metanas.callbacks.guards.heartbeat import Heartbeat
from lit_metanas.callbacks.guards.rank_monitor import _children

BEAT = 0.05
PATIENCE = 300
"""Seconds that the busiest machine may take."""

WAITS = heartbeat._waits


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT", BEAT)
    monkeypatch.setattr(heartbeat, "EXIT_GRACE", 0.5)
    # What runs here waits in no collective: tests say who does.
    monkeypatch.setattr(heartbeat, "_waits", lambda thread: False)


def until(happens):
    deadline = time.monotonic() + PATIENCE
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def star(size, *, limit=PATIENCE, stuck=None, children=None, by_hand=False):
    """As many processes, here threads, and what they ended with.

    By hand, ``beats`` stands for the threads until ``run`` starts them; the main threads are known by the ranks.
    """
    ended, begun = {}, []
    signs = [
        Heartbeat(
            rank=rank,
            limit=limit,
            stuck=stuck,
            children=(children or {}) if rank == 0 else {},
            end=lambda said, rank=rank: ended.setdefault(rank, said),
        )
        for rank in range(size)
    ]
    if by_hand:
        for each in signs:
            each.start, each._main = lambda rank=each.rank: begun.append(rank), each.rank
    meeting = signs[0].open("127.0.0.1", False, size - 1)
    for each in signs[1:]:
        each.join_in(meeting)
    until(lambda: 0 in begun or signs[0].is_alive())
    return signs, ended


def beats(signs, count, silent=None):
    """So many heartbeats of all but one, each heard by all."""
    for _ in range(count):
        for each in signs:
            if each.rank != silent:
                each._beat(suspended=False)
        for each in signs:
            for rank in set(each._peers) - {silent}:
                each._hear(rank)


def run(signs):
    """Leave the rest to the threads, which have all the time that they need."""
    for each in signs:
        each.limit, each.stuck = PATIENCE, None
        threading.Thread.start(each)


def said(signs):
    return [each._said for each in signs if each._said]


def join(signs):
    for each in signs:
        each.join(PATIENCE)
        assert not each.is_alive()


def part(signs):
    """All at once, as after a barrier."""
    leaving = [threading.Thread(target=each.leave) for each in signs]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join(PATIENCE)
    join(signs)


def vanish(signs):
    """As the kernel does it when a process dies."""
    signs._over.set()
    signs.join(PATIENCE)
    for peer in list(signs._peers.values()):
        peer.close()


def test_processes_that_part_are_not_missed():
    signs, ended = star(3, limit=5 * BEAT, by_hand=True)
    beats(signs, 15)
    assert not said(signs)
    run(signs)
    until(lambda: min(count for _, count in signs[0]._states.values()) >= 30)  # the threads beat, too
    assert all(each.is_alive() for each in signs)
    part(signs)
    assert ended == {}


def test_one_that_dies_is_named_to_all():
    signs, ended = star(4)
    vanish(signs[2])
    join(signs)
    assert ended == dict.fromkeys([0, 1, 3], "Process 2 is gone")
    assert signs[3].verdict() == "Process 2 is gone"


def test_where_the_first_dies_all_say_so():
    signs, ended = star(3)
    vanish(signs[0])
    join(signs)
    assert ended == dict.fromkeys([1, 2], "Process 0 is gone")


def test_one_that_falls_silent_is_named():
    signs, ended = star(3, limit=4 * BEAT, by_hand=True)
    beats(signs, 5)
    beats(signs, 3, silent=1)
    assert not said(signs)
    signs[0]._beat(suspended=False)
    assert said(signs) == ["Process 1 has been silent for 0.2 s"]
    run(signs)
    join(signs)
    assert ended == dict.fromkeys(range(3), "Process 1 has been silent for 0.2 s")


def test_who_was_stopped_himself_blames_nobody():
    signs, ended = star(2, limit=4 * BEAT, by_hand=True)
    for _ in range(10):
        signs[0]._silent[1] = 100
        signs[0]._beat(suspended=True)
    assert not said(signs)
    run(signs)
    part(signs)
    assert ended == {}


@pytest.mark.parametrize("heard", [True, False])
def test_who_was_stopped_himself_and_given_up_says_so(heard, monkeypatch):
    """It finds the others gone, whether what they said last can still be heard or not."""
    signs, _ = star(2, by_hand=True)
    beats(signs, 3)
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"])
    assert child.wait(PATIENCE) == 1
    signs[0].children, signs[0].limit = {1: child}, 20 * BEAT
    if heard:
        signs[1]._beat(suspended=False)
        signs[1]._lose(0, f"has been silent for {20 * BEAT:g} s")
    for peer in signs[1]._peers.values():
        peer.close()
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(monotonic=lambda: next(clock, 60.0)))
    signs[0].run()
    assert signs[0]._said == "Process 0 has been silent for 1 s"


def test_one_that_hangs_is_named_if_another_waits_for_it(monkeypatch):
    signs, ended = star(3, stuck=10 * BEAT, by_hand=True)
    waiting = set()
    monkeypatch.setattr(heartbeat, "_waits", lambda main: main in waiting)
    beats(signs, 20)
    assert not said(signs)  # nobody waits
    waiting |= {0, 2}
    beats(signs, 10)
    assert not said(signs)
    signs[0]._beat(suspended=False)
    run(signs)
    join(signs)
    assert ended == dict.fromkeys(range(3), "Process 1 has come no further for 0.5 s, while process 0 waits for it")


def test_one_that_comes_further_does_not_hang(monkeypatch):
    signs, ended = star(2, stuck=10 * BEAT, by_hand=True)
    monkeypatch.setattr(heartbeat, "_waits", lambda main: main == 0)
    for _ in range(30):
        signs[1].progress += 1
        beats(signs, 1)
    assert not said(signs)
    run(signs)
    part(signs)
    assert ended == {}


def test_a_reason_reaches_all():
    signs, ended = star(3)
    tell = signs[1]._tell
    signs[1]._tell = lambda text: (tell(text), join(signs[::2]))  # it is slow to leave, and hears it from them, too
    signs[1].leave("Process 1 has stopped (the disk is full)")
    join(signs)
    assert ended == dict.fromkeys([0, 2], "Process 1 has stopped (the disk is full)")


def test_the_main_thread_may_end_by_itself(monkeypatch):
    monkeypatch.setattr(heartbeat, "EXIT_GRACE", PATIENCE)
    signs, ended = star(2)
    signs[1].leave("Process 1 has stopped")
    assert signs[0].verdict() == "Process 1 has stopped"
    signs[0].leave()
    join(signs)
    assert ended == {}


def test_how_a_child_ended_is_told_and_a_stopped_one_is_killed():
    child = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"])
    signs, ended = star(2, children={1: child})
    signs[1]._tell = lambda text: None
    beat = signs[0]._beat
    signs[0]._beat = lambda *, suspended: beat(suspended=False)  # as on a machine that is never busy
    signs[0].limit = 6 * BEAT
    join(signs)
    assert ended == dict.fromkeys([0, 1], "Process 1 has been silent for 0.3 s")
    assert child.wait(PATIENCE) == -9
    child = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    signs, ended = star(2, children={1: child})
    join(signs)
    assert ended == dict.fromkeys([0, 1], "Process 1 was killed by SIGKILL")
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    signs, ended = star(2, children={1: child})
    join(signs)
    assert ended == dict.fromkeys([0, 1], "Process 1 has ended with exit code 3")


def test_strangers_are_not_let_in():
    import socket

    signs = [Heartbeat(rank=rank, limit=PATIENCE, stuck=None, children={}, end=print) for rank in range(2)]
    meeting = signs[0].open("127.0.0.1", False, 1)
    with socket.create_connection((meeting.host, meeting.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    signs[1].join_in(meeting)
    until(signs[0].is_alive)
    assert set(signs[0]._peers) == {1}
    part(signs)


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
    with pytest.raises(ValueError, match="limit is 1 and stuck"):
        RankMonitor(limit=1)


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
