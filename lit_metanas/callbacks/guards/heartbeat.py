"""Heartbeats between processes; a thread of each sends them while the main thread computes or waits."""

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
"""Seconds that the main thread has to end the process before the heartbeat thread does."""

EXITED = "has exited"
"""The words for a process whose connection is closed."""

_WAITING_MODULES = (distributed.__name__, collectives.__name__, replica_check.__name__)
"""Modules in which a main thread waits for other processes; the last two copy received tensors from a GPU."""


class Rendezvous(NamedTuple):
    """Host and port where the first process listens, and the key of this run's processes."""

    host: str
    port: int
    key: bytes


class Heartbeat(threading.Thread):
    """Sends heartbeats to the first process, which reports lost ones: a star of TCP connections."""

    def __init__(
        self,
        *,
        rank: int,
        timeout: float,
        hang_timeout: float | None,
        children: Mapping[int, subprocess.Popen[bytes]],
        end: Callable[[str], None],
    ) -> None:
        # A process that dies closes its connection; one that is stopped, or whose machine fails, sends no heartbeat for
        # `timeout` seconds; one whose main thread hangs makes no progress for `hang_timeout` while others wait. The
        # first process then sends all others its name. `children` are the processes that this one has started, by rank.
        # `end` gets the reason if the main thread does not end this process.
        super().__init__(name="heartbeat", daemon=True)
        self.rank = rank
        self.timeout = timeout
        self.hang_timeout = hang_timeout
        self.children = children
        self._end = end
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
        """Listen, as the first process, and accept the others; ``host`` is the name by which they find it."""
        key = secrets.token_bytes(16)
        # A machine may know itself by a name that leads to itself alone. Without the key no process is accepted.
        address = "0.0.0.0" if everywhere else host  # noqa: S104
        listener = Listener((address, 0), backlog=others, authkey=key)

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
        """Connect to the first process."""
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
        """Wait for the message that names the lost process; empty if none comes within the timeout."""
        self._reason_known.wait(self.timeout + EXIT_GRACE)
        return self._reason

    def close(self, reason: str = "") -> None:
        """Send the reason why all stop; or, without a reason, disconnect once the others are done."""
        message = "."
        if reason:
            message = f"!{reason}"
            self._ended.set()  # the others send it back
        with self._send_lock:
            self._send_all(message)
            self._closing = True
        # Closing a connection that has something unread would discard the last message.
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
        """Send a heartbeat and count missed ones; a process that was itself suspended received none."""
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
            return  # messages that the others have sent meanwhile are still to be read
        for rank, child in self.children.items():
            if child.poll() and rank in self._peers:
                self._report_loss(rank, EXITED)
                return
        if self.rank == 0 and self.hang_timeout is not None:
            self._find_hang(round(self.hang_timeout / INTERVAL))

    def _record(self, rank: int, text: str) -> None:
        before, beats = self._states.get(rank, ("", 0))
        beats = beats + 1 if text == before else 0
        self._states[rank] = (text, beats)

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
                how = f"exited with code {code}"
                if code < 0:
                    how = f"was killed by {signal.Signals(-code).name}"
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
    frame = sys._current_frames().get(thread or 0)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith(_WAITING_MODULES):
            return True
        frame = frame.f_back
    return False
