"""A thread in each process by which processes know of each other, while their main threads compute or wait."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import NamedTuple

from torch import distributed

from lit_metanas.callbacks.guards import replica_check
from lit_metanas.training import collectives

BEAT = 1.0
"""Seconds between two heartbeats."""

EXIT_GRACE = 3.0
"""Seconds in which the main thread may end a process by itself, before the thread does."""

_WAITING = (distributed.__name__, collectives.__name__, replica_check.__name__)
"""Modules in which a main thread waits for others: the latter two copy what all have sent from a GPU."""


class Meeting(NamedTuple):
    """Where the first process listens.

    Attributes:
        host: its name or address.
        port: a free one.
        key: lets only processes of this run in.
    """

    host: str
    port: int
    key: bytes


class Heartbeat(threading.Thread):
    """Tells the first process that this one lives, and hears from it of others: a star of TCP connections.

    A process that dies closes its connection; one that is stopped, or whose machine is gone, falls silent; one whose
    main thread hangs comes no further. The first process then tells all others which it was.

    Args:
        rank: number of this process.
        limit: seconds of silence after which a process counts as gone.
        stuck: seconds after which a process counts as hanging that comes no further while others wait for it; None
            lets each take its time.
        children: processes that this one has started, by rank.
        end: is called with the sentence where the main thread does not end this process by itself.
    """

    def __init__(
        self,
        *,
        rank: int,
        limit: float,
        stuck: float | None,
        children: Mapping[int, subprocess.Popen[bytes]],
        end: Callable[[str], None],
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.rank, self.limit, self.stuck, self.children, self._end = rank, limit, stuck, children, end
        self.progress = 0
        self._main = threading.main_thread().ident
        self._peers: dict[int, Connection] = {}
        self._parted: list[Connection] = []
        self._silent: dict[int, int] = {}
        self._states: dict[int, tuple[str, int]] = {}
        self._said = ""
        self._asleep = 0.0
        self._known, self._alone, self._over = threading.Event(), threading.Event(), threading.Event()
        self._speaking, self._parting = threading.Lock(), False

    def open(self, host: str, everywhere: bool, others: int) -> Meeting:
        """Listen, as the first process, and let the others in.

        Args:
            host: the name or address under which they find this machine.
            everywhere: whether some are on other machines.
            others: their number.
        """
        key = secrets.token_bytes(16)
        listener = Listener(("0.0.0.0" if everywhere else host, 0), backlog=others, authkey=key)

        def accept() -> None:
            while len(self._peers) < others:
                with suppress(AuthenticationError, EOFError, OSError):  # something else that looks for open ports
                    peer = listener.accept()
                    self._add(int(peer.recv_bytes()), peer)
            listener.close()
            self.start()

        threading.Thread(target=accept, name="meeting", daemon=True).start()
        return Meeting(host, listener.address[1], key)

    def join_in(self, meeting: Meeting) -> None:
        """Connect, as another process."""
        peer = Client((meeting.host, meeting.port), authkey=meeting.key)
        peer.send_bytes(str(self.rank).encode())
        self._add(0, peer)
        self.start()

    def run(self) -> None:
        """Beat and listen until the process leaves, or another is lost."""
        last = time.monotonic()
        while not (self._over.is_set() or self._said):
            if not self._peers:
                self._alone.set()
                self._over.wait(BEAT)
                continue
            heard = wait(list(self._peers.values()), timeout=BEAT)
            now = time.monotonic()
            if now - last >= BEAT:
                self._asleep = now - last if now - last > 5 * BEAT else 0.0
            for ready in heard:
                self._hear(next(rank for rank, peer in self._peers.items() if peer is ready))
            if now - last >= BEAT:
                self._beat(suspended=self._asleep > 0)
                last = now
        if self._said and not self._over.wait(EXIT_GRACE):
            self._end(self._said)

    def verdict(self) -> str:
        """Wait until it is known which process was lost; empty where none was within the limit."""
        self._known.wait(self.limit + EXIT_GRACE)
        return self._said

    def leave(self, reason: str = "") -> None:
        """Say why all others are to stop; or, without a reason, part once the others have said farewell, too.

        Who closed a connection with something unread in it would take back what he had said last.
        """
        if reason:
            self._over.set()  # the others will say it, too
        with self._speaking:
            self._tell(f"!{reason}" if reason else ".")
            self._parting = True
        if not (reason or self._said):
            self._alone.wait(EXIT_GRACE)
        self._over.set()

    def _add(self, rank: int, peer: Connection) -> None:
        self._peers[rank], self._silent[rank] = peer, 0

    def _hear(self, rank: int) -> None:
        try:
            text = self._peers[rank].recv_bytes().decode()
        except (EOFError, OSError):
            self._parted.append(self._peers.pop(rank))
            if not self._parting:
                self._lose(rank, "is gone")
            return
        self._silent[rank] = 0
        if text == ".":
            self._parted.append(self._peers.pop(rank))
        elif text.startswith("!"):
            self._decide(text[1:])
        else:
            self._note(rank, text)

    def _beat(self, *, suspended: bool) -> None:
        """Send a heartbeat, and count how long others have sent none.

        Args:
            suspended: whether this process was stopped itself, and so could hear nobody.
        """
        own = f"{self.progress} {int(_waits(self._main))}"
        with self._speaking:
            if self._parting:
                return
            self._tell(own)
        self._note(self.rank, own)
        for rank in self._peers:
            self._silent[rank] = 0 if suspended else self._silent[rank] + 1
            if self._silent[rank] * BEAT >= self.limit:
                self._lose(rank, f"has been silent for {self.limit:g} s")
                return
        if suspended:
            return  # what the others have said meanwhile is still to be heard
        for rank, child in self.children.items():
            if child.poll() and rank in self._peers:
                self._lose(rank, "is gone")
                return
        if self.rank == 0 and self.stuck is not None:
            self._look_for_stuck(round(self.stuck / BEAT))

    def _note(self, rank: int, text: str) -> None:
        before, beats = self._states.get(rank, ("", 0))
        self._states[rank] = (text, beats + 1 if text == before else 0)

    def _look_for_stuck(self, beats: int) -> None:
        still = {rank: text.endswith("1") for rank, (text, count) in self._states.items() if count >= beats}
        waiting = [rank for rank, waits in still.items() if waits]
        hanging = [rank for rank, waits in still.items() if not waits]
        if waiting and hanging:
            self._lose(hanging[0], f"has come no further for {self.stuck:g} s, while process {waiting[0]} waits for it")

    def _lose(self, rank: int, how: str) -> None:
        if self._asleep >= self.limit:  # they gave this one up
            self._decide(f"Process {self.rank} has been silent for {self.limit:g} s")
            return
        child = self.children.get(rank)
        if child is not None and how == "is gone":
            with suppress(subprocess.TimeoutExpired):
                code = child.wait(BEAT)
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
        if child is not None:
            child.kill()  # one that is stopped would stay for ever
        self._decide(f"Process {rank} {how}")

    def _decide(self, sentence: str) -> None:
        self._said = sentence
        self._tell(f"!{sentence}")
        self._known.set()

    def _tell(self, text: str) -> None:
        for peer in list(self._peers.values()):
            with suppress(OSError):  # it is noticed when it is listened to
                peer.send_bytes(text.encode())


def end_process(sentence: str) -> None:
    """Print a sentence, if there is one, and end this process, whatever its main thread waits for."""
    if sentence:
        print(f"lit-metanas: {sentence}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(1)


def _waits(thread: int | None) -> bool:
    """Whether a thread is in one of the modules in which it waits for other processes."""
    frame = None if thread is None else sys._current_frames().get(thread)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_WAITING):
            return True
        frame = frame.f_back
    return False
