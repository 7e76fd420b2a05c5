"""Counts episodes and tells how fast they come and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable


class EpisodeMeter:
    """Episodes done, their rate, and the time left, from the share of the work that is done.

    The share is what decides, since a training may end by its account of FLOPs and not by a number of steps. Where it
    began above zero (a resumed training), only what was done since counts for the rate.

    Args:
        done: episodes done before.
        share: share of the work done before, in [0, 1].
        clock: tells seconds.
    """

    def __init__(self, done: int = 0, share: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.done = done
        self.share = share
        self._clock = clock
        self._start = (clock(), done, share)

    def update(self, episodes: int, share: float) -> None:
        """Add episodes, and set the share of the work that is done."""
        self.done += episodes
        self.share = min(max(share, self.share), 1.0)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start[0]

    @property
    def total(self) -> int | None:
        """Episodes that there will have been in the end; None before the first share is known."""
        return round(self.done / self.share) if self.share > 0 else None

    @property
    def rate(self) -> float:
        """Episodes a second since the start."""
        return (self.done - self._start[1]) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds left at the speed so far; None before there is one."""
        gained = self.share - self._start[2]
        return self.elapsed * (1 - self.share) / gained if gained > 0 else None


def clock_time(seconds: float | None) -> str:
    """Seconds as ``0:07``, ``12:34`` or ``1:02:03``; an unknown time as ``-:--``."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
