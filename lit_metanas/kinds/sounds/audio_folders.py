"""Folders and tables of sound files as a target task or a task source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import SeriesShape, Shape, as_shape, describe_shape
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.listed_files import ListedFiles, task_of_files
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.kinds.sounds.recordings import (
    HasFeatures,
    RecordingReader,
    divided_by_speakers,
    drawn_speakers,
    listed_sounds,
)
from lit_metanas.tasks.number_targets import Targets
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.splits import check_shares, class_subsets
from lit_metanas.tasks.task import SingleTask, Task


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
        self.root = Path(root)
        self.shares: tuple[float | None, float, float] = train, val, test
        self.seed = seed
        self.skip_unreadable = skip_unreadable
        self.min_per_class = min_per_class
        self.targets = "classification" if table is None else targets
        found = listed_sounds(self.root, table, label=label, group=group, targets=targets)
        self._listing = divided_by_speakers(found, group)
        self._tested: ListedFiles | None = None
        if test_root is not None:
            self._tested = listed_sounds(
                Path(test_root), test_table, label=label, group=group, targets=targets, learned=False
            )
        self._asked_for = features is not None
        self._features = features
        self._window = window
        self._files = self._listing.files

    def bring_to(self, shape: Shape) -> None:
        """Take another number of bands and steps unless features were asked for.

        Raises:
            ValueError: it is not the shape of a series.
        """
        if self._asked_for:
            return
        found = as_shape(shape)
        if not isinstance(found, SeriesShape):
            raise ValueError(f"'{self.root}' holds sound, and the search is for {describe_shape(found)}: give such.")
        self._features = replace(self._features or LogMel(), bins=found.features - 1, steps=found.steps)

    def make(self) -> Task:
        """Read the files and split them."""
        return self.read_by(FileReading())

    def read_by(self, reading: FileReading) -> Task:
        """Read the files, of which ``reading`` may sample some, and split them."""
        reader = RecordingReader(self.features)
        task = task_of_files(
            self.root.resolve().name,
            self._listing,
            self._tested,
            reader.input,
            "sounds",
            shares=self.shares,
            seed=self.seed,
            least=self.min_per_class,
            targets=self.targets,
            reading=reading,
            skip_unreadable=self.skip_unreadable,
            preprocessing=self.features,
            counted=True,
        )
        reader.warn()
        return task


class AudioFolder(HasFeatures, TaskSource):
    """Recordings of words as a source: sound files, a sub-folder a word, or named by a table.

    The words are split as given, or at random by a seed. Where a table has a column of speakers, some of them are held
    out: they speak in test parts of target tasks only, and all others nowhere in these.

    Args:
        root: the folder.
        table: as in ``AudioFolderTask``, perhaps with a column ``speaker``; None takes sub-folders.
        label: the column of words, as in ``AudioFolderTask``.
        features: how sound becomes a series; None takes what ``AudioFolderTask`` does.
        held_out: share of the speakers that are held out, or their names.
        train: the meta-training words; if any of the three lists is given, no word is drawn at random.
        val: the meta-validation words.
        test: the meta-test words.
        fractions: shares of the words in the three subsets, if no list is given.
        seed: of the random splits of words and speakers, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two words, the table is malformed, a word is not spoken by both held-out and
            other speakers, or an argument is out of its range; later, a file is unreadable, silent or empty.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> Path("sounds").mkdir()
        >>> rows = ["file,label,speaker"]
        >>> for number in range(24):
        ...     with wave.open(f"sounds/{number}.wav", "wb") as file:
        ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...         file.writeframes(bytes(range(256)) * 10)
        ...     rows.append(f"{number}.wav,{'no yes stop go'.split()[number % 4]},speaker {number // 4 % 3}")
        >>> written = Path("sounds.csv").write_text(chr(10).join(rows))
        >>> source = lm.kinds.AudioFolder("sounds", "sounds.csv", train=["no", "yes"], test=["go", "stop"])
        >>> source.instances("test", 0), source.instances("test", 0, held_out=True)
        (4, 2)
    """

    def __init__(
        self,
        root: str,
        table: str | None = None,
        label: str | None = None,
        features: LogMel | None = None,
        held_out: float | list[str] = 0.25,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        self._asked_for = features is not None
        self._features = features
        sounds = listed_sounds(self.root, table, label=label)
        words = sorted({*sounds.labels})
        if len(words) < 2:
            raise ValueError(f"{sounds.place} has {len(words)} different labels: give files of two or more words.")
        self._classes = class_subsets(
            words,
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="AudioFolder",
            place=str(self.root),
            noun="word",
        )
        speakers = sounds.groups or [""] * len(sounds.files)
        tested = frozenset[str]() if sounds.groups is None else drawn_speakers(speakers, held_out, seed=seed)
        self._words: dict[tuple[str, bool], list[Path]] = {(word, part): [] for word in words for part in (False, True)}
        for file, word, speaker in zip(sounds.files, sounds.labels, speakers, strict=True):
            self._words[word, speaker in tested].append(file)
        for (word, part), files in self._words.items():
            if tested and not files:
                who = "no held-out speaker" if part else "held-out speakers only"
                raise ValueError(
                    f"AudioFolder: '{word}' is spoken by {who} ({', '.join(sorted(tested)[:5])}): hold out others, "
                    "leave the word out, or the column of speakers."
                )
        self._files = sounds.files
        self._reader: RecordingReader | None = None
        self._inputs: dict[tuple[str, bool], Tensor] = {}

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

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
        if not self._asked_for:
            self._reader = None
            self._inputs.clear()

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the subset's words."""
        return self._classes[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of recordings of a word, by held-out speakers or by the others."""
        return len(self._words[self._classes[subset][class_index], held_out])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return recordings of one word; all of it are read at its first use and kept in memory."""
        key = self._classes[subset][class_index], held_out
        if key not in self._inputs:
            self._reader = self._reader or RecordingReader(self.features)
            self._inputs[key] = self._reader.inputs(self._words[key])
        return self._inputs[key][list(instances)]
