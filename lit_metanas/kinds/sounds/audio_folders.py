"""Sound files as a target task or a task source: in folders or named by a table, and what reads them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lit_metanas.inputs import Preprocessing, SeriesShape
from lit_metanas.io.text import number_of, writable
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.listed_files import ListedFiles, task_of_files
from lit_metanas.kinds.sounds.log_mel import LogMel, features_for
from lit_metanas.kinds.sounds.sound_files import SOUND_SUFFIXES, check_readable
from lit_metanas.kinds.source_bases import ClassExamples
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.source import TaskSource
from lit_metanas.tasks.splits import check_shares
from lit_metanas.tasks.task import SingleTask, Task, warn_of_data

# Sounds are divided by speakers, if nobody has asked for groups: one to learn from, one to choose by, one to test.
FEWEST_SPEAKERS = 3


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
            Path(table), SOUND_SUFFIXES, "sounds", folder=root, label=label, group=group, targets=targets
        )
    check_readable(found.files)
    if not tested and group is None and len({*(found.groups or ())}) < FEWEST_SPEAKERS:
        return replace(found, groups=None)
    return found


class HasFeatures:
    """Recordings whose features, unless asked for, are those of a meta-training, or suit the recordings."""

    def _hear(self, root: str, features: LogMel | None, suited: Callable[[], LogMel]) -> None:
        """Take the folder, the features that are asked for, and what finds some that suit the recordings."""
        self.root = Path(root)
        self._given = features
        self._suited = suited

    @cached_property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        return self._given or self._suited()  # when they are first needed: all files are opened

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the features of a meta-training, unless features were asked for."""
        if self._given is None:
            self.features = LogMel.checked(preprocessing, str(self.root))


@dataclass(eq=False)
class RecordingReader:
    """Reads sound files as inputs, and counts those of which not all is heard; ``cuts`` allows longer ones."""

    features: LogMel
    cuts: bool = True
    _read: list[tuple[Path, float, int]] = field(default_factory=list, init=False)  # with their seconds and rates
    _warned: bool = field(default=False, init=False)

    def input(self, file: Path) -> Tensor:
        """The input of a file; one that is unreadable, silent, empty or too long is a ValueError."""
        recording = self.features.read(file)
        shown = f"'{writable(str(file))}'"
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
        # Several threads read, and would lose some by counting.
        self._read.append((file, recording.seconds, recording.rate))
        return self.features.encode([recording[:2]])[0]

    def warn(self) -> None:
        """Warn, once, that not all of the sounds that were read is heard."""
        lost = []
        cut = {file: seconds for file, seconds, _ in self._read if self.features.cuts(seconds)}
        if cut:
            longest = max(sorted(cut), key=cut.__getitem__)
            lost.append(f"longer and cut: {len(cut)}, up to {cut[longest]:.2f} s ('{writable(str(longest))}')")
        if resampled := sum(rate != self.features.rate for *_, rate in self._read):
            lost.append(f"of other rates and resampled: {resampled}")
        if lost and not self._warned:
            self._warned = True
            warn_of_data(
                f"Heard of {number_of(len(self._read), 'sound')}, by the task's 'features': {self.features.heard}; "
                f"{'; '.join(lost)}."
            )


class AudioFolderTask(HasFeatures, SingleTask):
    """One's own recordings of words or other sounds as a collection of a single task.

    They are WAV files, or with the extra ``speech`` FLAC, OGG, MP3 or AIFF files, in a sub-folder for each word or
    named by a table. The task is ``AudioFolderTask("recordings")[0]``.

    Args:
        root: the folder.
        table: CSV, TSV or JSON lines, with a column of files, whose names are relative to ``root``, and one of labels;
            None takes sub-folders. If a column ``speaker`` names three or more, no speaker is in two parts.
        label: the column of labels; None finds it by a usual name, such as ``label``, or takes the only other one.
        features: how sound becomes a series; None takes those of the meta-trained checkpoint which a search starts
            from, or else the rate of most recordings (8 to 16 kHz) and the length of 95 % of them: ``LogMel()`` for up
            to a second, 250 steps for up to ten, and more up to a minute. A warning says how much is cut.
        train: share of each word's recordings to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: of the random split, at least 0.
        skip_unreadable: whether files that are unreadable, silent or empty are left out, with a warning, or refused.
        test_root: a folder of the recordings to report accuracy on, arranged as ``root`` is, in place of some of
            ``root``.
        test_table: the table of ``test_root``; None takes sub-folders.
        group: which recordings belong together, and so into one part: the column of the table, or without a table what
            ``FolderTask`` takes.
        min_per_class: words with fewer recordings are left out, as classes of ``FolderTask`` are.
        targets: what labels are learned as, as in ``task_from_arrays``.
        window: seconds of 250 steps, 2.5 to 100, of recordings of any length; None takes what ``features`` says.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are too few words, recordings or groups, a file is unreadable, silent, empty or of no group,
            the table is malformed, the test folder has a word of its own, or an argument is out of its range.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> source = lm.kinds.SpokenWords()
        >>> for word in (0, 1):
        ...     folder = Path("recordings") / source.classes("test")[word]
        ...     folder.mkdir(parents=True)
        ...     for number, sound in enumerate(source.sounds("test", word, range(5))):
        ...         with wave.open(str(folder / f"{number}.wav"), "wb") as file:
        ...             file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...             file.writeframes((sound * 32767).short().numpy().tobytes())
        >>> task = lm.AudioFolderTask("recordings")[0]
        >>> task.shape, len(task.train), len(task.val), len(task.test)
        (SeriesShape(features=41, steps=100), 6, 2, 2)
    """

    kept = False

    def __init__(
        self,
        root: str,
        table: str | None = None,
        label: str | None = None,
        features: LogMel | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        skip_unreadable: bool = False,
        test_root: str | None = None,
        test_table: str | None = None,
        group: str | None = None,
        min_per_class: int | None = None,
        targets: Targets | None = "classification",
        window: float | None = None,
    ) -> None:
        check_shares("AudioFolderTask", train=train, val=val, test=test, seed=seed)
        listed: Any = {"label": label, "group": group, "targets": targets}
        self._listing = listed_sounds(Path(root), table, **listed)
        self._options: dict[str, Any] = {
            "tested": None,
            "shares": (train, val, test),
            "seed": seed,
            "least": min_per_class,
            "targets": targets,
            "skip_unreadable": skip_unreadable,
        }
        if test_root is not None:
            self._options["tested"] = listed_sounds(Path(test_root), test_table, tested=True, **listed)
        self._hear(root, features, partial(features_for, self._listing.files, window))

    def make(self, reading: FileReading | None = None) -> Task:
        """Read the files, of which ``reading`` may sample some, and split them."""
        reader = RecordingReader(self.features)
        task = task_of_files(
            self.root.resolve().name,
            self._listing,
            read=reader.input,
            noun="sounds",
            reading=reading,
            preprocessing=self.features,
            counted=True,
            **self._options,
        )
        reader.warn()
        return task


class AudioFolder(HasFeatures, ClassExamples, TaskSource):
    """Recordings of words as a source: sound files, a sub-folder a word, or named by a table.

    The words are split as given, or at random by a seed.

    Args:
        root: the folder.
        table: as in ``AudioFolderTask``; None takes sub-folders.
        label: the column of words, as in ``AudioFolderTask``.
        features: how sound becomes a series; None takes what ``AudioFolderTask`` does.
        train: the meta-training words; if any of the three lists is given, no word is drawn at random.
        val: the meta-validation words.
        test: the meta-test words.
        fractions: shares of the words in the three subsets, if no list is given.
        seed: of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two words, the table is malformed, or an argument is out of its range; later, a
            file is unreadable, silent or empty.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> for number, word in enumerate(["no", "yes", "stop", "go"] * 6):
        ...     (Path("sounds") / word).mkdir(parents=True, exist_ok=True)
        ...     with wave.open(f"sounds/{word}/{number}.wav", "wb") as file:
        ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...         file.writeframes(bytes(range(256)) * 10)
        >>> source = lm.kinds.AudioFolder("sounds", train=["no", "yes"], test=["go", "stop"])
        >>> source.classes("test"), source.instances("test", 0)
        (('go', 'stop'), 6)
    """

    def __init__(
        self,
        root: str,
        table: str | None = None,
        label: str | None = None,
        features: LogMel | None = None,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        sounds = listed_sounds(Path(root), table, label=label)
        words = sounds.classes
        self._hear(root, features, partial(features_for, sounds.files))
        if len(words) < 2:
            raise ValueError(f"{sounds.place} has {len(words)} different labels: give files of two or more.")
        super().__init__(
            self.root.resolve().name,
            {word: words[word] for word in sorted(words)},
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            place=str(self.root),
            noun="word",
        )
        self._reader: RecordingReader | None = None

    @property
    def preprocessing(self) -> LogMel:
        """What makes series of sound."""
        return self.features

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the features of a meta-training, unless features were asked for.

        Raises:
            ValueError: it is for other examples than sounds.
        """
        super().take_preprocessing(preprocessing)
        self._reader = None
        self._read.clear()

    def _read_class(self, name: str) -> Tensor:
        self._reader = self._reader or RecordingReader(self.features)
        inputs = torch.stack([*map(self._reader.input, self._members[name])])
        self._reader.warn()
        return inputs
