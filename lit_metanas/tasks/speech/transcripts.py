"""One's own recordings of several words, with what is said in them, as a target task."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lit_metanas.io.text import writable
from lit_metanas.tasks.inputs import SeriesShape
from lit_metanas.tasks.objective import Transcription
from lit_metanas.tasks.speech.log_mel import LogMel
from lit_metanas.tasks.speech.recordings import (
    LONGEST_RECORDING,
    RecordingReader,
    TableColumns,
    drawn_speakers,
    find_recordings,
)
from lit_metanas.tasks.splits import check_shares, part_sizes
from lit_metanas.tasks.task import SingleTask, Split, Task, check_task
from lit_metanas.tasks.text.words import split_words


class TranscriptTask(SingleTask):
    """Recordings with transcripts as a collection of a single task: a network is to write the words that are said.

    The objective is ``Transcription``, whose symbols are the words of all transcripts, lower-cased and without
    punctuation. One that the train part lacks is never told, and counts as an error where it is said. The task is
    ``TranscriptTask("recordings", "transcripts.csv")[0]``.

    Args:
        root: the folder of WAV and FLAC files.
        table: CSV, or TSV where its name ends in ``.tsv``, with a line of column names.
        columns: the table's columns; None takes ``file``, ``transcript`` and, if there is such, ``speaker``, of whom
            those of the test part are not heard in the other parts.
        features: how sound becomes a series; None takes ``LogMel()`` with the steps of the longest recording.
        beam: prefixes that decoding keeps; see ``Transcription``.
        train: share of the recordings to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report word accuracy on; where speakers are known, the share of these.
        held_out: the speakers of the test part; None draws them.
        seed: seed of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are fewer than two different transcripts, one has no words, there are too few recordings, a
            file is unreadable, silent, empty or longer than the features or a minute, the table is malformed, or an
            argument is out of its range.

    Example:
        >>> import wave
        >>> from pathlib import Path
        >>> import lit_metanas as lm
        >>> words = lm.SpokenWords()
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
    ) -> None:
        check_shares("TranscriptTask", train=train, val=val, test=test, seed=seed)
        self.root = Path(root)
        self.table = Path(table)
        self.beam = beam
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        said = find_recordings(self.root, table, columns or TableColumns(label="transcript"), "transcripts")
        self._held_out = drawn_speakers(said, test if held_out is None else held_out, seed=seed, owner="TranscriptTask")
        self._spoken = sorted((spoken, text) for text, files in said.items() for spoken in files)
        self._words = [self._words_of(text, spoken.file) for spoken, text in self._spoken]
        self.classes = tuple(sorted({word for words in self._words for word in words}))
        self._given = features

    @cached_property
    def features(self) -> LogMel:
        """How sound becomes a series."""
        return self._given or self._long_enough()

    @property
    def shape(self) -> SeriesShape:
        """The shape of the features."""
        return self.features.shape

    def make(self) -> Task:
        """Read the files and split them."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        objective = Transcription(len(self.classes), self.beam)
        inputs = RecordingReader(self.features, cuts=False).inputs([spoken.file for spoken, _ in self._spoken])
        targets = self._targets()
        train, val, test = (Split(inputs[places], targets[places]) for places in self._parts())
        task = Task(
            id=self.table.resolve().stem,
            way=objective.outputs,
            train=train,
            val=val if self.val else None,
            test=test,
            classes=self.classes,
            preprocessing=self.features,
            objective=objective,
        )
        check_task(task)
        return task

    def _parts(self) -> list[Tensor]:
        """The places of the recordings of train, val and test part."""
        tested = [place for place, (spoken, _) in enumerate(self._spoken) if spoken.speaker in self._held_out]
        others = [place for place, (spoken, _) in enumerate(self._spoken) if spoken.speaker not in self._held_out]
        shares = {"train": self.train, "val": self.val, "test": self.test}
        if self._held_out:
            shares = {"train": self.train / (1 - self.test), "val": self.val / (1 - self.test), "test": 0.0}
        sizes = part_sizes(f"'{writable(str(self.table))}'", len(others), **shares)
        drawn = np.random.default_rng(self.seed).permutation(others)[: sum(sizes)]
        train, val, test = torch.from_numpy(drawn).split(list(sizes))
        return [train, val, torch.tensor(tested, dtype=torch.int64) if self._held_out else test]

    def _targets(self) -> Tensor:
        """The words of each recording by number, from 1 on, shape ``(n, longest)``, 0 behind the end."""
        numbers = {word: number for number, word in enumerate(self.classes, 1)}
        targets = torch.zeros(len(self._words), max(map(len, self._words)), dtype=torch.int64)
        for row, words in zip(targets, self._words, strict=True):
            row[: len(words)] = torch.tensor([numbers[word] for word in words])
        return targets

    def _words_of(self, text: str, file: Path) -> list[str]:
        words = [word for word in split_words(text) if any(letter.isalnum() for letter in word)]
        if not words:
            raise ValueError(
                f"The transcript of '{writable(str(file))}' has no words: write what is said, or leave it out."
            )
        return words

    def _long_enough(self) -> LogMel:
        """The usual features, of as many steps as the longest recording needs."""
        short = LogMel(steps=1)
        seconds = max(short.read(spoken.file).seconds for spoken, _ in self._spoken)
        steps = math.ceil(min(seconds, LONGEST_RECORDING) / short.hop)
        return replace(short, steps=max(1, steps))
