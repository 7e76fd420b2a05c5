"""One's own recordings of several words, with what is said in them, as a target task."""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import torch
from torch.nn.utils.rnn import pad_sequence

from lit_metanas.inputs.preprocessing import split_words
from lit_metanas.io.text import writable
from lit_metanas.kinds.file_reading import FileReading
from lit_metanas.kinds.listed_files import ListedFiles
from lit_metanas.kinds.sounds.audio_folders import HasFeatures, RecordingReader, listed_sounds
from lit_metanas.kinds.sounds.log_mel import LogMel, whole_features_for
from lit_metanas.objectives.step_objectives import Transcription
from lit_metanas.tasks.splits import check_shares, split_examples, tell_shared_groups, warn_of_repeats
from lit_metanas.tasks.task import SingleTask, Split, Task, check_task

_Said: TypeAlias = tuple[Path, list[str]]  # a recording, and the words that are said in it


class TranscriptTask(HasFeatures, SingleTask):
    """Recordings with transcripts as a collection of a single task: a network is to write the words that are said.

    The objective is ``Transcription``, whose symbols are the words of all transcripts of ``table``, lower-cased and
    without punctuation. A word that stands in ``test_table`` alone always counts as an error. The task is
    ``TranscriptTask("recordings", "transcripts.csv")[0]``.

    Args:
        root: the folder of sound files: WAV, FLAC, OGG, MP3 or AIFF.
        table: CSV, TSV or JSON lines, with a column of files, whose names are relative to ``root``. If a column
            ``speaker`` names three or more, no speaker is in two parts.
        label: the column of transcripts.
        features: how sound becomes a series; None takes ``LogMel()`` with the steps of the longest recording, at the
            rate of most of them (8 to 16 kHz).
        train: share of the recordings to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report word accuracy on.
        seed: of the random split, at least 0.
        test_root: a folder of the recordings to report on, in place of some of ``root``.
        test_table: the table of ``test_root``, with the same columns.
        group: the column of what belongs together, and so into one part, in place of speakers.

    Raises:
        FileNotFoundError: there is no such folder or table.
        ValueError: there are too few transcripts, recordings or groups, a transcript has no words, a file is
            unreadable, silent, empty or longer than the features or a minute, the table is malformed, or an argument is
            out of its range.

    Example:
        >>> import wave
        >>> from pathlib import Path
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
        label: str = "transcript",
        features: LogMel | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_root: str | None = None,
        test_table: str | None = None,
        group: str | None = None,
    ) -> None:
        if (test_root is None) != (test_table is None):
            raise ValueError("TranscriptTask: 'test_root' and 'test_table' belong together: give both or neither.")
        check_shares("TranscriptTask", train=train, val=val, test=test, seed=seed)
        self.table = Path(table)
        self.test_root = test_root
        listing = listed_sounds(Path(root), table, label=label, group=group)
        self._grouped = listing.groups is not None
        said, files = _words(listing), [*listing.files]
        self.classes = tuple(sorted({word for _, words in said for word in words}))
        if test_root is None:
            self._parts = _divided(listing, said, (train, val, test), seed)
        else:
            tested = listed_sounds(Path(test_root), test_table, label=label, group=group)
            files += tested.files
            self._parts = [*_divided(listing, said, (None, val, 0.0), seed)[:2], _words(tested)]
            if group is not None:
                tell_shared_groups(f"'{writable(test_root)}'", listing.groups, tested.groups or ())
        self._hear(root, features, partial(whole_features_for, files))

    def make(self) -> Task:
        """Read the files."""
        reader = RecordingReader(self.features, cuts=False)
        everything = [*chain.from_iterable(self._parts)]
        files, sizes = [file for file, _ in everything], [*map(len, self._parts)]
        inputs, _ = FileReading().inputs(files, reader.input, "sounds", skip_unreadable=False, counted=True)
        reader.warn()
        numbers = {word: number for number, word in enumerate(self.classes, 1)}
        # Whatever is no symbol, as a word of a given test part may be, gets the number above theirs.
        said = [torch.tensor([numbers.get(word, len(numbers) + 1) for word in words]) for _, words in everything]
        # Padding is 0 behind the end.
        train, val, test = map(Split, inputs.split(sizes), pad_sequence(said, batch_first=True).split(sizes))
        if self.test_root is not None:
            warn_of_repeats(f"'{writable(self.test_root)}'", [train.inputs, val.inputs], test.inputs)
        objective = Transcription(len(self.classes))
        task = Task(
            id=self.table.resolve().stem,
            way=objective.outputs,
            train=train,
            val=val,
            test=test,
            classes=self.classes,
            preprocessing=self.features,
            objective=objective,
            grouped=self._grouped,
        )
        check_task(task)
        return task


def _divided(
    listing: ListedFiles, said: list[_Said], shares: tuple[float | None, float, float], seed: int
) -> list[list[_Said]]:
    train, val, test = shares
    groups = None
    if listing.groups is not None:
        group_of = dict(zip(listing.files, listing.groups, strict=True))
        groups = [group_of[file] for file, _ in said]
    parts = split_examples(
        {"": range(len(said))},
        train=train,
        val=val,
        test=test,
        seed=seed,
        culprit=lambda _: listing.place,
        groups=groups,
    )
    return [[said[at] for at in part] for part in parts]


def _words(sounds: ListedFiles) -> list[_Said]:
    """The words of the transcripts, in small letters and without punctuation, by the files' names."""
    found = list[_Said]()
    # In the order of names: the split does not depend on that of the table.
    for file, text in sorted(zip(sounds.files, sounds.labels, strict=True)):
        words = [word for word in split_words(text) if any(letter.isalnum() for letter in word)]
        if not words:
            raise ValueError(
                f"The transcript of '{writable(str(file))}' has no words: write what is said, or leave it out."
            )
        found.append((file, words))
    return found
