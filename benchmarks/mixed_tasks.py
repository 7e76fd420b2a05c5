"""Small tasks of images, speech, text and series.

Real data, but for ``spoken``, which the package makes itself. A folder holds ``fsdd_8k_int16.npz``,
``wake_words_8k_mulaw.npz``, ``clinc150.json``, ``hwu64.json.gz``, ``snips7.json.gz``,
``xsid.json.gz``, ``tatoeba112.json.gz`` and ``g2p20.json.gz``; another one the folders of the UCR and UEA archives that
the wheel of aeon 1.6 ships in ``aeon/datasets/data`` (Bagnall et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from data_files import (
    FSDD,
    WAKE_WORDS,
    clinc150,
    hwu64,
    read_data,
    snips,
    spoken_digits,
    tatoeba,
    wake_words as read_wake_words,
)
from torch import Tensor

import lit_metanas as lm
from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.preprocessing import Preprocessing, TextPreprocessing
from lit_metanas.inputs.shapes import vocabulary_of

Sizes = tuple[int, int, int]
"""Most examples of a class to learn from, to choose by and to test."""
PARTS = ("train", "val", "test")
LEAST = (0.4, 0.2, 0.4)
"""Shares of a class that has fewer."""


@dataclass(frozen=True)
class Folders:
    """Where the files are.

    Attributes:
        data: of all but series.
        series: of the folders of series.
    """

    data: Path
    series: Path


@dataclass(frozen=True)
class Problem:
    """A task to be drawn.

    Attributes:
        dataset: what it is of; sources and targets never share one.
        name: its name in it.
        draw: reads the files and makes the task.
    """

    dataset: str
    name: str
    draw: Callable[[Folders], lm.Task]

    @property
    def id(self) -> str:
        """Of the drawn task."""
        return f"{self.dataset}/{self.name}"


Rows = Mapping[str, list[int]]
"""Of the examples of a task, by part."""


def divide(labels: Sequence[int], sizes: Sizes, seed: int = 0) -> Rows:
    """Divide the examples of each class at random."""
    draw = np.random.default_rng(seed)
    rows: dict[str, list[int]] = {part: [] for part in PARTS}
    values = np.asarray(labels)
    for label in range(int(values.max()) + 1):
        own = draw.permutation(np.flatnonzero(values == label)).tolist()
        wanted = list(sizes) if len(own) >= sum(sizes) else [max(1, int(share * len(own))) for share in LEAST]
        ends = np.cumsum([0, *wanted]).tolist()
        for part, (begin, end) in zip(PARTS, pairwise(ends), strict=True):
            rows[part] += own[begin:end]
    return rows


def task_of(
    name: str, inputs: Tensor, labels: Sequence[int], rows: Rows, preprocessing: Preprocessing | None = None
) -> lm.Task:
    """The task of some examples, whose inputs a preprocessing made, if one did."""
    targets = torch.as_tensor(np.asarray(labels)).long()
    whole = as_floats(inputs) if inputs.dim() == 4 else inputs
    train, val, test = (lm.Split(whole[rows[part]], targets[rows[part]]) for part in PARTS)
    way = int(targets.max()) + 1
    vocabulary = None if preprocessing is None else vocabulary_of(preprocessing.shape)
    return lm.Task(name, way, train, val, test, vocabulary=vocabulary, preprocessing=preprocessing)


# Images


def digits(folders: Folders) -> lm.Task:
    """Handwritten digits of 8 times 8 pixels, which scikit-learn ships."""
    from sklearn.datasets import load_digits  # an extra, for this one task

    del folders
    found = load_digits()
    images = torch.from_numpy(found.images / 16).float()[:, None]
    return task_of("digits/all", images, found.target.tolist(), divide(found.target.tolist(), (20, 10, 60)))


# Speech

MEL = lm.kinds.LogMel(hop=0.025, steps=48)


def fsdd(folders: Folders, turn: int, sizes: Sizes = (20, 10, 30), preprocessing: lm.kinds.LogMel = MEL) -> lm.Task:
    """Ten digits; two speakers are tested, a third is chosen by, and three are learned from."""
    series, labels, speakers = _digits(folders.data / FSDD, preprocessing)
    names = sorted(set(speakers))
    turned = names[2 * turn :] + names[: 2 * turn]
    groups = {"test": turned[:2], "val": turned[2:3], "train": turned[3:]}
    draw = np.random.default_rng(turn)
    rows: dict[str, list[int]] = {}
    for part, number in zip(PARTS, sizes, strict=True):
        mine = [[r for r, s in enumerate(speakers) if s in groups[part] and labels[r] == d] for d in range(10)]
        rows[part] = [row for own in mine for row in draw.permutation(own)[:number].tolist()]
    return task_of(f"fsdd/{turn}", series, labels, rows, preprocessing)


_digits, _wake_words = cache(spoken_digits), cache(read_wake_words)


def wake_words(folders: Folders, group: str, sizes: Sizes = (30, 15, 60)) -> lm.Task:
    """The words of one of the two sources, which were recorded differently."""
    series, words, origins = _wake_words(folders.data / WAKE_WORDS, MEL)
    classes = [word for word, own in origins.items() if own == group]
    rows = [row for word in classes for row, own in enumerate(words) if own == word]
    labels = [classes.index(words[row]) for row in rows]
    return task_of(f"wake/{group}", series[rows], labels, divide(labels, sizes))


def spoken(folders: Folders, subset: lm.tasks.Subset) -> lm.Task:
    """Ten synthesised words; the test part is by speakers that no other part has."""
    del folders
    task = lm.draw_task(lm.kinds.SpokenWords(features=MEL), subset, way=10, train=20, val=10, test=20)
    return replace(task, id=f"spoken/{subset}")


# Text

WORDS = lm.kinds.Words(steps=24)


def text_task(name: str, by_class: Mapping[str, Sequence[str]], words: TextPreprocessing, sizes: Sizes) -> lm.Task:
    """The task of classifying texts; the vocabulary is that of the texts to learn from."""
    texts = [text for own in by_class.values() for text in own]
    labels = [label for label, own in enumerate(by_class.values()) for _ in own]
    rows = divide(labels, sizes)
    fitted = words.fitted([texts[row] for row in rows["train"]])
    return task_of(name, fitted.encode(texts), labels, rows, fitted)


def clinc(folders: Folders, domain: str) -> lm.Task:
    """The fifteen intents of a domain."""
    intents = read_data(folders.data, "clinc150.json")["domains"][domain]
    found = clinc150(folders.data)
    return text_task(f"clinc/{domain}", {name: found[name] for name in intents}, WORDS, (15, 8, 20))


def hwu(folders: Folders, first: int) -> lm.Task:
    """Sixteen intents that stand side by side in the order of the alphabet, which keeps scenarios together."""
    found = hwu64(folders.data)
    names = sorted(found)[first : first + 16]
    return text_task(f"hwu64/{first}", {name: found[name] for name in names}, WORDS, (15, 8, 20))


def snips_intents(folders: Folders, preprocessing: TextPreprocessing = WORDS) -> lm.Task:
    """All seven intents."""
    return text_task("snips/intents", snips(folders.data), preprocessing, (30, 15, 50))


def xsid(folders: Folders, language: str) -> lm.Task:
    """The intents of a language."""
    data = read_data(folders.data, "xsid.json.gz")["languages"][language]
    by_intent: dict[str, list[str]] = {}
    for part in data.values():
        for text, _, intent, _ in part:
            by_intent.setdefault(intent, []).append(text)
    large = {name: by_intent[name] for name in sorted(by_intent) if len(by_intent[name]) >= 20}
    return text_task(f"xsid/{language}", large, WORDS, (20, 10, 25))


def languages(folders: Folders, first: int) -> lm.Task:
    """Twelve languages, recognised by the characters of a sentence."""
    found = tatoeba(folders.data)
    names = [name for name in sorted(found) if len(found[name]) >= 100][first::8][:12]
    return text_task(
        f"tatoeba/{first}", {name: found[name] for name in names}, lm.kinds.Characters(steps=40), (20, 10, 25)
    )


LATIN = ("dut", "fre", "hbs_latn", "hun", "ice", "ita", "lav", "mlt_latn", "rum", "slv", "wel_sw")


def spellings(folders: Folders) -> lm.Task:
    """Eleven languages in Latin letters, recognised by the spelling of a single word."""
    data = read_data(folders.data, "g2p20.json.gz")["languages"]
    words = {
        name: [word for part in PARTS for word, _ in data[name]["dev" if part == "val" else part]] for name in LATIN
    }
    return text_task("g2p/spellings", words, lm.kinds.Characters(steps=16), (25, 12, 30))


# Series


def read_series(folder: Path) -> tuple[list[np.ndarray], list[int]]:
    """The series of a data set of the archives, each of shape ``(features, steps)``, and their classes."""
    found: list[tuple[np.ndarray, str]] = []
    for part in ("TRAIN", "TEST"):
        for line in (folder / f"{folder.name}_{part}.ts").read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith(("@", "#")):
                continue
            *features, label = line.split(":")
            found.append((np.array([[float(v) for v in own.split(",")] for own in features], np.float32), label))
    names = sorted({label for _, label in found})
    return [series for series, _ in found], [names.index(label) for _, label in found]


def archive(folders: Folders, name: str, every: int, sizes: Sizes) -> lm.Task:
    """A data set of the archives; so many steps are averaged, and each feature is standardised."""
    series, labels = read_series(folders.series / name)
    rows = divide(labels, sizes)
    short = [s[:, : s.shape[1] // every * every].reshape(len(s), -1, every).mean(2) for s in series]
    learned = np.concatenate([short[row] for row in rows["train"]], axis=1)
    mean, deviation = learned.mean(1, keepdims=True), learned.std(1, keepdims=True) + 1e-6
    inputs = torch.zeros(len(short), short[0].shape[0] + 1, max(own.shape[1] for own in short))
    for row, own in enumerate(short):
        inputs[row, :-1, : own.shape[1]] = torch.from_numpy((own - mean) / deviation)
        inputs[row, -1, : own.shape[1]] = 1.0
    return task_of(f"{name}/all", inputs, labels, rows)


ARCHIVES: Mapping[str, tuple[int, Sizes]] = {
    "ACSF1": (30, (8, 4, 8)),
    "ArrowHead": (5, (30, 12, 28)),
    "GunPoint": (3, (40, 20, 40)),
    "ItalyPowerDemand": (1, (40, 40, 200)),
    "JapaneseVowels": (1, (15, 15, 30)),
    "OSULeaf": (9, (15, 10, 20)),
}
"""How many steps become one, and sizes."""


def problems_of(dataset: str, draw: Callable[..., lm.Task], names: Sequence[str | int]) -> list[Problem]:
    """A problem of a data set for each name that ``draw`` takes."""
    return [Problem(dataset, str(name), partial(_drawn, draw, name)) for name in names]


def _drawn(draw: Callable[..., lm.Task], name: str | int, folders: Folders) -> lm.Task:
    return draw(folders, name)
