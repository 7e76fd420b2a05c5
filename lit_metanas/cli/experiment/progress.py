"""What is done of an experiment: a mark in each step's folder, and what is printed as the steps go by."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from lit_metanas.cli.experiment.plan import Step
from lit_metanas.io.files import write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.own_folder import set_aside
from lit_metanas.io.text import duration, printable, rough


class Progress:
    """Which steps are done, what they took, and at which pace the others will go.

    Args:
        steps: all steps, in order; each is named by its place among them.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.done: dict[int, str] = {}
        self._anew: set[int | None] = set()
        self._resumed: set[int] = set()
        self._spent = self._expected = 0.0

    @property
    def pace(self) -> float:
        """Seconds for each second of the plan, in the steps that ran whole."""
        return self._spent / self._expected if self._expected else 1.0

    def finished(self) -> set[int]:
        """The steps that were finished before, or are done now."""
        anew, found = set(self._anew), set(self.done)
        for number, step in enumerate(self.steps):
            if number in found:
                continue
            before = state(step, anew)
            if before == "finished":
                found.add(number)
            elif before == "new":
                anew.add(step.seed)
        return found

    def begin(self, number: int) -> list[str] | None:
        """Say that a step begins, and make room for it.

        Returns:
            The command line to execute; None if the step was finished before.
        """
        step = self.steps[number]
        found = state(step, self._anew)
        if found == "finished":
            self.done[number] = "skipped"
            self.say(number, ": already finished, skipped")
            return None
        aside = None
        if found == "new":
            self._anew.add(step.seed)
            aside = set_aside(step.folder)
        else:
            self._resumed.add(number)
        checkpoint = last_checkpoint(step)
        args = step.args if checkpoint is None else [*step.args, f"--ckpt_path={checkpoint}"]
        self.say(number, " …" if checkpoint is None else f": goes on from {checkpoint} …")
        if aside is not None:
            print(f"      moved the files of another configuration to {aside}", flush=True)
        print(f"      {shlex.join(['lit-metanas', *args])}", flush=True)
        mark(step, "started")
        return args

    def end(self, number: int, seconds: float) -> None:
        """Note that a step is finished."""
        step = self.steps[number]
        mark(step, "finished")
        self.done[number] = duration(seconds)
        if number not in self._resumed:  # else most of it may have been done before
            self._spent += seconds
            self._expected += 60 * step.minutes

    def took(self, number: int, seconds: float, left: float) -> None:
        """Say what a step took, and about how many seconds are left."""
        rest = f"; about {rough(left)} left" if len(self.finished()) < len(self.steps) else ""
        self.say(number, f" took {duration(seconds)}{rest}")

    def say(self, number: int, text: str) -> None:
        """Print a line about a step."""
        print(f"[{number + 1}/{len(self.steps)}] {printable(self.steps[number].label)}{text}", flush=True)


def state(step: Step, anew: set[int | None]) -> str:
    """``finished``, ``started`` (with this configuration), or ``new``.

    Args:
        step: the step.
        anew: seeds of which an earlier step ran anew; None for the steps of all seeds.
    """
    if anew if step.seed is None else anew & {None, step.seed}:
        return "new"
    try:
        marker = read_json(step.folder / "phase.json", "delete it")
    except (OSError, ValueError):
        return "new"
    known = isinstance(marker, dict) and marker.get("fingerprint") == step.fingerprint
    return str(marker.get("state", "new")) if known else "new"


def mark(step: Step, state: str) -> None:
    """Leave the step's state in its folder."""
    marker = {"state": state, "fingerprint": step.fingerprint, "args": step.args}
    write_whole(step.folder / "phase.json", json.dumps(marker, indent=1))


def last_checkpoint(step: Step) -> Path | None:
    """The checkpoint that an interrupted ``fit`` goes on from."""
    checkpoint = step.folder / "checkpoints" / "last.ckpt"
    return checkpoint if step.args[0] == "fit" and checkpoint.is_file() else None
