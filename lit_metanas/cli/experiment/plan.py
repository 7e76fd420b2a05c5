"""Experiments: the phases that a user writes (docs/configurations.md), the steps of them, and which are done."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import groupby, product
from pathlib import Path
from typing import Literal, Self

from jsonargparse.typing import register_type

from lit_metanas import __version__
from lit_metanas.cli.configuration_files import configuration_path, named_files, shown_path
from lit_metanas.cli.errors import UsageError, near_miss
from lit_metanas.cli.verbs import TRAINER_VERBS, VERBS
from lit_metanas.io.files import set_aside, write_whole
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import duration, printable, shorten

WORD = re.compile(r"\{(\w+)\}")  # a name in braces, which a word replaces

OWN = ("directory", "seed", "run", "first", "folder", "protocol", "method")  # words that are not the user's to give

Wording = Mapping[str, str | None]


class ConfigPath(str):
    """A configuration, in which there may be words: a path, which has an ending, or a shipped name."""

    __slots__ = ()

    def __new__(cls, path: str | os.PathLike[str]) -> Self:
        """Make a path absolute: the parser works in the folder of the file that it reads."""
        name = os.fspath(path)
        if os.path.splitext(name)[1]:
            name = os.path.join(os.getcwd(), name)
        return super().__new__(cls, name)


register_type(ConfigPath, type_check=lambda value, kind: type(value) is kind)


@dataclass
class Phase:
    """One command of an experiment, or several that differ in protocol and method."""

    verb: str
    name: str
    each: list[Literal["protocol", "method"]] = field(default_factory=list)
    config: list[ConfigPath] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    per_seed: bool = True
    needs: list[str] | None = None  # earlier phases; all of them if it does not say
    only_with: str = ""
    only_without: str = ""


@dataclass(frozen=True)
class Step:
    """One phase for one seed, ready to be executed: ``args`` is its command line."""

    name: str
    folder: Path
    args: list[str]
    seed: int | None
    fingerprint: str
    after: frozenset[int]  # numbers of the earlier steps that must have ended

    @property
    def label(self) -> str:
        """The seed, if it has one, and the name."""
        return self.name if self.seed is None else f"seed {self.seed}: {self.name}"


def plan(
    phases: list[Phase],
    directory: Path,
    seeds: list[int],
    *,
    protocols: Sequence[str] | None = None,
    methods: Mapping[str, Wording] | None = None,
    inputs: Mapping[str, str] | None = None,
    args: Mapping[str, Sequence[str]] | None = None,
) -> list[Step]:
    """All steps in order: consecutive phases of one seed stay together, phases of all seeds need all earlier ones."""
    protocols, methods, inputs, args = protocols or (), methods or {}, inputs or {}, args or {}
    for verb in args.keys() - {phase.verb for phase in phases}:
        raise UsageError(f"'args.{verb}' matches no phase{near_miss(verb, {phase.verb for phase in phases})}")
    phases = [replace(phase, args=[*args.get(phase.verb, ()), *phase.args]) for phase in phases]
    _check_inputs(inputs, phases, methods)
    wanted = [phase for phase in phases if _wanted(phase, inputs)]
    absent = {phase.name for phase in phases} - {phase.name for phase in wanted}
    phases = [one for phase in wanted for one in _expand(phase, protocols, methods)]
    _check_phases(phases)
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"'seeds' is {seeds}: give at least one, and each once, since it has one folder.")
    if not all(0 <= seed < 2**32 for seed in seeds):
        raise UsageError(f"'seeds' is {shorten(str(seeds))}: give numbers from 0 to {2**32 - 1}.")
    words = {**inputs, "directory": str(directory), "first": f"{directory}/seed{seeds[0]}"}
    steps: list[Step] = []
    for per_seed, group in groupby(phases, key=lambda phase: phase.per_seed):
        for seed, phase in product(seeds if per_seed else [None], list(group)):
            steps.append(_step(phase, seed, seeds, words, steps, absent))
    return steps


def _wanted(phase: Phase, inputs: Mapping[str, str]) -> bool:
    """Whether the inputs are given that a phase needs, and those are not in whose absence alone it is done."""
    for name in (phase.only_with, phase.only_without):
        if name and name not in inputs:
            raise UsageError(
                f"Phase '{phase.name}' asks for the input '{shorten(name)}', which 'inputs' does not have."
            )
    return bool(inputs.get(phase.only_with, "x")) and not inputs.get(phase.only_without)


def _check_phases(phases: Sequence[Phase]) -> None:
    """Refuse phases that could not be executed, or not in the experiment's directory."""
    if not phases or len({phase.name for phase in phases}) < len(phases):
        raise UsageError("'phases' needs at least one phase, and each a 'name' of its own.")
    verbs = [verb for verb in VERBS if verb != "run"]
    for phase in phases:
        if phase.verb not in verbs:
            raise UsageError(
                f"Phase '{phase.name}' cannot be of '{shorten(phase.verb)}'{near_miss(phase.verb, verbs)} Choose from "
                f"{', '.join(verbs)}."
            )
        if not phase.name or Path(phase.name).is_absolute() or ".." in Path(phase.name).parts:
            raise UsageError(f"'{phase.name}' cannot be a phase's name: it is a folder in the experiment's directory.")


def _check_inputs(inputs: Mapping[str, str], phases: list[Phase], methods: Mapping[str, Wording]) -> None:
    """Refuse inputs that would be ignored."""
    taken = {*OWN, *(word for words in methods.values() for word in words)}
    texts = [text for phase in phases for text in (*phase.args, *map(os.fspath, phase.config))]
    texts += [text for words in methods.values() for text in words.values() if text is not None]
    used = {name for text in texts for name in WORD.findall(text)}
    used |= {name for phase in phases for name in (phase.only_with, phase.only_without) if name}
    for name in sorted(inputs):
        if name in taken:
            raise UsageError(f"'inputs.{name}' cannot be given: '{{{name}}}' is reserved; choose another name.")
        if name not in used:
            raise UsageError(f"'inputs.{name}' is used by no phase{near_miss(name, used)}")


def _expand(phase: Phase, protocols: Sequence[str], methods: Mapping[str, Wording]) -> Iterator[Phase]:
    """The phase for each protocol and method that it asks for, their words in place."""
    variants: dict[str, list[Wording]] = {
        "protocol": [{"protocol": name} for name in protocols],
        "method": [{**words, "method": name} for name, words in methods.items()],
    }
    for each in phase.each:
        if not variants[each]:
            raise UsageError(f"Phase '{phase.name}' is repeated for each {each}: give '{each}s'.")
    for chosen in product(*(variants[each] for each in phase.each)):
        words = {name: text for part in chosen for name, text in part.items()}
        known = {name: text for name, text in words.items() if text is not None}
        absent = words.keys() - known.keys()
        yield replace(
            phase,
            name=_substitute(phase.name, known, phase.name),
            needs=phase.needs and [_substitute(name, known, phase.name) for name in phase.needs],
            config=[ConfigPath(_substitute(os.fspath(path), known)) for path in phase.config],
            args=[_substitute(argument, known) for argument in phase.args if absent.isdisjoint(WORD.findall(argument))],
        )


def _step(
    phase: Phase, seed: int | None, seeds: list[int], words: dict[str, str], earlier: list[Step], absent: Set[str]
) -> Step:
    folder = Path(words["directory"], phase.name)
    if seed is not None:
        folder = Path(words["directory"], f"seed{seed}", phase.name)
    words = {**words, "folder": str(folder)}
    configs = [_found(_substitute(path, words, phase.name), phase) for path in phase.config]
    given: list[str] = []
    if phase.verb in TRAINER_VERBS:
        given.append(f"--trainer.default_root_dir={folder}")
    if phase.verb in TRAINER_VERBS and seed is not None:
        given.append(f"--seed_everything={seed}")
    for argument in phase.args:
        named = WORD.findall(argument)
        if any(words.get(name) == "" for name in named):
            continue
        for each in seeds if seed is None and {"seed", "run"} & set(named) else [seed]:
            known = {**words, "seed": str(each), "run": f"{words['directory']}/seed{each}"}
            given.append(_substitute(argument, known, phase.name))
    after = _needed(phase, seed, earlier, absent)
    values = (argument.partition("=")[2] for argument in given)
    files = [value for value in values if value.endswith((".yaml", ".yml")) and os.path.isfile(value)]
    own = [file for file in files if not Path(file).is_relative_to(words["directory"])]  # that no phase writes
    read = named_files([f"--config={path}" for path in (*configs, *own)])
    texts = [path.read_text(encoding="utf-8") for path, _ in read]
    content = json.dumps(
        [__version__, phase.verb, configs, given, texts, [earlier[number].fingerprint for number in sorted(after)]]
    )
    return Step(
        name=phase.name,
        folder=folder,
        args=[phase.verb, *(word for path in configs for word in ("-c", shown_path(path))), *given],
        seed=seed,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
        after=after,
    )


def _needed(phase: Phase, seed: int | None, earlier: Sequence[Step], absent: Set[str]) -> frozenset[int]:
    """The numbers of the steps that a phase needs; steps of all seeds are always among them."""
    if phase.needs is not None and not phase.per_seed:
        raise UsageError(f"Phase '{phase.name}' is of all seeds, and needs all earlier phases: leave 'needs' out.")
    own = {number: step for number, step in enumerate(earlier) if seed is None or step.seed in (None, seed)}
    if phase.needs is None or seed is None:
        return frozenset(own)
    names = {step.name for step in own.values()}
    for name in phase.needs:
        if name not in names | absent:
            raise UsageError(
                f"Phase '{phase.name}' needs '{shorten(name)}', which is no earlier phase{near_miss(name, names)}"
            )
    return frozenset(number for number, step in own.items() if step.seed is None or step.name in phase.needs)


def most_at_once(steps: Sequence[Step]) -> int:
    """About how many steps may run side by side: the most that have as many others to wait for, one after the other."""
    depths = list[int]()
    for step in steps:
        depths.append(1 + max((depths[number] for number in step.after), default=0))
    return max(Counter(depths).values())


def _found(config: str, phase: Phase) -> ConfigPath:
    """A configuration whose words are in their places."""
    if not os.path.splitext(config)[1]:
        config = configuration_path(config, phase.verb)
    path = ConfigPath(config)
    if not os.path.isfile(path):
        raise UsageError(
            f"There is no file '{shown_path(path)}', a config of phase '{phase.name}': paths are relative to the file "
            "they are in."
        )
    return path


def _substitute(text: str, words: Mapping[str, str], phase: str | None = None) -> str:
    """Put words in the place of their names; with a phase's name, to complain of it, refuse other names."""

    def word(match: re.Match[str]) -> str:
        if match[1] not in words and phase is not None:
            raise UsageError(f"'{match[0]}' in phase '{phase}' has no value{near_miss(match[1], words)}")
        return words.get(match[1], match[0])

    return WORD.sub(word, text)


@dataclass
class Progress:
    """Begins and ends ``steps``, of which some were finished before."""

    steps: list[Step]
    jobs: int
    skipped: int = 0
    _anew: set[int] = field(default_factory=set)

    def begin(self, number: int) -> list[str] | None:
        """Announce a step, and make room for it; returns its command line, or None if it was finished before."""
        step = self.steps[number]
        found = state(step, self._anew)
        if found == "finished":
            self.skipped += 1
            self.say(number, ": already finished, skipped")
            return None
        aside = None
        if found == "new":
            self._anew.add(number)
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
        self.say(number, f" took {duration(seconds)}")

    def say(self, number: int, text: str) -> None:
        """Print a line about a step."""
        print(f"[{number + 1}/{len(self.steps)}] {printable(self.steps[number].label)}{text}", flush=True)


def state(step: Step, anew: Set[int]) -> str:
    """``finished``, ``started`` or ``new``; ``anew``: numbers of earlier steps that run anew."""
    if not step.after.isdisjoint(anew):
        return "new"
    with suppress(OSError, ValueError):
        marker = read_json(step.folder / "phase.json", "delete it")
        if isinstance(marker, dict) and marker.get("fingerprint") == step.fingerprint:
            return str(marker.get("state", "new"))
    return "new"


def mark(step: Step, state: str) -> None:
    """Leave the step's state in its folder."""
    marker = {"state": state, "fingerprint": step.fingerprint, "args": step.args}
    write_whole(step.folder / "phase.json", json.dumps(marker, indent=1))
