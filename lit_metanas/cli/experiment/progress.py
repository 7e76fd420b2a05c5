"""What is done of an experiment: a mark in each step's folder, and what is printed as the steps go by."""

from __future__ import annotations

import json
import shlex
from collections.abc import Set

from lit_metanas.cli.experiment.plan import Step
from lit_metanas.io.files import write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.own_folder import set_aside
from lit_metanas.io.text import duration, printable


class Progress:
    """Which of all ``steps``, in order, are done, and what they took."""

    def __init__(self, steps: list[Step], jobs: int) -> None:
        self.steps = steps
        self.jobs = jobs
        self.done: dict[int, str] = {}
        self._anew: set[int | None] = set()

    def begin(self, number: int) -> list[str] | None:
        """Announce a step, and make room for it; returns its command line, or None if it was finished before."""
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
        args, how = step.args, ""
        checkpoint = step.folder / "checkpoints" / "last.ckpt"
        if args[0] == "fit" and checkpoint.is_file():
            args, how = [*args, f"--ckpt_path={checkpoint}"], f": goes on from {checkpoint}"
        self.say(number, f"{how} …")
        if aside is not None:
            print(f"      moved the files of another configuration to {aside}", flush=True)
        print(f"      {shlex.join(['lit-metanas', *args])}", flush=True)
        mark(step, "started")
        return args

    def end(self, number: int, seconds: float) -> None:
        """Note that a step is finished, and print what it took."""
        mark(self.steps[number], "finished")
        self.done[number] = duration(seconds)
        self.say(number, f" took {self.done[number]}")

    def say(self, number: int, text: str) -> None:
        """Print a line about a step."""
        print(f"[{number + 1}/{len(self.steps)}] {printable(self.steps[number].label)}{text}", flush=True)


def state(step: Step, anew: Set[int | None]) -> str:
    """``finished``, ``started`` or ``new``; ``anew``: seeds of earlier steps that run anew, None for all seeds."""
    if (step.seed is None and anew) or not anew.isdisjoint({None, step.seed}):
        return "new"
    try:
        marker = read_json(step.folder / "phase.json", "delete it")
    except (OSError, ValueError):
        return "new"
    if not isinstance(marker, dict) or marker.get("fingerprint") != step.fingerprint:
        return "new"
    return str(marker.get("state", "new"))


def mark(step: Step, state: str) -> None:
    """Leave the step's state in its folder."""
    marker = {"state": state, "fingerprint": step.fingerprint, "args": step.args}
    write_whole(step.folder / "phase.json", json.dumps(marker, indent=1))
