"""Searched networks against fixed ones on real sentences, at equal training FLOPs, in pairs of seeds.

    python benchmarks/real_texts.py --data FOLDER --tokenizer tokenizer.json --vectors vectors.safetensors
    python benchmarks/real_texts.py --data FOLDER --rows clinc_full languages --seeds 0 1 2 --output FILE.json

The folder holds ``clinc150.json`` and ``tatoeba112.json.gz``. Static word vectors are those of the wheel of wordllama
0.4 (``l2_supercat_tokenizer_config.json`` and ``l2_supercat_256.safetensors``), of which no code is used. A row whose
files are absent is skipped by name.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from equal_flops import Cheap, FewShot, Given, Labels, OneTask, best_penalty, few_shot, one_task, run_rows
from paired import Paired
from text_data import Embedding, clinc150, letter_groups, mean_vector, same_episodes, tatoeba, tf_idf
from torch import Tensor

import lit_metanas as lm
from lit_metanas.tasks.inputs import vocabulary_of

MEAN = {"depth": "1", "operation": "identity", "skip": "residual", "dropout": "0", "readout": "mean"}
"""The residual skip passes the embeddings on as they are; beside them is their positive part."""
CONVOLUTION = {**MEAN, "operation": "conv_3", "skip": "none", "readout": "max"}
"""Nearest to Kim (2014), who joined kernels of three sizes."""

FEW_SHOT_INTENTS: Mapping[str, Any] = {
    "operations": ("identity", "avg_pool_3", "conv_3", "sep_conv_3", "gated_linear"),
    "activations": ("ReLU", "GELU", "Tanh"),
    "depths": (1,),
    "widths": (256, 512),
}
TANH_MEAN: Labels = {**MEAN, "activation": "Tanh"}
"""Beside the embeddings are their hyperbolic tangents. Where the search begins was chosen by validation classes."""

SPELLING: Mapping[str, Any] = {
    "operations": ("conv_3", "conv_5", "sep_conv_7", "gated_linear"),
    "activations": ("ReLU", "GELU", "Tanh"),
    "depths": (1, 2),
    "widths": (64, 128),
}
RESIDUAL_MEAN: Labels = {**TANH_MEAN, "operation": "conv_3"}

INTENTS: Mapping[str, Any] = {
    "operations": ("conv_3", "conv_5", "sep_conv_5", "gated_linear"),
    "activations": ("ReLU", "GELU", "Tanh"),
    "depths": (1, 2),
    "readouts": ("max", "mean"),
    "widths": (128, 192),
}
DROPPED_CONVOLUTION: Labels = {**CONVOLUTION, "dropout": "0.5"}
"""Where the search of all 150 intents begins. The small start of the word vectors was chosen by the val part."""

ANGLES = lm.MetaRecipe(weight_decay=1e-2, distance="cosine")
"""The recipe of all few-shot rows, but for its learning rate."""


@dataclass(frozen=True)
class GivenTexts(Given):
    """What the command line says.

    Attributes:
        tokenizer: of static word vectors, if any.
        vectors: these.
        episodes: test episodes a figure.
    """

    tokenizer: str | None = None
    vectors: str | None = None
    episodes: int = 600

    def static(self, steps: int) -> lm.StaticVectors:
        """The word vectors of sentences of so many pieces."""
        if self.tokenizer is None or self.vectors is None:
            raise FileNotFoundError("it needs --tokenizer and --vectors")
        return lm.StaticVectors(self.tokenizer, self.vectors, steps=steps)


def clinc_few_shot(given: GivenTexts) -> list[Paired]:
    """Intents of held-out domains of CLINC150, by static word vectors."""
    source = clinc150(given.data, given.static(24))
    tests = {f"CLINC150, held-out domains, 20-way {shot}-shot": shot for shot in (1, 5)}
    space = lm.SequenceSpace(**FEW_SHOT_INTENTS, dropouts=(0.0, 0.2), norms=("none",))
    fixed = {"convolution": CONVOLUTION, "mean of embeddings": MEAN}
    problem = _few_shot(given, source, tests, space, fixed, start=TANH_MEAN, test_way=20, flops=1.2e11)
    problem = replace(problem, recipe=replace(ANGLES, learning_rate=4e-4))
    embeddings = {"tf-idf": tf_idf(_training_texts(source)), "static vectors": mean_vector(given.static(24))}
    return few_shot(problem, given.seeds, _cheap(problem, embeddings))


def languages(given: GivenTexts) -> list[Paired]:
    """Held-out languages of Tatoeba, by letters."""
    source = tatoeba(given.data, lm.Characters(steps=48))
    tests = {f"languages, held out, 5-way {shot}-shot": shot for shot in (1, 5)}
    space = lm.SequenceSpace(**SPELLING, dropouts=(0.0, 0.2), norms=("none",))
    fixed = {"convolution": CONVOLUTION}
    problem = _few_shot(given, source, tests, space, fixed, start=RESIDUAL_MEAN, query=2, test_way=5, flops=4e11)
    problem = replace(problem, recipe=replace(ANGLES, learning_rate=1e-2))
    embeddings = {"tf-idf of letters": tf_idf(_training_texts(source), letter_groups)}
    if given.tokenizer is not None and given.vectors is not None:
        embeddings["static vectors"] = mean_vector(given.static(64))
    return few_shot(problem, given.seeds, _cheap(problem, embeddings))


def _training_texts(source: lm.TextSource) -> list[str]:
    return [text for part in source.sentences("train").values() for text in part]


def _cheap(problem: FewShot, embeddings: Mapping[str, Embedding]) -> Mapping[str, Cheap]:
    """What prototypes of embeddings score on the episodes that the networks are tested on."""
    return {
        name: {baseline: [same_episodes(test, embed)] for baseline, embed in embeddings.items()}
        for name, test in problem.tests.items()
    }


def _few_shot(
    given: GivenTexts,
    source: lm.TaskSource,
    tests: dict[str, int],
    space: lm.SequenceSpace,
    fixed: Mapping[str, Labels],
    *,
    start: Labels,
    query: int = 1,
    test_way: int,
    flops: float,
) -> FewShot:
    """Training by 1-shot episodes of many classes, choice by those of the meta-validation classes."""

    def data(seed: int) -> lm.EpisodeDataModule:
        return lm.EpisodeDataModule(
            source, way=60, shot=1, query=query, tasks_per_step=1, steps_per_epoch=1000,
            eval_way=test_way, eval_query=5, val_episodes=min(60, given.episodes), seed=seed,
        )  # fmt: skip

    def test(shot: int) -> lm.EpisodeDataModule:
        return lm.EpisodeDataModule(source, way=test_way, shot=shot, query=10, test_episodes=given.episodes)

    return FewShot(
        data=data,
        tests={name: test(shot) for name, shot in tests.items()},
        space=space,
        fixed={name: _widest(space, labels) for name, labels in fixed.items()},
        searcher=lm.EvolvingHalving(
            incumbent=_widest(space, start), candidates=(5, 3), rungs=(0.2, 0.15), finish=False
        ),
        flops=flops * given.scale,
    )


def _widest(space: lm.SequenceSpace, labels: Labels) -> Labels:
    return {**labels, "width": str(max(space.layout.widths))}


def clinc_full(given: GivenTexts) -> list[Paired]:
    """All 150 intents, from words by number."""
    task = clinc_task(given.file("clinc150.json"), lm.Words(steps=24))
    bags = _bags(torch.cat([task.train.inputs, task.val.inputs, task.test.inputs]), task.vocabulary)
    return _full(given, task, bags, "bag of words", "CLINC150, 150 intents, from scratch", 9e11)


def clinc_full_static(given: GivenTexts) -> list[Paired]:
    """All 150 intents, from static word vectors."""
    task = clinc_task(given.file("clinc150.json"), given.static(20))
    inputs = torch.cat([task.train.inputs, task.val.inputs, task.test.inputs])
    means = torch.nn.functional.normalize(inputs[:, :-1].sum(2))
    means = torch.cat([10 * means, torch.ones(len(means), 1)], 1)
    return _full(given, task, means, "mean static vector", "CLINC150, 150 intents, static vectors", 9e11)


def _full(given: GivenTexts, task: lm.Task, features: Tensor, baseline: str, name: str, flops: float) -> list[Paired]:
    space = lm.SequenceSpace(**INTENTS, dropouts=(0.5, 0.2), norms=("none",), token_scale=0.1)
    epochs, brief = (max(1, round(number * given.scale)) for number in (6, 3))
    problem = OneTask(
        name=name,
        task=lambda seed: task,
        space=space,
        fixed={"convolution": _widest(space, DROPPED_CONVOLUTION)},
        recipe=lm.Recipe(epochs=epochs, batch_size=100, learning_rate=3e-3, weight_decay=1e-2, label_smoothing=0.1),
        brief=brief,
        method=partial(
            lm.EvolvingHalving,
            incumbent=_widest(space, DROPPED_CONVOLUTION),
            candidates=(3,),
            rungs=(1.0,),
            finish=False,
        ),
        flops=flops * given.scale,
    )
    baselines: Cheap = {f"logistic regression, {baseline}": [best_penalty(features, task)]}
    return one_task(problem, given.seeds, baselines)


def clinc_task(file: Path, preprocessing: lm.TextPreprocessing) -> lm.Task:
    """CLINC150 as it is divided: 15,000 sentences to learn from, 3,000 to choose by, 4,500 to test."""
    data = json.loads(file.read_text(encoding="utf-8"))
    fitted = preprocessing.fitted(text for text, _ in data["train"])

    def part(name: str) -> lm.Split:
        texts, labels = zip(*data[name], strict=True)
        return lm.Split(fitted.encode(texts), torch.tensor(labels))

    classes = tuple(data["intents"])
    return lm.Task(
        id="clinc150",
        way=len(classes),
        train=part("train"),
        val=part("val"),
        test=part("test"),
        classes=classes,
        vocabulary=vocabulary_of(fitted.shape),
        preprocessing=fitted,
    )


def _bags(tokens: Tensor, vocabulary: int) -> Tensor:
    """Which words a sentence has, sparse, shape ``(n, vocabulary)``; 1 for what is padding."""
    bags = torch.zeros(len(tokens), vocabulary).scatter_(1, tokens, 1.0)
    bags[:, 0] = 1.0
    return bags.to_sparse()


ROWS: dict[str, Callable[[GivenTexts], list[Paired]]] = {
    "clinc_few_shot": clinc_few_shot,
    "clinc_full": clinc_full,
    "clinc_full_static": clinc_full_static,
    "languages": languages,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the rows that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", help="tokenizer of static word vectors")
    parser.add_argument("--vectors", help="their .safetensors file")
    parser.add_argument("--episodes", type=int, default=600, help="test episodes a figure")
    run_rows(ROWS, GivenTexts, parser, arguments)


if __name__ == "__main__":
    main()
