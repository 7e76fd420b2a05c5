"""Processes hear of each other, and name the one that is lost."""

import re
import subprocess
import sys
import threading
import time

import pytest

from lit_metanas.callbacks import RankWatch, signs_of_life
from lit_metanas.callbacks.signs_of_life import SignsOfLife

BEAT = 0.05
WAITS = signs_of_life._waits


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(signs_of_life, "BEAT", BEAT)
    monkeypatch.setattr(signs_of_life, "GRACE", 0.5)
    # What runs here waits in no collective: tests say who does.
    monkeypatch.setattr(signs_of_life, "_waits", lambda thread: False)


def star(size, *, limit=60.0, stuck=None, children=None):
    """As many processes, here threads, and what they ended with."""
    ended = {}
    signs = [
        SignsOfLife(
            rank=rank,
            limit=limit,
            stuck=stuck,
            children=(children or {}) if rank == 0 else {},
            end=lambda said, rank=rank: ended.setdefault(rank, said),
        )
        for rank in range(size)
    ]
    meeting = signs[0].open("127.0.0.1", False, size - 1)
    for each in signs[1:]:
        each.join_in(meeting)
    deadline = time.monotonic() + 10
    while not signs[0].is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    return signs, ended


def join(signs):
    for each in signs:
        each.join(20)
        assert not each.is_alive()


def part(signs):
    """All at once, as after a barrier."""
    leaving = [threading.Thread(target=each.leave) for each in signs]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join(20)
    join(signs)


def vanish(signs):
    """As the kernel does it when a process dies."""
    signs._over.set()
    signs.join(20)
    for peer in list(signs._peers.values()):
        peer.close()


def test_processes_that_part_are_not_missed():
    signs, ended = star(3, limit=5 * BEAT)
    time.sleep(15 * BEAT)
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


def test_one_that_falls_silent_is_named(monkeypatch):
    signs, ended = star(3, limit=4 * BEAT)
    monkeypatch.setattr(signs[1], "_tell", lambda text: None)
    join(signs)
    assert set(ended.values()) == {"Process 1 has given no sign of life for 0.2 s"}
    assert {0, 2} <= set(ended)


def test_who_was_stopped_himself_blames_nobody():
    signs, ended = star(2, limit=4 * BEAT)
    silent = signs[0]._silent
    for _ in range(10):
        silent[1] = 100
        signs[0]._beat(suspended=True)
    part(signs)
    assert ended == {}


def test_one_that_hangs_is_named_if_another_waits_for_it(monkeypatch):
    signs, ended = star(3, stuck=10 * BEAT)
    waiting = threading.Event()
    by_thread = {each.ident: each.rank for each in signs}
    monkeypatch.setattr(
        signs_of_life, "_waits", lambda _: waiting.is_set() and by_thread[threading.get_ident()] in (0, 2)
    )
    time.sleep(20 * BEAT)
    assert ended == {}  # nobody waits
    waiting.set()
    join(signs)
    assert set(ended) >= {0, 2}
    (said,) = set(ended.values())
    assert re.fullmatch("Process 1 has come no further for 0.5 s, while process [02] waits for it", said)


def test_one_that_comes_further_does_not_hang(monkeypatch):
    signs, ended = star(2, stuck=10 * BEAT)
    first = signs[0].ident
    monkeypatch.setattr(signs_of_life, "_waits", lambda _: threading.get_ident() == first)
    for _ in range(30):
        signs[1].progress += 1
        time.sleep(BEAT)
    part(signs)
    assert ended == {}


def test_a_reason_reaches_all():
    signs, ended = star(3)
    signs[1].leave("Process 1 has stopped (the disk is full)")
    join(signs)
    assert ended == dict.fromkeys([0, 2], "Process 1 has stopped (the disk is full)")


def test_the_main_thread_may_end_by_itself():
    signs, ended = star(2)
    signs[1].leave("Process 1 has stopped")
    assert signs[0].verdict() == "Process 1 has stopped"
    signs[0].leave()
    join(signs)
    assert ended == {}


def test_how_a_child_ended_is_told_and_a_stopped_one_is_killed():
    child = subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"])
    signs, ended = star(2, limit=6 * BEAT, children={1: child})
    signs[1]._tell = lambda text: None
    join(signs)
    assert ended[0].startswith("Process 1 has given no sign of life")
    assert child.wait(10) == -9
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

    signs = [SignsOfLife(rank=rank, limit=60, stuck=None, children={}, end=print) for rank in range(2)]
    meeting = signs[0].open("127.0.0.1", False, 1)
    with socket.create_connection((meeting.host, meeting.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
    signs[1].join_in(meeting)
    time.sleep(4 * BEAT)
    assert set(signs[0]._peers) == {1}
    part(signs)


def test_waiting_is_seen_in_the_main_threads_stack():
    module = type(sys)("torch.distributed.made_up")
    code = "def wait(event):\n    event.wait(10)\n"
    exec(code, vars(module))
    over = threading.Event()
    threads = [threading.Thread(target=target, args=(over,)) for target in (module.wait, lambda event: event.wait(10))]
    for thread in threads:
        thread.start()
    assert [WAITS(thread.ident) for thread in threads] == [True, False]
    over.set()
    for thread in threads:
        thread.join()
    assert not WAITS(threads[0].ident)


def test_seconds_below_two_are_refused():
    with pytest.raises(ValueError, match="limit is 1 and stuck"):
        RankWatch(limit=1)
