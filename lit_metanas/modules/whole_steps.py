"""Interruptions between training steps, not within."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class WholeSteps:
    """Holds SIGINT back while parameters change, so that a checkpoint written on interruption can be resumed exactly.

    A second signal is not held back.
    """

    def __init__(self) -> None:
        self._handler: Any = None
        self._waiting = False

    def begin(self) -> None:
        """From here on a signal waits; nothing changes outside of the main thread, which alone gets signals."""
        if self._handler is None and threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGINT)
            if self._handler is not None:  # one that is not Python's could not be put back
                signal.signal(signal.SIGINT, self._note)

    def end(self) -> None:
        """Let signals through again, the one that has waited first."""
        handler, self._handler = self._handler, None
        waiting, self._waiting = self._waiting, False
        if handler is not None:
            signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        again, self._waiting = self._waiting, True
        if again:
            self.end()
