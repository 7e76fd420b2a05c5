"""Sound files with their words and speakers."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.io.class_folders import class_folders, file_groups, file_within
from lit_metanas.io.text import hint, number_of, printable, writable
from lit_metanas.kinds.sounds.log_mel import LONGEST_RECORDING, LogMel, features_for
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES, Recording, check_readable, read_sound
from lit_metanas.kinds.texts.labelled_text import read_utf8
from lit_metanas.kinds.texts.text_tables import check_columns, listed, separated_rows
from lit_metanas.tasks.splits import check_shares, large_classes, tell_shared_groups
from lit_metanas.tasks.task import warn_of_data

LARGEST_SOUND_TABLE, MOST_RECORDINGS = 1 << 28, 1_000_000
"""Bytes of a table of sound files, and its rows."""


class Spoken(NamedTuple):
    """A sound file; empty texts where it is not known who speaks, or to which group it belongs."""

    file: Path
    speaker: str = ""
    group: str = ""


SpokenByWord = dict[str, list[Spoken]]
"""The sound files of each word, or of each other label."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table of sound files.

    Attributes:
        file: the names of the files, relative to the folder.
        label: the words.
        speaker: who speaks each; a column of the default name may be absent.

    Example:
        >>> lm.kinds.TableColumns(file="path", label="sentence", speaker="client_id").label
        'sentence'
    """

    file: str = "file"
    label: str = "label"
    speaker: str = "speaker"


def find_recordings(
    root: Path, table: str | None, columns: TableColumns, noun: str = "words", group: str | None = None
) -> SpokenByWord:
    """The files of a table, or of class folders; ``group`` is a column, or what ``file_groups`` takes."""
    if table is None:
        folders = class_folders(root, SOUND_SUFFIXES, "sounds", deep=group is not None)
        check_readable(file for files in folders.values() for file in files)
        groups = file_groups(root, folders, group)
        return {label: [Spoken(file, "", groups.get(file, "")) for file in files] for label, files in folders.items()}
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: give the one that the files of '{table}' lie in.")
    found: SpokenByWord = {}
    labels: dict[Path, str] = {}
    for where, name, label, speaker, own in _rows(Path(table), columns, group):
        file = file_within(root, name, where, SOUND_SUFFIXES, "sounds")
        if file in labels:
            raise ValueError(f"{where} names '{printable(name, 200)}' again: leave one of the lines out.")
        labels[file] = label
        found.setdefault(label, []).append(Spoken(file, speaker, own))
    if len(found) < 2:
        raise ValueError(f"'{table}' has {len(found)} different labels: give files of two or more {noun}.")
    check_readable(labels)
    return {label: found[label] for label in sorted(found)}


def _rows(table: Path, columns: TableColumns, group: str | None) -> Iterator[tuple[str, str, str, str, str]]:
    """Where each row stands, its file, label, speaker and group."""
    place, number = writable(os.fspath(table)), 0
    kind = {".tsv": ".tsv"}.get(table.suffix.lower(), ".csv")
    rows = separated_rows(read_utf8(table, LARGEST_SOUND_TABLE), place, kind)
    for number, (line, row) in enumerate(rows, 1):
        if number == 1:
            _check_columns(list(row), columns, place)
            check_columns([(line, row)], place, group=group)
        if number > MOST_RECORDINGS:
            raise ValueError(f"'{place}' has more than {MOST_RECORDINGS} rows: give fewer.")
        where = f"{line.capitalize()} of '{place}'"
        file, label, speaker = (row.get(name, "").strip() for name in (columns.file, columns.label, columns.speaker))
        for noun, value in (("file", file), ("label", label)):
            if not value:
                raise ValueError(f"{where} has no {noun}: add it or leave it out.")
        if columns.speaker in row and not speaker:
            raise ValueError(f"{where} has no speaker: add who speaks, or leave the column out.")
        own = ""
        if group is not None:
            own = row[group].strip()
            if not own:
                raise ValueError(f"There is no group at {line} of '{place}': fill it in, or leave this one out.")
        yield where, file, label, speaker, own
    if not number:
        raise ValueError(f"'{place}' has no rows: give a line with the names of the columns, and one for each sound.")


def _check_columns(names: Sequence[str], columns: TableColumns, place: str) -> None:
    for column in (columns.file, columns.label, columns.speaker):
        if column not in names and column != TableColumns.speaker:
            known = hint(column, [printable(name, 40) for name in names], f"it has {listed(names)}")
            raise ValueError(
                f"'{place}' has no column '{column}' ({known}): name its columns by 'columns', or rename them."
            )


def drawn_speakers(words: SpokenByWord, held_out: float | Sequence[str], *, seed: int, owner: str) -> frozenset[str]:
    """The speakers of test parts: those named, or a share of all, but one at least; none where no speaker is known."""
    speakers = sorted({spoken.speaker for files in words.values() for spoken in files if spoken.speaker})
    if isinstance(held_out, float | int):
        if not 0 <= held_out < 1:
            raise ValueError(f"{owner}: held_out = {held_out} must be a share of at least 0 and below 1, or names.")
        if held_out and len(speakers) == 1:
            warn_of_data(f"{owner}: all sounds are by the speaker '{printable(speakers[0], 80)}': none is held out.")
        if not held_out or len(speakers) < 2:
            return frozenset()
        number = min(max(1, round(held_out * len(speakers))), len(speakers) - 1)
        order = np.random.default_rng((seed, len(speakers))).permutation(len(speakers))
        return frozenset(speakers[i] for i in order[:number])
    for name in held_out:
        if name not in speakers:
            near = hint(name, [printable(one, 80) for one in speakers], f"there are {len(speakers)} others.")
            raise ValueError(f"{owner}: there is no speaker '{printable(name, 80)}' (named in held_out): {near}")
    if held_out and set(held_out) == set(speakers):
        raise ValueError(f"{owner}: all speakers are held out: leave some for training.")
    return frozenset(held_out)


def by_speakers(words: SpokenByWord, held_out: Collection[str], owner: str) -> tuple[SpokenByWord, SpokenByWord]:
    """The recordings of other speakers, and those of the held-out ones; each word is spoken by both."""
    others = {word: [one for one in files if one.speaker not in held_out] for word, files in words.items()}
    tested = {word: [one for one in files if one.speaker in held_out] for word, files in words.items()}
    for word in words:
        if held_out and not (others[word] and tested[word]):
            who = "held-out speakers only" if tested[word] else "no held-out speaker"
            raise ValueError(
                f"{owner}: '{word}' is spoken by {who} ({', '.join(sorted(held_out)[:5])}): hold out others, leave the "
                "word out, or the column of speakers."
            )
    return others, tested


class HasFeatures:
    """Recordings whose features, unless asked for, are those of a meta-training, or suit the recordings."""

    root: Path
    _asked_for: bool
    _features: LogMel | None
    _files: Sequence[Path]
    _window: float | None = None

    @property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        if self._features is None:
            self._features = self._suited()
        return self._features

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    def _suited(self) -> LogMel:
        return features_for(self._files, self._window)

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the features of a meta-training, unless features were asked for."""
        if not self._asked_for:
            self._features = LogMel.checked(preprocessing, str(self.root))


class RecordingsTask(HasFeatures):
    """One's own recordings as a collection of a single task; the arguments are those of ``AudioFolderTask``."""

    def __init__(
        self,
        root: str,
        table: str | None,
        columns: TableColumns,
        features: LogMel | None,
        *,
        noun: str,
        train: float,
        val: float,
        test: float,
        held_out: list[str] | None,
        seed: int,
        test_root: str | None,
        test_table: str | None,
        group: str | None,
        min_per_class: int | None = None,
        window: float | None = None,
    ) -> None:
        owner = type(self).__name__
        check_shares(owner, train=train, val=val, test=test, seed=seed)
        if group is not None and held_out is not None:
            raise ValueError(f"{owner}: 'group' and 'held_out' both divide the speakers: give one of them.")
        if test_root is not None and held_out is not None:
            raise ValueError(f"{owner}: 'test_root' and 'held_out' both name the test part: give one of them.")
        self.root = Path(root)
        self.val = val
        self.seed = seed
        self.group = group
        self.test_root = test_root
        self._asked_for = features is not None
        self._features = features
        self._window = window
        found = find_recordings(self.root, table, columns, noun, group)
        self._words = large_classes(found, min_per_class, f"'{writable(root)}'")
        self._labels = frozenset(found)
        self._tested: SpokenByWord | None = None
        speakers: float | list[str] = test if held_out is None else held_out
        if test_root is not None:
            self._tested = find_recordings(Path(test_root), test_table, columns, noun, group)
            if group is not None:
                parts = self._words, self._tested
                first, second = ([one.group for own in part.values() for one in own] for part in parts)
                tell_shared_groups(f"'{writable(test_root)}'", first, second)
        if group is not None or test_root is not None:
            speakers = 0.0
        self._held_out = drawn_speakers(self._words, speakers, seed=seed, owner=owner)
        self._shares: tuple[float | None, float, float] = train, val, test
        if test_root is not None:
            self._shares = None, val, 0.0
        elif self._held_out:
            self._shares = train / (1 - test), val / (1 - test), 0.0
        self._files = [one.file for files in self._words.values() for one in files]


class RecordingReader:
    """Reads sound files as inputs, and counts those of which not all is heard; ``cuts`` allows longer ones."""

    def __init__(self, features: LogMel, cuts: bool = True) -> None:
        self.features = features
        self.cuts = cuts
        self._read = list[Path]()
        self._cut: dict[Path, float] = {}
        self._resampled = list[Path]()
        self._silent = list[Path]()
        self._warned = False

    def inputs(self, files: Collection[Path]) -> Tensor:
        """The inputs of some files, shape ``(n, *shape)``, and a warning if not all of them is heard."""
        inputs = torch.zeros(len(files), *self.features.shape)
        for row, file in zip(inputs, files, strict=True):
            row[:] = self.input(file)
        self.warn()
        return inputs

    def input(self, file: Path) -> Tensor:
        """The input of a file; one that is unreadable, silent, empty or too long is a ValueError."""
        recording = self.features.read(file)
        shown = f"'{writable(os.fspath(file))}'"
        if not self.cuts:
            self._check_length(shown, recording.seconds)
        if not len(recording.samples):
            raise ValueError(f"{shown} is empty: record it again or remove it.")
        begins_silent = not bool(recording.samples.any())
        if begins_silent and not self._sounds_later(file, recording):
            raise ValueError(f"{shown} is silent: record it again or remove it.")
        self._read.append(file)  # of several threads, which would lose some by counting
        if begins_silent:
            self._silent.append(file)
        if recording.rate != self.features.rate:
            self._resampled.append(file)
        if self.features.cuts(recording.seconds):
            self._cut[file] = recording.seconds
        return self.features.encode([recording[:2]])[0]

    def warn(self) -> None:
        """Warn, once, that not all of the sounds that were read is heard."""
        lost = []
        if self._cut:
            longest = max(sorted(self._cut), key=self._cut.__getitem__)
            most = f"{self._cut[longest]:.2f} s ('{writable(os.fspath(longest))}')"
            lost.append(f"longer and cut: {len(self._cut)}, up to {most}")
        if self._resampled:
            lost.append(f"of other rates and resampled: {len(self._resampled)}")
        if self._silent:
            lost.append(f"silent as far as heard: {len(self._silent)}")
        if lost and not self._warned:
            self._warned = True
            warn_of_data(
                f"Heard of {number_of(len(self._read), 'sound')}, by the task's 'features': {self.features.heard}; "
                f"{'; '.join(lost)}."
            )

    def _check_length(self, shown: str, seconds: float) -> None:
        """Refuse a recording of which not all would be heard."""
        if seconds > LONGEST_RECORDING:
            raise ValueError(
                f"{shown} lasts {seconds / 60:.0f} minutes, and a recording with a transcript at most "
                f"{LONGEST_RECORDING:.0f} s: cut it."
            )
        if self.features.cuts(seconds):
            longest = self.features.longest / self.features.rate
            raise ValueError(
                f"{shown} lasts {seconds:.2f} s, longer than the features' {self.features.steps} steps with "
                f"{longest:.2f} s, and its transcript is of the whole: give features of more 'steps', or leave it out."
            )

    def _sounds_later(self, file: Path, recording: Recording) -> bool:
        """Whether there is sound behind a silent beginning; hours are not searched."""
        if not self.features.cuts(recording.seconds):
            return False
        return bool(read_sound(file, lambda rate: round(LONGEST_RECORDING * rate)).samples.any())
