"""The development sets as files, divided into a part to learn from and a part to test, as a user would have them.

Of images and sounds there are folders ``train`` and ``test`` of class folders, of texts and rows ``train.csv`` and
``test.csv``. A folder of data holds the files of ``mixed_tasks.py``, and ``clothing10.zip``, ``sign_digits.zip``,
``esc10.zip``, ``texts.zip`` and ``tables.zip``. Official divisions are kept; of other sets a fifth of each class is
tested. Sounds of one speaker, or of one source, are in one part.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

import numpy as np
import soundfile
from comparison_data import (
    Data,
    assistant,
    characters,
    commands,
    languages,
    photographs,
    requests,
    small_digits as read_small_digits,
)
from data_files import FSDD, RATE, WAKE_WORDS, mu_law_sound
from mixed_tasks import Folders
from PIL import Image

from lit_metanas.io.arrays import read_npz

PARTS = ("train", "test")


@dataclass(frozen=True)
class DevelopmentSet:
    """A set that can be written.

    Attributes:
        kind: of its examples, as ``auto`` names it.
        write: writes both parts into a folder.
        source: its name among the package's records, which ``auto`` does not know here.
        group: which examples belong together, as ``auto`` is told.
    """

    kind: str
    write: Callable[[Folders, Path], None]
    source: str = ""
    group: str | None = None

    def paths(self, folder: Path) -> tuple[Path, Path]:
        """The paths of both parts."""
        suffix = ".csv" if self.kind in ("texts", "rows") else ""
        first, second = (folder / f"{part}{suffix}" for part in PARTS)
        return first, second


def divide_evenly(labels: Sequence[Any]) -> dict[str, list[int]]:
    """A fifth of each class to test."""
    draw, values = np.random.default_rng(0), np.asarray(labels)
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    for label in np.unique(values):
        own = draw.permutation(np.flatnonzero(values == label)).tolist()
        tested = max(1, len(own) // 5)
        rows["test"] += own[:tested]
        rows["train"] += own[tested:]
    return rows


# Images and sounds


def write_file(folder: Path, part: str, label: str, name: str, content: bytes) -> None:
    """A file in the folder of its class."""
    own = folder / part / re.sub(r"\W+", "_", label)
    own.mkdir(parents=True, exist_ok=True)
    (own / name).write_bytes(content)


def write_images(folder: Path, part: str, images: Any, labels: Sequence[Any]) -> None:
    """Images as PNG."""
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG")
        write_file(folder, part, str(label), f"{place}.png", stream.getvalue())


def as_bytes(images: Any) -> Any:
    """Images of floats in [0, 1], and of one channel, as Pillow takes them."""
    values = np.asarray(images)
    if values.dtype != np.uint8:
        values = (255 * values).round().astype(np.uint8)
    return values[:, 0] if values.ndim == 4 and values.shape[1] == 1 else values


def divided_images(read: Callable[[Folders], Data], folders: Folders, folder: Path) -> None:
    """Images that are divided already."""
    data = read(folders)
    for part, (images, labels) in zip(PARTS, (data.learned, data.tested), strict=True):
        write_images(folder, part, as_bytes(images), labels)


def caltech(folders: Folders, folder: Path) -> None:
    """All classes of Caltech-101."""
    data = read_npz(folders.data / "caltech101_32.npz", "get the compact Caltech-101 again")
    names = [str(data["names"][label]) if "names" in data else str(label) for label in data["label"]]
    for part, rows in divide_evenly(names).items():
        write_images(folder, part, data["images"][rows], [names[row] for row in rows])


def unzipped(name: str, part_of: Callable[[list[str]], dict[str, list[int]]], folders: Folders, folder: Path) -> None:
    """The files of an archive, whose last folder is the class; ``part_of`` divides them by their names."""
    with ZipFile(folders.data / name) as archive:
        files = sorted(one for one in archive.namelist() if not one.endswith("/"))
        for part, rows in part_of(files).items():
            for row in rows:
                _, label, own = files[row].rsplit("/", 2)
                write_file(folder, part, label, own, archive.read(files[row]))


def by_class(files: list[str]) -> dict[str, list[int]]:
    """A fifth of each class to test."""
    return divide_evenly([file.rsplit("/", 2)[1] for file in files])


def official(files: list[str]) -> dict[str, list[int]]:
    """As the folders say."""
    return {part: [row for row, file in enumerate(files) if f"/{part}/" in file] for part in PARTS}


def by_fold(fold: int, files: list[str]) -> dict[str, list[int]]:
    """One of the five folds of ESC-10 to test."""
    tested = [file.rsplit("/", 1)[1].startswith(f"{fold}-") for file in files]
    return {part: [row for row, own in enumerate(tested) if own == (part == "test")] for part in PARTS}


def write_sound(folder: Path, part: str, label: str, name: str, sound: Any) -> None:
    """A recording as WAV."""
    stream = io.BytesIO()
    soundfile.write(stream, sound, RATE, format="WAV", subtype="PCM_16")
    write_file(folder, part, label, f"{name}.wav", stream.getvalue())


def spoken_digits(folders: Folders, folder: Path) -> None:
    """Ten digits; two of six speakers are tested."""
    data = read_npz(folders.data / FSDD, "get the compact Free Spoken Digit Dataset again")
    names = sorted(map(str, data["speaker_names"]))
    for place, (begin, end) in enumerate(pairwise(data["offsets"].tolist())):
        speaker = str(data["speaker_names"][data["speaker"][place]])
        part = PARTS[speaker in names[:2]]
        write_sound(folder, part, str(data["label"][place]), f"{speaker}_{place}", data["audio"][begin:end])


def wake_words(folders: Folders, folder: Path) -> None:
    """Six wake words, whose speakers are not told apart."""
    data = read_npz(folders.data / WAKE_WORDS, "get the compact wake words again")
    names = [str(data["names"][label]) for label in data["label"]]
    known = [row for row, label in enumerate(data["label"]) if str(data["source"][row]).startswith("Picovoice")]
    for part, rows in divide_evenly([names[row] for row in known]).items():
        for row in (known[row] for row in rows):
            sound = mu_law_sound(data["audio"][row])
            write_sound(folder, part, names[row], str(row), np.asarray(sound))


# Texts and rows


def write_table(folder: Path, part: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as CSV."""
    with (folder / f"{part}.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([columns, *rows])


def divided_texts(read: Callable[[Folders], Data], folders: Folders, folder: Path) -> None:
    """Texts that are divided already."""
    data = read(folders)
    for part, (texts, labels) in zip(PARTS, (data.learned, data.tested), strict=True):
        write_table(folder, part, ["text", "label"], list(zip(texts, labels, strict=True)))


def table_of(archive: str, files: Mapping[str, Sequence[str]], folders: Folders, folder: Path) -> None:
    """Tables of an archive by their parts; one without a test part is divided."""
    read: dict[str, list[list[str]]] = {}
    with ZipFile(folders.data / archive) as opened:
        for part, names in files.items():
            for name in names:
                columns, *rows = csv.reader(io.StringIO(opened.read(name).decode("utf-8-sig"), newline=""))
                read.setdefault(part, []).extend(rows)
    if "test" not in read:
        (whole,) = read.values()
        read = {part: [whole[row] for row in rows] for part, rows in divide_evenly([row[-1] for row in whole]).items()}
    for part, rows in read.items():
        write_table(folder, part, columns, rows)


def _texts(read: Callable[[Folders], Data], source: str) -> DevelopmentSet:
    return DevelopmentSet("texts", partial(divided_texts, read), source)


def _images(read: Callable[[Folders], Data], source: str) -> DevelopmentSet:
    return DevelopmentSet("images", partial(divided_images, read), source)


def _esc10(fold: int) -> DevelopmentSet:
    write = partial(unzipped, "esc10.zip", partial(by_fold, fold))
    return DevelopmentSet("sounds", write, group="^[1-5]-([0-9]+)-")


def _table(kind: str, archive: str, *train: str, test: str = "") -> DevelopmentSet:
    files = {"train": train} | ({"test": (test,)} if test else {})
    return DevelopmentSet(kind, partial(table_of, archive, files))


_IRONY = "tweet_irony/{}.csv".format
SETS: Mapping[str, DevelopmentSet] = {
    "clothing10": DevelopmentSet("images", partial(unzipped, "clothing10.zip", official)),
    "hand signs": DevelopmentSet("images", partial(unzipped, "sign_digits.zip", by_class)),
    "Caltech-101": DevelopmentSet("images", caltech, "caltech"),
    "20 of Caltech-101": _images(photographs, "caltech"),
    "Omniglot": _images(characters, "omniglot"),
    "small digits": _images(read_small_digits, "digits"),
    **{f"ESC-10, fold {fold}": _esc10(fold) for fold in range(1, 6)},
    "spoken digits": DevelopmentSet("sounds", spoken_digits, "fsdd", group="^([a-z]+)_"),
    "wake words": DevelopmentSet("sounds", wake_words, "wake"),
    "CLINC150": _texts(requests, "clinc"),
    "HWU64": _texts(commands, "hwu64"),
    "SNIPS": _texts(assistant, "snips"),
    "languages": _texts(languages, "tatoeba"),
    "subjectivity": _table("texts", "texts.zip", "subj/subj.csv"),
    "news": _table("texts", "texts.zip", "ag_news/ag_news_test_7600.csv"),
    "irony": _table("texts", "texts.zip", _IRONY("train"), _IRONY("val"), test=_IRONY("test")),
    **{
        name: _table("rows", "tables.zip", f"classes/{name}.csv")
        for name in ("german", "breast-cancer", "horse-colic", "mammography", "phoneme", "glass", "sonar")
    },
}


def written(name: str, folders: Folders, place: Path) -> tuple[Path, Path]:
    """The paths of both parts of a set, written into a folder if they are not there."""
    one, folder = SETS[name], place / re.sub(r"\W+", "_", name)
    if not folder.exists():
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place) as temporary:
            whole = Path(temporary) / "whole"
            whole.mkdir()
            one.write(folders, whole)
            whole.rename(folder)
    return one.paths(folder)
