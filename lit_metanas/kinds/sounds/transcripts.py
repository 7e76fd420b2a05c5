"""One's own recordings of several words, with what is said in them, as a target task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.inputs.shapes import SeriesShape
from lit_metanas.inputs.tokens import split_words
from lit_metanas.io.text import writable
from lit_metanas.kinds.sounds.log_mel import LogMel, whole_features_for
from lit_metanas.kinds.sounds.recordings import (
    RecordingReader,
    Spoken,
    TableColumns,
    drawn_shares,
    drawn_speakers,
    find_recordings,
)
from lit_metanas.objectives.transcription import Transcription
from lit_metanas.tasks.source import SUBSETS, Subset
from lit_metanas.tasks.splits import check_shares, deal_groups, part_sizes, tell_shared_groups, warn_of_repeats
from lit_metanas.tasks.task import SingleTask, Split, Task, check_task


class TranscriptTask(SingleTask):
    """Recordings with transcripts as a collection of a single task: a network is to write the words that are said.

    The objective is ``Transcription``, whose symbols are the words of all transcripts of ``table``, lower-cased and
    without punctuation. One that the train part lacks is never told, and counts as an error where it is said. So does a
    word that stands in ``test_table`` alone: it is no symbol. The task is
    ``TranscriptTask("recordings", "transcripts.csv")[0]``.

    Args:
        root: the folder of sound files: WAV, FLAC, OGG, MP3 or AIFF.
        table: CSV, or TSV where its name ends in ``.tsv``, with a line of column names.
        columns: the table's columns; None takes ``file``, ``transcript`` and, if there is such, ``speaker``, of whom
            those of the test part are not heard in the other parts.
        features: how sound becomes a series; None takes ``LogMel()`` with the steps of the longest recording, at the
            rate of most of them (8 to 16 kHz).
        beam: prefixes that decoding keeps; see ``Transcription``.
        train: share of the recordings to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report word accuracy on; where speakers are known, the share of these.
        held_out: the speakers of the test part; None draws them.
        seed: seed of the random split, at least 0.
        test_root: a folder of the recordings to report on; all of ``root`` are then to learn from and to choose by.
            None takes some of ``root``. A warning tells how many of them are learned from, too.
        test_table: the table of ``test_root``, with the same columns.
        group: the column that tells which recordings belong together, such as those of a speaker, and so into one part,
            train, val or test. Speakers are then not held out otherwise.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two different transcripts, one has no words, there are too few recordings or
            groups, a file is unreadable, silent, empty or longer than the features or a minute, the table is malformed,
            or an argument is out of its range.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> words = lm.kinds.SpokenWords()
        >>> Path("said").mkdir()
        >>> rows = ["file,transcript"]
        >>> for number in range(10):
        ...     both = [words.sounds("test", word, [number])[0] for word in (0, number % 2)]
        ...     with wave.open(f"said/{number}.wav", "wb") as file:
        ...         file.setparams((1, 2, 8000, 0, "NONE", ""))
        ...         for sound in both:
        ...             file.writeframes((sound * 32767).short().numpy().tobytes())
        ...     rows.append(f"{number}.wav,{'Stop' if number % 2 else 'Go'} please!")
        >>> size = Path("said.csv").write_text(chr(10).join(rows))
        >>> task = lm.TranscriptTask("said", "said.csv")[0]
        >>> task.classes, len(task.train), task.goal.show(task.goal.answers(task.test.labels), task.test.inputs, task)
        (('go', 'please', 'stop'), 6, ['go please', 'stop please'])
    """

    def __init__(
        self,
        root: str,
        table: str,
        columns: TableColumns | None = None,
        features: LogMel | None = None,
        beam: int = 1,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        held_out: list[str] | None = None,
        seed: int = 0,
        test_root: str | None = None,
        test_table: str | None = None,
        group: str | None = None,
    ) -> None:
        check_shares("TranscriptTask", train=train, val=val, test=test, seed=seed)
        if group is not None and held_out is not None:
            raise ValueError("TranscriptTask: 'group' and 'held_out' both divide the speakers: give one of them.")
        if (test_root is None) != (test_table is None):
            raise ValueError("TranscriptTask: 'test_root' and 'test_table' belong together: give both or neither.")
        if test_root is not None and held_out is not None:
            raise ValueError("TranscriptTask: 'test_root' and 'held_out' both name the test part: give one of them.")
        self.root = Path(root)
        self.table = Path(table)
        self.beam = beam
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        columns = columns or TableColumns(label="transcript")
        self.group = group
        said = find_recordings(self.root, table, columns, "transcripts", group)
        self._spoken = _in_order(said)
        self.test_root = test_root
        self._tested: list[tuple[Spoken, str]] | None = None
        speakers: float | list[str] = 0.0 if group is not None else test if held_out is None else held_out
        if test_root is not None:
            tested = find_recordings(Path(test_root), test_table, columns, "transcripts", group)
            self._tested, speakers = _in_order(tested), 0.0
            if group is not None:
                first, second = ([spoken.group for spoken, _ in part] for part in (self._spoken, self._tested))
                tell_shared_groups(f"'{writable(test_root)}'", first, second)
        self._held_out = drawn_speakers(said, speakers, seed=seed, owner="TranscriptTask")
        self.classes = symbols_of((text, spoken.file) for spoken, text in self._spoken)
        self._given = features

    @cached_property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        files = [spoken.file for spoken, _ in (*self._spoken, *(self._tested or ()))]
        return self._given or whole_features_for(files)

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    def make(self) -> Task:
        """Read the files and split them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        task = transcript_task(
            self.table.resolve().stem,
            {subset: [(one.file, text) for one, text in part] for subset, part in self._parts().items()},
            self.features,
            self.classes,
            beam=self.beam,
            validated=self.val > 0,
        )
        if self.test_root is not None:
            learned = [part.inputs for part in (task.train, task.val) if part is not None]
            warn_of_repeats(f"'{writable(self.test_root)}'", learned, task.test.inputs)
        return task

    def _parts(self) -> dict[Subset, list[tuple[Spoken, str]]]:
        """The recordings of train, val and test part."""
        tested = [one for one in self._spoken if one[0].speaker in self._held_out]
        others = [place for place, (spoken, _) in enumerate(self._spoken) if spoken.speaker not in self._held_out]
        train, val, test = drawn_shares(
            train=self.train,
            val=self.val,
            test=self.test,
            speakers_held_out=bool(self._held_out),
            test_given=self._tested is not None,
        )
        place = f"'{writable(str(self.table))}'"
        if self.group is not None:
            groups = {"": [spoken.group for spoken, _ in self._spoken]}
            dealt = deal_groups(groups, train=train, val=val, test=test, seed=self.seed, culprit=lambda _: place)
            parts = {part: [one for one in self._spoken if dealt[one[0].group] == part] for part in SUBSETS}
        else:
            sizes = part_sizes(place, len(others), train=train, val=val, test=test)
            drawn = iter(np.random.default_rng(self.seed).permutation(others).tolist())
            parts = {
                subset: [self._spoken[next(drawn)] for _ in range(size)]
                for subset, size in zip(SUBSETS, sizes, strict=True)
            }
        if self._held_out or self._tested is not None:
            parts["test"] = self._tested or tested
        return parts


def _in_order(said: Mapping[str, Sequence[Spoken]]) -> list[tuple[Spoken, str]]:
    """All files with their transcripts, by the files' names."""
    return sorted((spoken, text) for text, files in said.items() for spoken in files)


def transcript_task(
    id: str,
    parts: Mapping[Subset, Sequence[tuple[Path, str]]],
    features: LogMel,
    symbols: Sequence[str],
    *,
    beam: int = 1,
    validated: bool,
) -> Task:
    """The task of writing what is said in sound files.

    Args:
        id: the task's name.
        parts: the files of each part, with their transcripts; a file that stands twice is read once.
        features: how sound becomes a series.
        symbols: all words that can be written; see ``symbols_of``.
        beam: prefixes that decoding keeps; see ``Transcription``.
        validated: whether there is a val part.

    Raises:
        ValueError: a file is unreadable, silent, empty or too long; or a part is malformed.
    """
    objective = Transcription(len(symbols), beam)
    files = {
        file: place for place, file in enumerate(dict.fromkeys(file for part in parts.values() for file, _ in part))
    }
    inputs = RecordingReader(features, cuts=False).inputs(files)
    said = {subset: [words_said(text, file) for file, text in part] for subset, part in parts.items()}
    longest = max(len(words) for part in said.values() for words in part)
    splits = {
        subset: Split(inputs[[files[file] for file, _ in part]], symbol_targets(said[subset], symbols, longest))
        for subset, part in parts.items()
    }
    task = Task(
        id=id,
        way=objective.outputs,
        train=splits["train"],
        val=splits["val"] if validated else None,
        test=splits["test"],
        classes=tuple(symbols),
        preprocessing=features,
        objective=objective,
    )
    check_task(task)
    return task


def words_said(text: str, file: Path) -> list[str]:
    """The words of a transcript, in small letters and without punctuation.

    Raises:
        ValueError: it has none.
    """
    words = [word for word in split_words(text) if any(letter.isalnum() for letter in word)]
    if not words:
        raise ValueError(
            f"The transcript of '{writable(str(file))}' has no words: write what is said, or leave it out."
        )
    return words


def symbols_of(said: Iterable[tuple[str, Path]]) -> tuple[str, ...]:
    """All words of some transcripts, given with their files, by the alphabet.

    Raises:
        ValueError: a transcript has none.
    """
    return tuple(sorted({word for text, file in said for word in words_said(text, file)}))


def symbol_targets(said: Sequence[Sequence[str]], symbols: Sequence[str], longest: int) -> Tensor:
    """The words of each transcript by number, from 1 on, shape ``(n, longest)``, 0 behind the end.

    Args:
        said: the words of each.
        symbols: all that a network can write; whatever else is said gets the number above theirs.
        longest: words of a transcript at most.
    """
    numbers = {word: number for number, word in enumerate(symbols, 1)}
    targets = torch.zeros(len(said), longest, dtype=torch.int64)
    for row, words in zip(targets, said, strict=True):
        row[: len(words)] = torch.tensor([numbers.get(word, len(symbols) + 1) for word in words])
    return targets
