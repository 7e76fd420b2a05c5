"""An experiment: phases, one after the other, in one directory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lit_metanas.phases import Phase, Step, plan
from lit_metanas.records.atomic import replacing

SHOWN = (".md", ".png", ".svg", ".json", ".csv", ".pt", ".pt2", ".ckpt")

Execute = Callable[[list[str]], None]


def run(
    phases: list[Phase],
    directory: Path,
    seeds: list[int] | None = None,
    inputs: dict[str, str] | None = None,
    *,
    execute: Execute,
) -> None:
    """Go through phases, skipping those that were finished with the same configuration.

    An interrupted ``fit`` goes on from its last checkpoint. A folder that another configuration has left is set aside,
    not deleted.

    Args:
        phases: what to do, in order.
        directory: where everything goes.
        seeds: the phases of one seed come before those of the next; [0] by default.
        inputs: what the user has to give, for instance the folder of a data set, by the names in the phases' args.
        execute: runs one command line.
    """
    steps = plan(phases, directory, seeds or [0], inputs or {})
    left = sum(step.minutes for step in steps)
    print(f"{len(steps)} steps into {directory}, about {_duration(60 * left)} on two CPU cores.", flush=True)
    rows: list[tuple[str, str]] = []
    anew: set[int | None] = set()  # seeds of which a phase ran anew; None for the phases of all seeds
    pace = 1.0
    expected = spent = 0.0
    for number, step in enumerate(steps, start=1):
        stale = bool(anew) if step.seed is None else bool(anew & {None, step.seed})
        state = "new" if stale else _state(step)
        left -= step.minutes
        print(f"[{number}/{len(steps)}] {step.title}", end="", flush=True)
        if state == "finished":
            print(": finished before, skipped")
            rows.append((step.title, "skipped"))
            continue
        if state == "new":
            anew.add(step.seed)
            _set_aside(step.folder)
        checkpoint = step.folder / "checkpoints" / "last.ckpt"
        resumes = step.args[0] == "fit" and checkpoint.is_file()
        print(f": goes on from {checkpoint}" if resumes else "", flush=True)
        seconds = _timed(step, [f"--ckpt_path={checkpoint}"] if resumes else [], execute)
        spent, expected = spent + seconds, expected + 60 * step.minutes
        pace = spent / expected if expected else 1.0
        rows.append((step.title, _duration(seconds)))
        print(f"      took {_duration(seconds)}; about {_duration(60 * left * pace)} left", flush=True)
    _summary(steps, rows)


def _state(step: Step) -> str:
    """``finished``, ``started`` (with this configuration), or ``new``."""
    try:
        marker = json.loads((step.folder / "phase.json").read_text())
    except (OSError, ValueError):
        return "new"
    return str(marker["state"]) if marker.get("fingerprint") == step.fingerprint else "new"


def _set_aside(folder: Path) -> None:
    if not folder.exists() or not any(folder.iterdir()):
        return
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    folder.rename(aside)
    print(f"\n      set aside what another configuration left: {aside}", end="")


def _timed(step: Step, more: list[str], execute: Execute) -> float:
    """Execute a step between its two marks, and return the seconds it took."""
    _mark(step, "started")
    start = time.monotonic()
    with _alone([*step.args, *more]) as args:
        execute(args)
    seconds = time.monotonic() - start
    _mark(step, "finished")
    return seconds


def _mark(step: Step, state: str) -> None:
    marker = {"state": state, "fingerprint": step.fingerprint, "args": step.args}
    with replacing(step.folder / "phase.json") as temporary:
        temporary.write_text(json.dumps(marker, indent=1))


@contextmanager
def _alone(args: list[str]) -> Iterator[list[str]]:
    """Make the phase look like the process's only command.

    Under DDP, Lightning starts the other processes with this process's command line and environment: they must do
    this phase, not the whole experiment; and the next phase must not find this one's ranks.
    """
    argv, environment = sys.argv, dict(os.environ)
    sys.argv = [argv[0], *args]
    try:
        yield args
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        _leave_process_group()


def _leave_process_group() -> None:
    if "torch" not in sys.modules:
        return
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _summary(steps: list[Step], rows: list[tuple[str, str]]) -> None:
    width = max(len(title) for title, _ in rows)
    print("\nStep" + " " * (width - 2) + "Time")
    for title, text in rows:
        print(f"{title:<{width}}  {text}")
    print("\nFiles")
    for step in steps:
        files = [file for file in sorted(step.folder.rglob("*")) if file.suffix in SHOWN and file.name != "phase.json"]
        for file in files[:8]:
            print(f"  {file}")
        if len(files) > 8:
            print(f"  … and {len(files) - 8} more in {step.folder}")
