"""Folders and tables of sound files as a target task or a task source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import SeriesShape, Shape, as_shape, describe_shape
from lit_metanas.io.class_folders import left_out, read_classes
from lit_metanas.io.text import writable
from lit_metanas.kinds.sounds.log_mel import LogMel, features_for
from lit_metanas.kinds.sounds.recordings import (
    RecordingReader,
    Spoken,
    TableColumns,
    drawn_shares,
    drawn_speakers,
    find_recordings,
)
from lit_metanas.tasks.source import Subset, TaskSource
from lit_metanas.tasks.splits import (
    FEWEST_OF_A_CLASS,
    check_shares,
    class_subsets,
    join_classes,
    large_classes,
    split_examples,
    tell_shared_groups,
    warn_of_repeats,
)
from lit_metanas.tasks.task import SingleTask, Task, warn_of_data


class AudioFolderTask(SingleTask):
    """One's own recordings as a collection of a single task: sound files, a sub-folder for each word or other class.

    They are WAV files, or with the extra ``speech`` FLAC, OGG, MP3 or AIFF files. A table may name files and words
    instead. Where it has a column of speakers, those of the test part are not heard in the other parts. The task is
    ``AudioFolderTask("recordings")[0]``.

    Args:
        root: the folder.
        table: CSV, or TSV where its name ends in ``.tsv``, with a line of column names; None takes sub-folders.
        columns: the table's columns; None takes ``file``, ``label`` and, if there is such, ``speaker``.
        features: how sound becomes a series; None takes those of the meta-trained checkpoint which a search starts
            from, or else the rate of most recordings (8 to 16 kHz) and the length of 95 % of them: ``LogMel()`` for up
            to a second, 250 steps at most, and ten seconds. A warning says how much is cut.
        train: share of each word's recordings to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on; where speakers are known, the share of these.
        held_out: the speakers of the test part; None draws them.
        seed: seed of the random split, at least 0.
        skip_unreadable: whether files that are unreadable, silent or empty are left out, with a warning, instead of
            refused.
        test_root: a folder of the recordings to report accuracy on, arranged as ``root`` is, all of whose recordings
            are then to learn from and to choose by. None takes some of ``root``.
        test_table: the table of ``test_root``; None takes sub-folders.
        group: which recordings belong together, such as those of a speaker, and so into one part, train, val or test:
            the column of the table, or without a table what ``FolderTask`` takes. Speakers are then not held out
            otherwise.
        min_per_class: words with fewer recordings are left out, as classes of ``FolderTask`` are.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two words, one has too few recordings or groups, a file is unreadable, silent,
            empty or of no group, the table is malformed, the folder of test recordings has a word of its own, or an
            argument is out of its range.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> import lit_metanas as lm
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

    def __init__(
        self,
        root: str,
        table: str | None = None,
        columns: TableColumns | None = None,
        features: LogMel | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        held_out: list[str] | None = None,
        seed: int = 0,
        skip_unreadable: bool = False,
        test_root: str | None = None,
        test_table: str | None = None,
        group: str | None = None,
        min_per_class: int | None = None,
    ) -> None:
        check_shares("AudioFolderTask", train=train, val=val, test=test, seed=seed)
        if group is not None and held_out is not None:
            raise ValueError("AudioFolderTask: 'group' and 'held_out' both divide the speakers: give one of them.")
        if test_root is not None and held_out is not None:
            raise ValueError("AudioFolderTask: 'test_root' and 'held_out' both name the test part: give one of them.")
        self.root = Path(root)
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        self.skip_unreadable = skip_unreadable
        self.test_root = test_root
        self._open = features is None
        self._features = features
        columns = columns or TableColumns()
        self.group = group
        self.min_per_class = min_per_class
        found = find_recordings(self.root, table, columns, group=group)
        self._words = large_classes(found, min_per_class, f"'{writable(str(root))}'")
        self._test_words: dict[str, list[Spoken]] | None = None
        speakers: float | list[str] = 0.0 if group is not None else test if held_out is None else held_out
        if test_root is not None:
            self._test_words, speakers = find_recordings(Path(test_root), test_table, columns, group=group), 0.0
            if group is not None:
                words = self._words, self._test_words
                first, second = ([spoken.group for own in part.values() for spoken in own] for part in words)
                tell_shared_groups(f"'{test_root}'", first, second)
            if foreign := [word for word in self._test_words if word not in found]:
                raise ValueError(f"'{test_root}' has a word '{foreign[0]}', which '{self.root}' lacks: leave it out.")
        self._held_out = drawn_speakers(self._words, speakers, seed=seed, owner="AudioFolderTask")

    @property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        if self._features is None:
            self._features = features_for([spoken.file for files in self._words.values() for spoken in files])
        return self._features

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    def bring_to(self, shape: Shape) -> None:
        """Take another number of bands and steps unless features were asked for.

        Raises:
            ValueError: it is not the shape of a series.
        """
        if not self._open:
            return
        found = as_shape(shape)
        if not isinstance(found, SeriesShape):
            raise ValueError(f"'{self.root}' holds sound, and the search is for {describe_shape(found)}: give such.")
        self._features = replace(self._features or LogMel(), bins=found.features - 1, steps=found.steps)

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the features of a meta-training, unless features were asked for.

        Raises:
            ValueError: it is for other examples than sounds.
        """
        if self._open:
            self._features = LogMel.checked(preprocessing, str(self.root))

    @property
    def classes(self) -> tuple[str, ...]:
        """The words, in the order of their labels."""
        return tuple(self._words)

    def make(self) -> Task:
        """Read the files and split them."""
        tested = {word: [s for s in files if s.speaker in self._held_out] for word, files in self._words.items()}
        others = {word: [s for s in files if s.speaker not in self._held_out] for word, files in self._words.items()}
        _require_both(others, tested, self._held_out, "AudioFolderTask")
        reader = RecordingReader(self.features)
        inputs, spoken = self._read(reader, others)
        least = self.min_per_class
        if least is not None and self._held_out:  # of each word the test part has some recordings already
            least = min(least, FEWEST_OF_A_CLASS - 1)
        inputs = large_classes(inputs, least, f"'{writable(str(self.root))}'")
        learned, chosen, drawn = drawn_shares(
            train=self.train,
            val=self.val,
            test=self.test,
            speakers_held_out=bool(self._held_out),
            test_given=self._test_words is not None,
        )
        train, val, test = split_examples(
            inputs,
            train=learned,
            val=chosen,
            test=drawn,
            seed=self.seed,
            culprit=lambda word: f"Word '{word}' of '{self.root}'",
            groups=None if self.group is None else {word: [s.group for s in spoken[word]] for word in inputs},
        )
        if self._held_out:
            heard, _ = self._read(reader, tested)
            test = join_classes([heard[word] for word in inputs])
        if self._test_words is not None:
            said, _ = self._read(reader, self._test_words)
            test = join_classes([said.get(word, torch.zeros(0, *self.shape)) for word in inputs])
            warn_of_repeats(f"'{self.test_root}'", [train.inputs, val.inputs], test.inputs)
        reader.warn()
        return Task(
            id=self.root.resolve().name,
            way=len(inputs),
            train=train,
            val=val if len(val) else None,
            test=test,
            classes=tuple(inputs),
            preprocessing=self.features,
        )

    def _read(
        self, reader: RecordingReader, words: Mapping[str, Sequence[Spoken]]
    ) -> tuple[dict[str, Tensor], dict[str, list[Spoken]]]:
        """The inputs of each word and their files, and a warning of those that are left out."""
        files = {word: [spoken.file for spoken in own] for word, own in words.items()}
        inputs, unreadable = read_classes(files, reader.input, skip_unreadable=self.skip_unreadable)
        if unreadable:
            warn_of_data(left_out(unreadable, sum(map(len, files.values())), "sounds"))
        return inputs, {word: [one for one in own if one.file not in unreadable] for word, own in words.items()}


class AudioFolder(TaskSource):
    """Recordings of words as a source: sound files, a sub-folder a word, or named by a table.

    The words are split as given, or at random by a seed. Where a table has a column of speakers, some of them are held
    out: they speak in test parts of target tasks only, and all others nowhere in these.

    Args:
        root: the folder.
        table: CSV, or TSV where its name ends in ``.tsv``, with a line of column names; None takes sub-folders.
        columns: the table's columns; None takes ``file``, ``label`` and, if there is such, ``speaker``.
        features: how sound becomes a series; None takes what ``AudioFolderTask`` does.
        held_out: share of the speakers that are held out, or their names.
        train: the meta-training words; if any of the three lists is given, no word is drawn at random.
        val: the meta-validation words.
        test: the meta-test words.
        fractions: shares of the words in the three subsets, if no list is given.
        seed: seed of the random splits of words and speakers, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two words, the table is malformed, a word is not spoken by both held-out and
            other speakers, or an argument is out of its range; later, that a file is unreadable, silent or empty.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> import lit_metanas as lm
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
        columns: TableColumns | None = None,
        features: LogMel | None = None,
        held_out: float | list[str] = 0.25,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        self._open = features is None
        self._features = features
        words = find_recordings(self.root, table, columns or TableColumns())
        self._classes = class_subsets(
            list(words),
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            owner="AudioFolder",
            place=str(self.root),
            noun="word",
        )
        speakers = drawn_speakers(words, held_out, seed=seed, owner="AudioFolder")
        self._words: dict[bool, dict[str, list[Spoken]]] = {
            part: {word: [s for s in files if (s.speaker in speakers) == part] for word, files in words.items()}
            for part in (False, True)
        }
        _require_both(self._words[False], self._words[True], speakers, "AudioFolder")
        self._reader: RecordingReader | None = None
        self._inputs: dict[tuple[str, bool], Tensor] = {}

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.root.resolve().name

    @property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        if self._features is None:
            parts = self._words.values()
            self._features = features_for([one.file for part in parts for own in part.values() for one in own])
        return self._features

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    @property
    def preprocessing(self) -> LogMel:
        """What makes series of sound."""
        return self.features

    def take_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Take the features of a meta-training, unless features were asked for.

        Raises:
            ValueError: it is for other examples than sounds.
        """
        if self._open:
            self._features = LogMel.checked(preprocessing, str(self.root))
            self._reader = None
            self._inputs.clear()

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the subset's words."""
        return self._classes[subset]

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of recordings of a word, by held-out speakers or by the others."""
        return len(self._words[held_out][self._classes[subset][class_index]])

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return recordings of one word; all of it are read at its first use and kept in memory."""
        key = self._classes[subset][class_index], held_out
        if key not in self._inputs:
            self._reader = self._reader or RecordingReader(self.features)
            self._inputs[key] = self._reader.inputs([spoken.file for spoken in self._words[held_out][key[0]]])
        return self._inputs[key][list(instances)]


def _require_both(
    others: dict[str, list[Spoken]], tested: dict[str, list[Spoken]], held_out: frozenset[str], owner: str
) -> None:
    """Find a word that not both held-out and other speakers say.

    Raises:
        ValueError: there is one.
    """
    for word in others if held_out else ():
        if not others[word] or not tested[word]:
            who = "no held-out speaker" if not tested[word] else "held-out speakers only"
            raise ValueError(
                f"{owner}: '{word}' is spoken by {who} ({', '.join(sorted(held_out)[:5])}): hold out others, leave the "
                "word out, or the column of speakers."
            )
