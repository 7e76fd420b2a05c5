"""The phases of an experiment, and what is done of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jsonargparse.typing import Path_fr

from lit_metanas import __version__
from lit_metanas.cli.errors import UsageError, near_miss
from lit_metanas.cli.verbs import TRAINER_VERBS
from lit_metanas.io.files import replacing
from lit_metanas.io.json_files import read_json

WORD = re.compile(r"\{(\w+)\}")
"""A name in an argument, which a word replaces."""

OWN = frozenset({"directory", "seed", "name"})
"""Words that every experiment has."""


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

    name: str
    title: str
    folder: Path
    args: list[str]
    seed: int | None
    minutes: float
    fingerprint: str

    @property
    def label(self) -> str:
        """The seed before the name, where several seeds are at work."""
        return self.name if self.seed is None else f"seed {self.seed}: {self.name}"


def plan(phases: list[Phase], directory: Path, seeds: list[int], inputs: dict[str, str]) -> list[Step]:
    """All steps in order: consecutive phases of one seed stay together, phases of all seeds wait for every seed."""
    names = [phase.name for phase in phases]
    if not phases or len(set(names)) < len(names):
        raise UsageError("'phases' needs at least one phase, and each a 'name' of its own.")
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"'seeds' is {seeds}: give each seed once, since it has one folder.")
    used = {name for phase in phases for argument in phase.args for name in WORD.findall(argument)}
    for name in sorted(inputs.keys() & OWN):
        raise UsageError(f"'inputs.{name}' cannot be given: '{{{name}}}' is the experiment's own; choose another name.")
    for name in inputs.keys() - used:
        raise UsageError(f"'inputs.{name}' is asked for by no phase{near_miss(name, used)}")
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
    if phase.verb in TRAINER_VERBS:
        args.append(f"--trainer.default_root_dir={folder}")
        args += [] if seed is None else [f"--seed_everything={seed}"]
    for argument in phase.args:
        for each in seeds if seed is None and "{seed}" in argument else [seed]:
            args.append(_replaced(argument, {**words, "seed": str(each)}, phase.name))
    return args


def _step(phase: Phase, folder: Path, seed: int | None, args: list[str], earlier: list[Step]) -> Step:
    before = [step.fingerprint for step in earlier if seed is None or step.seed in (None, seed)]
    texts = [text for path in phase.config for text in _texts(Path(path), set())]
    content = json.dumps([__version__, args, texts, before])
    return Step(
        name=phase.name,
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

    return WORD.sub(word, argument)


def _texts(path: Path, seen: set[Path]) -> Iterator[str]:
    """The text of a configuration and of those that it names."""
    if path in seen:
        return
    seen.add(path)
    text = path.read_text(encoding="utf-8")
    yield text
    for name in re.findall(r"[\w./-]+\.ya?ml", text):
        if (path.parent / name).is_file():
            yield from _texts(path.parent / name, seen)


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
    with replacing(step.folder / "phase.json") as temporary:
        temporary.write_text(json.dumps(marker, indent=1), encoding="utf-8")


def last_checkpoint(step: Step) -> Path | None:
    """The checkpoint that an interrupted ``fit`` goes on from."""
    checkpoint = step.folder / "checkpoints" / "last.ckpt"
    return checkpoint if step.args[0] == "fit" and checkpoint.is_file() else None
