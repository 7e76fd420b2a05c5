"""An experiment: phases, one after the other, in one directory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jsonargparse.typing import Path_fr

import lit_metanas
from lit_metanas.mistakes import UsageError
from lit_metanas.records.atomic import replacing

LIGHTNING_VERBS = ("fit", "validate", "test", "predict", "search")
SHOWN = (".md", ".png", ".svg", ".json", ".csv", ".pt", ".pt2", ".ckpt")


@dataclass
class Phase:
    """One command of an experiment.

    Args:
        verb: a verb of the command line.
        name: the phase's name, and the folder it works in.
        config: configurations, later ones overriding earlier ones.
        args: further arguments, in which ``{directory}``, ``{seed}``, ``{name}`` and the experiment's inputs are
            replaced. In a phase of all seeds an argument with ``{seed}`` is repeated for each seed.
        per_seed: once for each seed, in ``{directory}/seed{seed}/{name}``, or once, in ``{directory}/{name}``.
        minutes: how long it takes on two CPU cores; only for the estimate of what is left.
    """

    verb: str
    name: str
    config: list[Path_fr] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    per_seed: bool = True
    minutes: float = 1.0


@dataclass(frozen=True)
class Step:
    """One phase for one seed, ready to be executed."""

    title: str
    folder: Path
    args: list[str]
    seed: int | None
    minutes: float
    fingerprint: str


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


Execute = Callable[[list[str]], None]


def plan(phases: list[Phase], directory: Path, seeds: list[int], inputs: dict[str, str]) -> list[Step]:
    """All steps in order: consecutive phases of one seed stay together, phases of all seeds wait for every seed."""
    names = [phase.name for phase in phases]
    if not phases or len(set(names)) < len(names):
        raise UsageError("'phases' needs at least one phase, and each a 'name' of its own.")
    steps: list[Step] = []
    start = 0
    while start < len(phases):
        end = start + 1
        while end < len(phases) and phases[start].per_seed and phases[end].per_seed:
            end += 1
        for seed in seeds if phases[start].per_seed else [None]:
            for phase in phases[start:end]:
                folder = directory / ("" if seed is None else f"seed{seed}") / phase.name
                words = {**inputs, "directory": str(directory), "name": phase.name}
                args = _arguments(phase, folder, seed, seeds, words)
                steps.append(_step(phase, folder, seed, args, steps))
        start = end
    return steps


def _arguments(phase: Phase, folder: Path, seed: int | None, seeds: list[int], words: dict[str, str]) -> list[str]:
    """The phase's command line."""
    args = [phase.verb, *(f"--config={Path(path)}" for path in phase.config)]
    if phase.verb in LIGHTNING_VERBS:
        args.append(f"--trainer.default_root_dir={folder}")
        args += [] if seed is None else [f"--seed_everything={seed}"]
    for argument in phase.args:
        for each in seeds if seed is None and "{seed}" in argument else [seed]:
            args.append(_replaced(argument, {**words, "seed": str(each)}, phase.name))
    return args


def _step(phase: Phase, folder: Path, seed: int | None, args: list[str], earlier: list[Step]) -> Step:
    before = [step.fingerprint for step in earlier if seed is None or step.seed in (None, seed)]
    texts = [text for path in phase.config for text in _texts(Path(path), set())]
    content = json.dumps([lit_metanas.__version__, args, texts, before])
    return Step(
        title=phase.name if seed is None else f"{phase.name}, seed {seed}",
        folder=folder,
        args=args,
        seed=seed,
        minutes=phase.minutes,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
    )


def _replaced(argument: str, words: dict[str, str], phase: str) -> str:
    def word(match: re.Match[str]) -> str:
        if match[1] not in words:
            raise UsageError(f"'{match[0]}' in the args of phase '{phase}' is not one of {', '.join(words)}.")
        return words[match[1]]

    return re.sub(r"\{(\w+)\}", word, argument)


def _texts(path: Path, seen: set[Path]) -> Iterator[str]:
    """The text of a configuration and of those that it names."""
    if path in seen:
        return
    seen.add(path)
    text = path.read_text()
    yield text
    for name in re.findall(r"[\w./-]+\.ya?ml", text):
        if (path.parent / name).is_file():
            yield from _texts(path.parent / name, seen)


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
