"""Questions about stories and passages: baselines, and networks that a search finds, on real data.

    python benchmarks/questions.py --data FOLDER
    python benchmarks/questions.py --data FOLDER --search --seeds 0 1 2 --output FILE.json

Searched networks of bAbI read stories sentence by sentence, and so do fixed ones, which get the same recipe and
training FLOPs, the search counted in.

The folder holds ``babi20.json.gz`` (bAbI 1.2, 1,000 training questions a task) and ``xquad12.json.gz`` (XQuAD, passages
of SQuAD in 12 languages, see ``--languages``). Both are written in their published formats to a temporary
folder, and read as ``BabiFolder`` and ``SquadTask`` read anybody's. What is absent is left out and named. Of XQuAD two
passages of ten are for testing, and one is for choosing, by a seed: its figures are not those of networks that learned
of SQuAD's own training questions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import torch
from equal_flops import logistic_regression, spent, train_fixed
from figure import Figure, show, write
from paired import SEARCHED, Paired
from torch import Tensor
from torchmetrics.functional.text import squad

import lit_metanas as lm
from lit_metanas.records.statistics import t_interval
from lit_metanas.tasks.questions.question_words import passage_sentences
from lit_metanas.tasks.questions.squad import PassageQuestion
from lit_metanas.tasks.task import join_parts
from lit_metanas.tasks.text.words import split_words

BABI, XQUAD = "babi20.json.gz", "xquad12.json.gz"
SOLVED = 95.0
"""Per cent of the test questions, as Weston et al. (2015) have it."""
TARGET = 70.0
"""Mean accuracy of the searched networks in per cent. LSTMs get 49 (Weston et al. 2015)."""

SPACE: Mapping[str, Any] = {
    "operations": ("conv_3", "conv_5", "gated_linear", "attention_4", "gru"),
    "activations": ("ReLU", "GELU"),
    "dropouts": (0.0, 0.2),
    "skips": ("residual",),
    "depths": (1, 2, 3),
    "widths": (32,),
}


STORY_SPACE: Mapping[str, Any] = {
    "operations": ("identity", "gated_linear", "conv_3", "attention_4", "gru"), "activations": ("ReLU",),
    "dropouts": (0.0, 0.2), "skips": ("residual",), "depths": (1, 2), "widths": (32,), "positions": "learned",
    "readouts": ("mean", "last", "hops_1", "hops_2", "hops_3"),
}  # fmt: skip
FIXED: Mapping[str, Mapping[str, str]] = {
    "memory network, 3 hops": {"depth": "1", "operation": "identity", "readout": "hops_3"},
    "GRU": {"depth": "2", "operation": "gru", "readout": "mean"},
    "transformer": {"depth": "2", "operation": "attention_4", "readout": "mean"},
}
"""The first one is what the search begins with."""
RECIPE = lm.Recipe(batch_size=32, learning_rate=5e-3)


def write_babi(file: Path, folder: Path) -> None:
    """Write the compact bAbI as files of numbered lines; the validation stories end the training ones."""
    for name, task in _read(file)["tasks"].items():
        for part, kept in (("train", ("train", "valid")), ("test", ("test",))):
            stories = [story for each in kept for story in task["en"][each]]
            lines = [line for story in stories for line in _numbered(*story)]
            (folder / f"{name}_{part}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _numbered(sentences: Sequence[str], asked: Sequence[tuple[int, str, str, Sequence[int]]]) -> Iterator[str]:
    """The lines of a story; each question stands behind the sentences that it is asked of."""
    places: list[int] = []
    number = 0
    for told in range(len(sentences) + 1):
        for seen, question, answer, facts in asked:
            if seen == told:
                number += 1
                yield f"{number} {question}\t{answer}\t{' '.join(str(places[fact]) for fact in facts if fact < told)}"
        if told < len(sentences):
            number += 1
            places.append(number)
            yield f"{number} {sentences[told]}"


def write_squad(file: Path, folder: Path, language: str) -> Path:
    """Write one language of the compact XQuAD in SQuAD's format."""
    paragraphs = [
        {
            "context": passage,
            "qas": [
                {"id": id, "question": question, "answers": [{"text": answer, "answer_start": start}]}
                for id, question, answer, start in asked
            ],
        }
        for passage, asked in _read(file)["languages"][language]
    ]
    path = folder / f"xquad.{language}.json"
    path.write_text(json.dumps({"data": [{"title": language, "paragraphs": paragraphs}]}), encoding="utf-8")
    return path


def _read(file: Path) -> Any:
    return json.loads(gzip.decompress(file.read_bytes()))


def majority(task: lm.Task) -> float:
    """Test accuracy of the most frequent training answer, in per cent."""
    (answer, _), *_ = Counter(join_parts(task.train, task.val).labels.tolist()).most_common(1)
    return 100 * float((task.test.labels == answer).double().mean())


def bag_of_words(task: lm.Task, penalty: float = 1.0) -> float:
    """Test accuracy of logistic regression on which words question and story have, in per cent."""
    train = join_parts(task.train, task.val)  # nothing is chosen by the latter
    inputs, tested = _bags(train.inputs, task.shape.vocabulary), _bags(task.test.inputs, task.shape.vocabulary)
    scores = logistic_regression(inputs, train.labels, tested, task.way, penalty)
    return 100 * float((scores.argmax(1) == task.test.labels).double().mean())


def _bags(inputs: Tensor, vocabulary: int) -> Tensor:
    """Which words the question has, which ones the story, and 1, shape ``(n, 2 * vocabulary + 1)``."""
    behind = (inputs == vocabulary - 1).cumsum(1) > 0  # the separator is the last token
    bags = torch.zeros(len(inputs), 2 * vocabulary + 1, dtype=torch.float64)
    bags.scatter_(1, inputs + vocabulary * behind, 1.0)
    bags[:, 0] = bags[:, vocabulary] = 0.0  # padding
    bags[:, -1] = 1.0
    return bags


def searched(task: lm.Task, space: lm.SequenceSpace, seed: int, flops: float, epochs: int) -> lm.SearchResult:
    """The network that successive halving finds within a budget of training FLOPs, trained on train and val."""
    recipe = replace(RECIPE, epochs=epochs)
    return lm.search(task, space, flops=flops, recipe=recipe, seed=seed, progress=False)


def texts_of(asked: Sequence[PassageQuestion], answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of answers as SQuAD measures them, in per cent."""
    said = [{"id": one.id, "prediction_text": text} for one, text in zip(asked, answers, strict=True)]
    meant = [{"id": one.id, "answers": {"text": list(one.answers), "answer_start": list(one.starts)}} for one in asked]
    found = squad(said, meant)
    return float(found["exact_match"]), float(found["f1"])


def likest_sentence(asked: PassageQuestion) -> str:
    """The sentence of the passage of which the largest share of words stand in the question."""
    known = set(split_words(asked.question))

    def likeness(sentence: str) -> float:
        words = split_words(sentence)
        return len(known & set(words)) / len(words)

    return max(passage_sentences(asked.passage), key=likeness)


def babi_figures(folder: Path, options: argparse.Namespace) -> list[Figure]:
    """What baselines and searched networks get on the chosen tasks."""
    tasks = lm.BabiFolder(str(folder), preprocessing=lm.QuestionWords(lm.Words(least=1, steps=options.steps)))
    absent = set(options.tasks or ()) - set(tasks.types)
    if absent:
        raise ValueError(f"bAbI has no task '{min(absent)}': it has {', '.join(tasks.types)}.")
    chosen = [index for index, name in enumerate(tasks.types) if name in (options.tasks or tasks.types)]
    told = lm.BabiFolder(str(folder), preprocessing=lm.QuestionSentences(sentences=options.sentences))
    rows: dict[str, list[list[float]]] = {}
    figures, flops = [], []
    for index in chosen:
        task = tasks[index]
        found = {"majority": [majority(task)], "bag of words": [bag_of_words(task)]}
        for seed in options.seeds if options.search else ():
            accuracies, cost = compared(told[index], seed, options)
            flops.append(cost)
            for way, accuracy in accuracies.items():
                found.setdefault(way, []).append(accuracy)
        for way, values in found.items():
            rows.setdefault(way, []).append(values)
            spread = (min(values), max(values)) if len(values) > 1 else None
            figures.append(Figure(f"{task.id}, {way}", mean(values), "%", spread=spread))
            print(f"{task.id:5} {way:13} {mean(values):5.1f} %", flush=True)
    for way, values in rows.items():
        solved = sum(mean(each) >= SOLVED for each in values)
        target = TARGET if way == SEARCHED and len(chosen) > 1 else None
        figures.append(Figure(f"mean of {len(values)} tasks, {way}", mean(map(mean, values)), "%", target))
        figures.append(Figure(f"tasks of at least {SOLVED:g} %, {way}", solved))
    if options.search:
        scores = {way: [mean(seeds) for seeds in zip(*values, strict=True)] for way, values in rows.items()}
        paired = Paired(f"bAbI, mean of {len(chosen)} tasks", "accuracy, %", higher=True, scores=scores)
        print("\n".join(paired.lines()), flush=True)
        for way in scores if len(options.seeds) > 1 else ():
            own = t_interval(scores[way]) if len(scores[way]) > 1 else None
            better = paired.difference(way) if way != SEARCHED else None
            for name, interval in ((f"mean, {way}, 95 %", own), (f"searched better than {way}, 95 %", better)):
                if interval is not None:
                    ends = (interval.mean - interval.half, interval.mean + interval.half)
                    figures.append(Figure(name, interval.mean, "points", spread=ends))
        figures.append(Figure("training FLOPs of a network, its search counted in", mean(flops)))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        figures += [Figure("peak memory", peak, "MB"), Figure("CPU time", process_time(), "s")]
    return figures


def compared(task: lm.Task, seed: int, options: argparse.Namespace) -> tuple[dict[str, float], float]:
    """Test accuracies in per cent of the searched network and of the fixed ones, and the FLOPs that each has had."""
    space, recipe = lm.SequenceSpace(**STORY_SPACE), replace(RECIPE, epochs=options.epochs)
    estimator = partial(lm.TrainingEstimator, recipe=recipe)
    incumbent = next(iter(FIXED.values()))
    method = lm.EvolvingHalving(estimator=estimator, incumbent=incumbent, candidates=(3, 3), rungs=(0.4, 0.3))
    ours = lm.search(task, space, method=method, flops=options.flops, recipe=recipe, seed=seed, progress=False)
    print(f"{task.id}, seed {seed}: {dict(ours.architecture)}", flush=True)
    found = {way: train_fixed(task, space, labels, RECIPE, spent(ours), seed) for way, labels in FIXED.items()}
    return {way: 100 * each.test_accuracy for way, each in {SEARCHED: ours, **found}.items()}, spent(ours)


def xquad_figures(path: Path, options: argparse.Namespace) -> list[Figure]:
    """Exact match and F1 of answers as texts, and F1 of steps, in one language."""
    collection = lm.SquadTask(str(path), val=0.1, test=0.2)
    task, asked = collection[0], collection.questions("test")
    raw = [(one.question, one.passage) for one in asked]
    said = {
        "the whole passage": [one.passage for one in asked],
        "the likest sentence": [likest_sentence(one) for one in asked],
        "the true words": task.preprocessing.answers(raw, task.test.labels.tolist()),
    }
    figures = []
    if options.search:
        space = lm.SequenceSpace(**SPACE, readouts=("each",))
        result = searched(task, space, options.seeds[0], options.flops, options.epochs)
        said["searched"] = [str(text) for text in result.predict(raw)]
        figures.append(Figure(f"{path.stem}, searched, {result.metric}", 100 * result.test_score, "%"))
        print(f"{path.stem}: {dict(result.architecture)}")
    for way, texts in said.items():
        exact, overlap = texts_of(asked, texts)
        figures += [Figure(f"{path.stem}, {way}, exact match", exact, "%")]
        figures += [Figure(f"{path.stem}, {way}, F1", overlap, "%")]
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the two data sets")
    parser.add_argument("--tasks", nargs="+", default=None, help="bAbI's tasks, such as qa1; all by default")
    parser.add_argument("--languages", nargs="*", default=["en"], help="of XQuAD")
    parser.add_argument("--search", action="store_true", help="search networks, too")
    parser.add_argument("--flops", type=float, default=4e10, help="training FLOPs of a search")
    parser.add_argument("--epochs", type=int, default=12, help="of a full training")
    parser.add_argument("--sentences", type=int, default=50, help="of a story, for networks")
    parser.add_argument("--steps", type=int, default=128, help="words of a question with its story, for baselines")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    figures: list[Figure] = []
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("default")
        for name in (BABI, XQUAD):
            file = options.data / name
            if not file.is_file():
                print(f"{name} is left out: {options.data} has no such file.")
            elif name == BABI:
                write_babi(file, Path(folder))
                figures += babi_figures(Path(folder), options)
            else:
                for language in options.languages:
                    figures += xquad_figures(write_squad(file, Path(folder), language), options)
    if not figures:
        print("There is nothing to measure.")
        return
    show(figures)
    if options.output is not None:
        write(options.output, title="questions about stories and passages", figures=figures)


if __name__ == "__main__":
    main()
