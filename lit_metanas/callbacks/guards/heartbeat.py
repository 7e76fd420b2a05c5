"""Heartbeats between processes, sent by a thread of each while its main thread computes or waits."""

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

INTERVAL = 1.0
"""Seconds between two heartbeats."""

EXIT_GRACE = 3.0
"""Seconds that the main thread has to end the process by itself, before the heartbeat thread does."""

EXITED = "has exited"
"""Of a process whose connection is closed."""

_WAITING_MODULES = (distributed.__name__, collectives.__name__, replica_check.__name__)
"""Modules in which a main thread waits for other processes; the last two copy received tensors from a GPU."""


class Rendezvous(NamedTuple):
    """Where the first process listens, and what lets others in.

    Attributes:
        host: its name or address.
        port: a free one.
        key: lets only processes of this run in.
    """

    host: str
    port: int
    key: bytes


class Heartbeat(threading.Thread):
    """Sends heartbeats to the first process, and learns from it of lost ones: a star of TCP connections.

    A process that dies closes its connection; one that is stopped, or whose machine fails, sends no more heartbeats;
    one whose main thread hangs makes no progress. The first process then tells all others which it was.

    Args:
        rank: number of this process.
        timeout: seconds without a heartbeat after which a process counts as lost.
        hang_timeout: seconds without progress, while others wait for it, after which a process counts as hanging; None
            sets no limit.
        children: processes that this one has started, by rank.
        end: is called with the reason where the main thread does not end this process by itself.
    """

    def __init__(
        self,
        *,
        rank: int,
        timeout: float,
        hang_timeout: float | None,
        children: Mapping[int, subprocess.Popen[bytes]],
        end: Callable[[str], None],
    ) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.rank, self.timeout, self.hang_timeout, self.children, self._end = (
            rank,
            timeout,
            hang_timeout,
            children,
            end,
        )
        self.progress = 0
        self._main = threading.main_thread().ident
        self._peers: dict[int, Connection] = {}
        self._closed: list[Connection] = []
        self._missed: dict[int, int] = {}
        self._states: dict[int, tuple[str, int]] = {}
        self._reason = ""
        self._suspended = 0.0
        self._reason_known, self._disconnected, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._send_lock, self._closing = threading.Lock(), False

    def listen(self, host: str, everywhere: bool, others: int) -> Rendezvous:
        """Listen, as the first process, and accept the others.

        Args:
            host: the name or address under which they find this machine.
            everywhere: whether some are on other machines.
            others: their number.
        """
        key = secrets.token_bytes(16)
        # A machine may know itself by a name that leads to itself alone; who lacks the key is not let in.
        listener = Listener(("0.0.0.0" if everywhere else host, 0), backlog=others, authkey=key)  # noqa: S104

        def accept() -> None:
            while len(self._peers) < others:
                with suppress(AuthenticationError, EOFError, OSError):  # from another program, such as a port scanner
                    peer = listener.accept()
                    self._add(int(peer.recv_bytes()), peer)
            listener.close()
            self.start()

        threading.Thread(target=accept, name="rendezvous", daemon=True).start()
        return Rendezvous(host, listener.address[1], key)

    def connect(self, rendezvous: Rendezvous) -> None:
        """Connect, as another process."""
        peer = Client((rendezvous.host, rendezvous.port), authkey=rendezvous.key)
        peer.send_bytes(str(self.rank).encode())
        self._add(0, peer)
        self.start()

    def run(self) -> None:
        """Send and receive heartbeats until this process is done, or another is lost."""
        last = time.monotonic()
        while not (self._ended.is_set() or self._reason):
            if not self._peers:
                self._disconnected.set()
                self._ended.wait(INTERVAL)
                continue
            readable = wait(list(self._peers.values()), timeout=INTERVAL)
            now = time.monotonic()
            if now - last >= INTERVAL:
                self._suspended = now - last if now - last > 5 * INTERVAL else 0.0
            for ready in readable:
                self._receive(next(rank for rank, peer in self._peers.items() if peer is ready))
            if now - last >= INTERVAL:
                self._send_beat(suspended=self._suspended > 0)
                last = now
        if self._reason and not self._ended.wait(EXIT_GRACE):
            self._end(self._reason)

    def wait_for_reason(self) -> str:
        """Wait until it is known which process was lost; empty where none was within the timeout."""
        self._reason_known.wait(self.timeout + EXIT_GRACE)
        return self._reason

    def close(self, reason: str = "") -> None:
        """Tell the others why all are to stop; or, without a reason, disconnect once they have said that they are done.

        Closing a connection with something unread in it would discard what was sent last.
        """
        if reason:
            self._ended.set()  # the others send it back
        with self._send_lock:
            self._send_all(f"!{reason}" if reason else ".")
            self._closing = True
        if not (reason or self._reason):
            self._disconnected.wait(EXIT_GRACE)
        self._ended.set()

    def _add(self, rank: int, peer: Connection) -> None:
        self._peers[rank], self._missed[rank] = peer, 0

    def _receive(self, rank: int) -> None:
        try:
            text = self._peers[rank].recv_bytes().decode()
        except (EOFError, OSError):
            self._closed.append(self._peers.pop(rank))
            if not self._closing:
                self._report_loss(rank, EXITED)
            return
        self._missed[rank] = 0
        if text == ".":
            self._closed.append(self._peers.pop(rank))
        elif text.startswith("!"):
            self._stop_all(text[1:])
        else:
            self._record(rank, text)

    def _send_beat(self, *, suspended: bool) -> None:
        """Send a heartbeat, and count those that others have missed.

        Args:
            suspended: whether this process was itself stopped, and so could receive none.
        """
        own = f"{self.progress} {int(_is_waiting(self._main))}"
        with self._send_lock:
            if self._closing:
                return
            self._send_all(own)
        self._record(self.rank, own)
        for rank in self._peers:
            self._missed[rank] = 0 if suspended else self._missed[rank] + 1
            if self._missed[rank] * INTERVAL >= self.timeout:
                self._report_loss(rank, f"has sent no heartbeat for {self.timeout:g} s")
                return
        if suspended:
            return  # what the others have sent meanwhile is still to be read
        for rank, child in self.children.items():
            if child.poll() and rank in self._peers:
                self._report_loss(rank, EXITED)
                return
        if self.rank == 0 and self.hang_timeout is not None:
            self._find_hang(round(self.hang_timeout / INTERVAL))

    def _record(self, rank: int, text: str) -> None:
        before, beats = self._states.get(rank, ("", 0))
        self._states[rank] = (text, beats + 1 if text == before else 0)

    def _find_hang(self, beats: int) -> None:
        still = {rank: text.endswith("1") for rank, (text, count) in self._states.items() if count >= beats}
        waiting = [rank for rank, waits in still.items() if waits]
        hanging = [rank for rank, waits in still.items() if not waits]
        if waiting and hanging:
            how = f"has made no progress for {self.hang_timeout:g} s while process {waiting[0]} waits for it"
            self._report_loss(hanging[0], how)

    def _report_loss(self, rank: int, how: str) -> None:
        if self._suspended >= self.timeout:  # the others have given up this one
            self._stop_all(f"Process {self.rank} has sent no heartbeat for {self.timeout:g} s")
            return
        child = self.children.get(rank)
        if child is not None and how == EXITED:
            with suppress(subprocess.TimeoutExpired):
                code = child.wait(INTERVAL)
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        if child is not None:
            child.kill()  # a stopped one would stay for ever
        self._stop_all(f"Process {rank} {how}")

    def _stop_all(self, reason: str) -> None:
        self._reason = reason
        self._send_all(f"!{reason}")
        self._reason_known.set()

    def _send_all(self, text: str) -> None:
        for peer in list(self._peers.values()):
            with suppress(OSError):  # noticed when it is next read
                peer.send_bytes(text.encode())


def end_process(message: str) -> None:
    """Print a message, if there is one, and end this process, whatever its main thread waits for."""
    if message:
        print(f"lit-metanas: {message}", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(1)


def _is_waiting(thread: int | None) -> bool:
    """Whether a thread is in one of the modules in which it waits for other processes."""
    frame = None if thread is None else sys._current_frames().get(thread)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_WAITING_MODULES):
            return True
        frame = frame.f_back
    return False
