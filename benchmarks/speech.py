"""Few-shot recognition of words: synthesised ones, spoken digits and wake words, by prototypes.

Run: ``python benchmarks/speech.py --data FOLDER``. The folder holds ``fsdd_8k_int16.npz``, the Free Spoken Digit
Dataset (``audio`` int16, joined; ``offsets``; ``label``; ``speaker``; ``speaker_names``), and
``wake_words_8k_mulaw.npz`` (``audio`` uint8, codes of mu-law, a row a clip; ``label``; ``names``; ``source``). What is
absent is left out and named.

Prototypes of mean spectra need no training. The network, four 1-D convolutions, is trained on episodes of the
meta-training words of ``SpokenWords`` alone. Its figures on real speech tell how much of the synthesised kind carries
over.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from figure import Figure, show, write
from torch import Tensor, nn

import lit_metanas as lm
from lit_metanas.io.arrays import read_npz
from lit_metanas.tasks.inputs import trim_steps

FSDD, WAKE_WORDS = "fsdd_8k_int16.npz", "wake_words_8k_mulaw.npz"
RATE = 8000
Embedding = Callable[[Tensor], Tensor]


class Clips(lm.TaskSource):
    """Labelled clips in memory, all of the meta-test subset.

    Args:
        name: of the source.
        series: shape ``(n, features, steps)``.
        labels: the class of each.
        classes: their names.
        groups: the group of each class, which episodes may stay within.
        held_out: which clips are for test parts only.
        features: what made the series.
    """

    def __init__(
        self,
        name: str,
        series: Tensor,
        labels: Sequence[int],
        classes: Sequence[str],
        groups: Sequence[str],
        held_out: Sequence[bool],
        features: lm.LogMel,
    ) -> None:
        self._name, self._series, self._features = name, series, features
        self._names, self._groups = tuple(classes), tuple(groups)
        members = list(zip(labels, held_out, strict=True))
        self._rows = {
            (label, part): [row for row, member in enumerate(members) if member == (label, part)]
            for label in range(len(classes))
            for part in (False, True)
        }

    @property
    def name(self) -> str:
        """The name that was given."""
        return self._name

    @property
    def shape(self) -> lm.SeriesShape:
        """The shape of the features."""
        return self._features.shape

    @property
    def preprocessing(self) -> lm.LogMel:
        """What made the series."""
        return self._features

    def classes(self, subset: lm.Subset) -> tuple[str, ...]:
        """Return all names; other subsets have none."""
        return self._names if subset == "test" else ()

    def groups(self, subset: lm.Subset) -> tuple[str, ...]:
        """Return the group of each class."""
        return self._groups if subset == "test" else ()

    def instances(self, subset: lm.Subset, class_index: int, held_out: bool = False) -> int:
        """Return the number of a class's clips."""
        return len(self._rows[class_index, held_out])

    def inputs(self, subset: lm.Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return clips of one class."""
        rows = self._rows[class_index, held_out]
        return self._series[[rows[i] for i in instances]]


def digit_sounds(file: Path) -> tuple[list[np.ndarray], list[int], list[str]]:
    """Sounds of spoken digits, int16, which digit each is, and the names of the speakers."""
    data = read_npz(file, "get the compact Free Spoken Digit Dataset again")
    ends, names = data["offsets"].tolist(), data["speaker_names"].tolist()
    sounds = [data["audio"][begin:end] for begin, end in pairwise(ends)]
    return sounds, data["label"].tolist(), [names[speaker] for speaker in data["speaker"]]


def read_digits(file: Path, features: lm.LogMel) -> tuple[Tensor, list[int], list[str]]:
    """The same as series, shape ``(n, features, steps)``, as loud as they were recorded."""
    sounds, labels, speakers = digit_sounds(file)
    return features.encode([(sound, RATE) for sound in sounds]), labels, speakers


def spoken_digits(file: Path, features: lm.LogMel, held_out: Sequence[str] = ("nicolas", "theo", "yweweler")) -> Clips:
    """Ten digits by six speakers; those of the held-out ones are for test parts only."""
    series, labels, speakers = read_digits(file, features)
    names = list(dict.fromkeys(speakers))
    unknown = set(held_out) - set(names)
    if unknown:
        raise ValueError(f"{file.name} has no speaker '{min(unknown)}': it has {', '.join(names)}.")
    tested = [speaker in held_out for speaker in speakers]
    return Clips("fsdd", series, labels, list(map(str, range(max(labels) + 1))), ["digits"] * 10, tested, features)


def wake_words(file: Path, features: lm.LogMel) -> Clips:
    """Wake words, grouped by the two data sets that they are from, which were recorded differently.

    Speakers are not told, so none is held out. A clip that is there twice is taken once; "other speech" is no word.
    """
    data = read_npz(file, "get the compact wake words again")
    _, first = np.unique(data["audio"], axis=0, return_index=True)
    names = [str(name) for name in data["names"]]
    words = [name for name in names if not name.startswith("(")]
    rows = [row for row in sorted(first.tolist()) if names[data["label"][row]] in words]
    origins = {names[data["label"][row]]: str(data["source"][row]).partition(":")[0] for row in rows}
    series = features.encode([(lm.mu_law_sound(data["audio"][row]), RATE) for row in rows])
    labels = [words.index(names[data["label"][row]]) for row in rows]
    return Clips("wake", series, labels, words, [origins[word] for word in words], [False] * len(rows), features)


READERS = {FSDD: spoken_digits, WAKE_WORDS: wake_words}


def mean_spectrum(inputs: Tensor) -> Tensor:
    """The mean over the steps within each example, shape ``(n, bins)``."""
    mask = inputs[:, -1:]
    return (inputs[:, :-1] * mask).sum(2) / mask.sum(2)


class Convolutions(nn.Module):
    """Four 1-D convolutions of width five, with batch-norm, ReLU and pooling; the mean over the steps.

    Args:
        features: of a step, with the mask.
        width: channels.
    """

    def __init__(self, features: int, width: int = 64) -> None:
        super().__init__()
        sizes = [features, width, width, width]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv1d(size, width, 5, padding=2), nn.BatchNorm1d(width), nn.ReLU()) for size in sizes
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Embeddings, shape ``(n, width)``."""
        x = trim_steps(inputs)
        mask = x[:, -1:]
        for depth, layer in enumerate(self.layers):
            if depth:
                x, mask = (F.max_pool1d(each, 2, ceil_mode=True) for each in (x * mask, mask))
            x = layer(x * mask)
        return (x * mask).sum(2) / mask.sum(2)


def scores(points: Tensor, way: int, shot: int) -> Tensor:
    """Minus the squared distances of queries, which come last, from the prototypes of the classes."""
    prototypes = points[: way * shot].view(way, shot, -1).mean(1)
    return -torch.cdist(points[way * shot :], prototypes).square()


def train(source: lm.TaskSource, seconds: float, seed: int) -> Convolutions:
    """A prototypical network of 20-way 1-shot episodes, for so many seconds of CPU time."""
    torch.manual_seed(seed)
    network = Convolutions(source.shape[0])
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    index, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        episode = lm.draw_episode(source, "train", seed=seed, epoch=0, index=index, way=20, shot=1, query=5)
        points = network(torch.cat([episode.support.inputs, episode.query.inputs]))
        loss = F.cross_entropy(scores(points, 20, 1), episode.query.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        index += 1
    return network.eval()


@dataclass(frozen=True)
class Problem:
    """Few-shot tasks of one source, tested on held-out speakers where it has such.

    Attributes:
        source: the source.
        way: classes a task.
        shot: examples a class.
        within_group: draw classes of one group, and so by an episode, whose queries are by the same speakers.
    """

    source: lm.TaskSource
    way: int
    shot: int
    within_group: bool = False

    def draw(self, index: int) -> tuple[lm.Split, lm.Split]:
        """Support and query of one task."""
        if self.within_group:
            episode = lm.draw_episode(
                self.source,
                "test",
                seed=0,
                epoch=0,
                index=index,
                way=self.way,
                shot=self.shot,
                query=15,
                within_group=True,
            )
            return episode.support, episode.query
        task = lm.draw_task(self.source, "test", index=index, way=self.way, train=self.shot, val=0, test=15)
        return task.train, task.test

    def accuracy(self, embedding: Embedding, tasks: int) -> tuple[float, float]:
        """Mean over tasks in per cent, and half its 95 % interval."""
        found = []
        for index in range(tasks):
            support, query = self.draw(index)
            with torch.no_grad():
                points = embedding(torch.cat([support.inputs, query.inputs]))
            right = scores(points, self.way, self.shot).argmax(1) == query.labels
            found.append(100 * right.double().mean().item())
        return float(np.mean(found)), float(1.96 * np.std(found) / tasks**0.5)


def problems(words: lm.SpokenWords, data: Path | None) -> dict[str, Problem]:
    """All that is measured, by its name; why a data set is left out is printed."""
    found = {f"synthesised words, {way}-way {shot}-shot": Problem(words, way, shot) for way, shot in SIZES}
    for name, reader in READERS.items():
        if data is None or not (data / name).is_file():
            print(f"{name} is left out: {'no --data was given' if data is None else f'{data} has no such file'}.")
            continue
        source = reader(data / name, words.features)
        apart = len(set(source.groups("test"))) > 1
        for shot in (1, 5):
            found[f"{source.name}, 5-way {shot}-shot"] = Problem(source, 5, shot, within_group=apart)
    return found


SIZES = ((5, 1), (5, 5), (20, 1))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None, help="folder with the two data sets")
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of the training")
    parser.add_argument("--tasks", type=int, default=300, help="tasks a figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    words = lm.SpokenWords(features=lm.LogMel(steps=120))
    begin = time.process_time()
    words.prepare()
    figures = [Figure("making or reading the synthesised words", time.process_time() - begin, "CPU s")]
    found = problems(words, options.data)
    network = train(words, options.seconds, options.seed)
    for name, problem in found.items():
        for way, embedding in (("mean spectra", mean_spectrum), ("network", network)):
            mean, half = problem.accuracy(embedding, options.tasks)
            figures.append(Figure(f"{name}, {way}", mean, "%", spread=(mean - half, mean + half)))
    show(figures)
    if options.output is not None:
        write(options.output, title="few-shot recognition of words", figures=figures)


if __name__ == "__main__":
    main()
