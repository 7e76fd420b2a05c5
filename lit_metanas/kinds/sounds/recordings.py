"""Sound files with their words and speakers, and what reads them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.listed_files import ListedFiles
from lit_metanas.kinds.sounds.log_mel import LogMel, features_for
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES, check_readable
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.task import warn_of_data

FEWEST_SPEAKERS = 3
"""By which sounds are divided, if nobody has asked for groups: some to learn from, to choose by and to test."""


def listed_sounds(
    root: Path,
    table: str | None = None,
    *,
    label: str | None = None,
    group: str | None = None,
    targets: Targets | None = "classification",
    tested: bool = False,
) -> ListedFiles:
    """The sounds of a table, in the groups that are asked for or of each speaker; or of class folders."""
    if table is None:
        found = ListedFiles.of_folders(root, SOUND_SUFFIXES, "sounds", group)
    else:
        if not root.is_dir():
            raise FileNotFoundError(f"There is no folder {root}: give the one that the files of '{table}' lie in.")
        found = ListedFiles.of_table(
            Path(table), SOUND_SUFFIXES, "sounds", root=root, label=label, group=group, targets=targets
        )
    check_readable(found.files)
    if not tested and group is None and len({*(found.groups or ())}) < FEWEST_SPEAKERS:
        return replace(found, groups=None)
    return found


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


class RecordingReader:
    """Reads sound files as inputs, and counts those of which not all is heard; ``cuts`` allows longer ones."""

    def __init__(self, features: LogMel, cuts: bool = True) -> None:
        self.features = features
        self.cuts = cuts
        self._read = list[Path]()
        self._cut: dict[Path, float] = {}
        self._resampled = list[Path]()
        self._warned = False

    def inputs(self, files: Collection[Path]) -> Tensor:
        """The inputs of some files, shape ``(n, *shape)``."""
        inputs = torch.zeros(len(files), *self.features.shape)
        for row, file in zip(inputs, files, strict=True):
            row[:] = self.input(file)
        return inputs

    def input(self, file: Path) -> Tensor:
        """The input of a file; one that is unreadable, silent, empty or too long is a ValueError."""
        recording = self.features.read(file)
        shown = f"'{writable(os.fspath(file))}'"
        cut = self.features.cuts(recording.seconds)
        if cut and not self.cuts:
            raise ValueError(
                f"{shown} lasts {recording.seconds:.2f} s and is heard {self.features.heard}, but its transcript is of "
                "the whole: cut it, or give features of more 'steps'."
            )
        if not len(recording.samples):
            raise ValueError(f"{shown} is empty: record it again or remove it.")
        if not cut and not bool(recording.samples.any()):  # what is cut may begin in silence
            raise ValueError(f"{shown} is silent: record it again or remove it.")
        self._read.append(file)  # of several threads, which would lose some by counting
        if recording.rate != self.features.rate:
            self._resampled.append(file)
        if cut:
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
        if lost and not self._warned:
            self._warned = True
            warn_of_data(
                f"Heard of {number_of(len(self._read), 'sound')}, by the task's 'features': {self.features.heard}; "
                f"{'; '.join(lost)}."
            )
