"""Which steps may start, and how long all of them take."""

from __future__ import annotations

from collections.abc import Set

from lit_metanas.cli.experiment.plan import Step


class Schedule:
    """Steps of different seeds side by side; within a seed in order; steps of all seeds alone.

    Args:
        steps: all steps, in the order in which one process would do them.
        jobs: how many run at once.
    """

    def __init__(self, steps: list[Step], jobs: int) -> None:
        self.steps = steps
        self.jobs = jobs
        self._after: list[set[int]] = []  # for each step, those that it directly waits for
        last: dict[int | None, int] = {}  # the last step of each seed since the last of all seeds, and that one
        for number, step in enumerate(steps):
            if step.seed is None:
                self._after.append(set(last.values()))
                last = {None: number}
            else:
                before = last.get(step.seed, last.get(None))
                self._after.append(set() if before is None else {before})
                last[step.seed] = number

    def next(self, done: Set[int], running: Set[int]) -> int | None:
        """The step to start: of those that wait for nothing, one of the seed with most left to do."""
        waiting = [number for number in range(len(self.steps)) if number not in done and number not in running]
        free = [number for number in waiting if self._after[number] <= done]
        left: dict[int | None, float] = {}
        for number in waiting:
            seed = self.steps[number].seed
            left[seed] = left.get(seed, 0.0) + self.steps[number].minutes
        return max(free, key=lambda number: left[self.steps[number].seed], default=None)

    def minutes_left(self, done: Set[int], running: dict[int, float]) -> float:
        """Wall-clock minutes until all is done, if each step takes its minutes.

        Args:
            done: steps that are done.
            running: the minutes that the others which have begun have run.
        """
        finished, now = set(done), 0.0
        ends = {number: max(self.steps[number].minutes - spent, 0.0) for number, spent in running.items()}
        while True:
            while len(ends) < self.jobs and (number := self.next(finished, ends.keys())) is not None:
                ends[number] = now + self.steps[number].minutes
            if not ends:
                return now
            first = min(ends, key=lambda number: ends[number])
            now = ends.pop(first)
            finished.add(first)
