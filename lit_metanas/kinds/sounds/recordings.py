"""Sound files with their words and speakers."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.class_folders import class_folders, file_groups
from lit_metanas.io.text import nearest, number_of, printable, writable
from lit_metanas.kinds.sounds.log_mel import LONGEST_RECORDING, LogMel
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES, Recording, check_readable, read_sound
from lit_metanas.kinds.texts.labelled_text import read_utf8
from lit_metanas.kinds.texts.text_tables import check_columns, listed, separated_rows
from lit_metanas.tasks.task import warn_of_data

LARGEST_SOUND_TABLE, MOST_RECORDINGS = 1 << 28, 1_000_000
"""Bytes of a table of sound files, and its rows."""


class Spoken(NamedTuple):
    """A sound file.

    Attributes:
        file: the file.
        speaker: who speaks; empty where this is not known.
        group: of sounds that belong together; empty where this is not known.
    """

    file: Path
    speaker: str = ""
    group: str = ""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table of sound files.

    Attributes:
        file: the names of the files, relative to the folder.
        label: the words.
        speaker: who speaks each; a column of the default name may be absent.

    Example:
        >>> import lit_metanas as lm
        >>> lm.kinds.TableColumns(file="path", label="sentence", speaker="client_id").label
        'sentence'
    """

    file: str = "file"
    label: str = "label"
    speaker: str = "speaker"


def find_recordings(
    root: Path, table: str | None, columns: TableColumns, noun: str = "words", group: str | None = None
) -> dict[str, list[Spoken]]:
    """The sound files of each word, by the word's name.

    Args:
        root: the folder of the files; without a table it has a sub-folder a word.
        table: a file of CSV, or of TSV where its name ends in ``.tsv``, with a line of column names.
        columns: those of the table.
        noun: what labels are, in the plural.
        group: the table's column of groups; without a table, how files tell them, as ``file_groups`` takes it. None
            leaves them empty.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two words, a word has no files, a file no group, the table is malformed, or a
            package is absent that reads the files.
    """
    if table is None:
        folders = class_folders(root, SOUND_SUFFIXES, "sounds", deep=group is not None)
        check_readable(file for files in folders.values() for file in files)
        groups = {} if group is None else file_groups(root, folders, group)
        return {label: [Spoken(file, "", groups.get(file, "")) for file in files] for label, files in folders.items()}
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}: give the one that the files of '{table}' lie in.")
    found: dict[str, list[Spoken]] = {}
    labels: dict[Path, str] = {}
    for where, name, label, speaker, own in _rows(Path(table), columns, group):
        file = _inside(root, name, where)
        if file in labels:
            raise ValueError(f"{where} names '{printable(name, 200)}' again: leave one of the lines out.")
        labels[file] = label
        found.setdefault(label, []).append(Spoken(file, speaker, own))
    if len(found) < 2:
        raise ValueError(f"'{table}' has {len(found)} different labels: give files of two or more {noun}.")
    check_readable(labels)
    return {label: found[label] for label in sorted(found)}


def _rows(table: Path, columns: TableColumns, group: str | None) -> list[tuple[str, str, str, str, str]]:
    """Where each row stands, its file, label, speaker and group."""
    place = writable(os.fspath(table))
    kind = ".tsv" if table.suffix.lower() == ".tsv" else ".csv"
    rows: list[tuple[str, str, str, str, str]] = []
    for line, row in separated_rows(read_utf8(table, LARGEST_SOUND_TABLE), place, kind):
        if not rows:
            _check_columns(list(row), columns, place)
            check_columns([(line, row)], place, group=group)
        if len(rows) >= MOST_RECORDINGS:
            raise ValueError(f"'{place}' has more than {MOST_RECORDINGS} rows: give fewer.")
        where = f"{line.capitalize()} of '{place}'"
        file, label, speaker = (row.get(name, "").strip() for name in (columns.file, columns.label, columns.speaker))
        if not file or not label:
            raise ValueError(f"{where} has no {'file' if not file else 'label'}: add it or leave it out.")
        if columns.speaker in row and not speaker:
            raise ValueError(f"{where} has no speaker: add who speaks, or leave the column out.")
        own = "" if group is None else row[group].strip()
        if group is not None and not own:
            raise ValueError(f"There is no group at {line} of '{place}': fill it in, or leave this one out.")
        rows.append((where, file, label, speaker, own))
    if not rows:
        raise ValueError(f"'{place}' has no rows: give a line with the names of the columns, and one for each sound.")
    return rows


def _check_columns(names: Sequence[str], columns: TableColumns, place: str) -> None:
    for column in (columns.file, columns.label, columns.speaker):
        if column not in names and column != TableColumns.speaker:
            near = nearest(column, names)
            told = f"did you mean '{printable(near, 40)}'?" if near else f"it has {listed(names)}"
            raise ValueError(
                f"'{place}' has no column '{column}' ({told}): name its columns by 'columns', or rename them."
            )


def _inside(root: Path, name: str, where: str) -> Path:
    """A file of the folder.

    Raises:
        ValueError: it lies elsewhere, does not exist, or is of another kind.
    """
    shown = printable(name, 200)
    parts = Path(name).parts
    if "\0" in name or Path(name).is_absolute() or ".." in parts:
        raise ValueError(f"{where} names '{shown}': give files by their path within '{root}'.")
    file = root / name
    if file.suffix.lower() not in SOUND_SUFFIXES:
        raise ValueError(f"{where} names '{shown}', which is not a sound ({', '.join(sorted(SOUND_SUFFIXES))}).")
    if not file.exists():
        raise ValueError(f"{where} names '{shown}', which '{root}' lacks: add it, or leave the line out.")
    return file


def drawn_speakers(
    words: dict[str, list[Spoken]], held_out: float | Sequence[str], *, seed: int, owner: str
) -> frozenset[str]:
    """The speakers whose sounds are for test parts only; none where no speaker is known.

    Args:
        words: the files of each word.
        held_out: share of the speakers, of whom at least one is drawn and one is not; or their names.
        seed: of the draw, at least 0.
        owner: whose argument it is, for messages.

    Raises:
        ValueError: one of the names is not that of a speaker, all speakers are held out, or the share is out of its
            range.
    """
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
            near = nearest(name, speakers)
            hint = f"did you mean '{printable(near, 80)}'?" if near else f"there are {len(speakers)} others."
            raise ValueError(f"{owner}: there is no speaker '{printable(name, 80)}' (named in held_out): {hint}")
    if held_out and set(held_out) == set(speakers):
        raise ValueError(f"{owner}: all speakers are held out: leave some for training.")
    return frozenset(held_out)


def drawn_shares(
    *, train: float, val: float, test: float, speakers_held_out: bool, test_given: bool
) -> tuple[float | None, float, float]:
    """The shares of train, val and test part by which recordings are drawn, some of the test part's being known.

    Args:
        train: share of all recordings to learn from.
        val: share to choose by.
        test: share to test.
        speakers_held_out: whether the test part is that of some speakers, whose recordings are not drawn.
        test_given: whether it lies elsewhere; then what is not to choose by is to learn from.
    """
    if test_given:
        return None, val, 0.0
    return (train / (1 - test), val / (1 - test), 0.0) if speakers_held_out else (train, val, test)


class RecordingReader:
    """Reads sound files as inputs, and counts those of which not all is heard.

    Args:
        features: what makes inputs of sound.
        cuts: whether sounds that last longer than the features may be cut.
    """

    def __init__(self, features: LogMel, cuts: bool = True) -> None:
        self.features = features
        self.cuts = cuts
        self._read = 0
        self._cut: dict[Path, float] = {}
        self._resampled = 0
        self._silent = 0
        self._warned = False

    def inputs(self, files: Collection[Path]) -> Tensor:
        """The inputs of some files, shape ``(n, *shape)``, and a warning if not all of them is heard.

        Raises:
            ValueError: a file is unreadable, silent or empty, or lasts longer than it may.
        """
        parts = [self.input(file) for file in files]
        self.warn()
        return torch.stack(parts) if parts else torch.zeros(0, *self.features.shape)

    def input(self, file: Path) -> Tensor:
        """The input of a file.

        Raises:
            ValueError: the file is unreadable, silent or empty, or lasts longer than it may.
        """
        recording = self.features.read(file)
        shown = f"'{writable(os.fspath(file))}'"
        if not self.cuts:
            self._check_length(shown, recording.seconds)
        if not len(recording.samples):
            raise ValueError(f"{shown} is empty: record it again or remove it.")
        begins_silent = not bool(recording.samples.any())
        if begins_silent and not self._sounds_later(file, recording):
            raise ValueError(f"{shown} is silent: record it again or remove it.")
        self._read += 1
        self._silent += begins_silent
        self._resampled += recording.rate != self.features.rate
        if self.features.cuts(recording.seconds):
            self._cut[file] = recording.seconds
        return self.features.encode([recording[:2]])[0]

    def warn(self) -> None:
        """Warn, once, that not all of the sounds that were read is heard."""
        lost = []
        if self._cut:
            longest = max(self._cut, key=self._cut.__getitem__)
            most = f"{self._cut[longest]:.2f} s ('{writable(os.fspath(longest))}')"
            lost.append(f"longer and cut: {len(self._cut)}, up to {most}")
        if self._resampled:
            lost.append(f"of other rates and resampled: {self._resampled}")
        if self._silent:
            lost.append(f"silent as far as heard: {self._silent}")
        if lost and not self._warned:
            self._warned = True
            warn_of_data(
                f"Heard of {number_of(self._read, 'sound')}, by the task's 'features': {self.features.heard}; "
                f"{'; '.join(lost)}."
            )

    def _check_length(self, shown: str, seconds: float) -> None:
        """Refuse a recording of which not all would be heard.

        Raises:
            ValueError: it lasts too long.
        """
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
