"""Real sentences as task sources, and what prototypes of tf-idf and of static word vectors get on them, untrained.

The files are not distributed here; what is absent is skipped, with its name:

    python benchmarks/text_data.py --data FOLDER
    python benchmarks/text_data.py --data FOLDER --tokenizer tokenizer.json --vectors vectors.safetensors
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from equal_flops import episode_accuracy
from torch import Tensor

from lit_metanas.io.files import write_whole
from lit_metanas.tasks import (
    BytePairs,
    Docstrings,
    Episode,
    EpisodeDataModule,
    Phrases,
    SentenceSource,
    StaticVectors,
    Subset,
    TextSource,
)
from lit_metanas.tasks.text.words import TextPreprocessing, split_words

Embedding = Callable[[Sequence[str]], Tensor]
"""Vectors of sentences, of length 1, shape ``(n, dimensions)``; it may differ from call to call."""


def clinc150(folder: Path, preprocessing: TextPreprocessing | None = None) -> SentenceSource:
    """150 intents of CLINC150, without the sentences that are out of scope; its domains are kept whole.

    Six domains are for meta-training, two for validation and two for testing, in the order of their names.
    """
    data = read_data(folder, "clinc150.json")
    sentences: dict[str, list[str]] = defaultdict(list)
    for part in ("train", "val", "test"):
        for text, intent in data[part]:
            sentences[data["intents"][intent]].append(text)
    domains = [data["domains"][name] for name in sorted(data["domains"])]
    lists = {"train": domains[:6], "val": domains[6:8], "test": domains[8:]}
    intents = {subset: [intent for domain in part for intent in domain] for subset, part in lists.items()}
    return _source(sentences, "clinc150", preprocessing, intents)


def hwu64(folder: Path, preprocessing: TextPreprocessing | None = None) -> SentenceSource:
    """64 intents of HWU64; the intents of a scenario, which their names begin with, are kept together."""
    data = read_data(folder, "hwu64.json.gz")
    sentences = {intent: [*data["train"][intent], *data["test"].get(intent, ())] for intent in data["train"]}
    subsets = {intent: _share(intent.partition("_")[0]) for intent in sentences}
    lists = {subset: [name for name in sentences if subsets[name] == subset] for subset in ("train", "val", "test")}
    return _source(sentences, "hwu64", preprocessing, lists)


def snips(folder: Path, preprocessing: TextPreprocessing | None = None) -> SentenceSource:
    """7 intents of SNIPS, all for testing, as they are too few to be split: give a preprocessing with a vocabulary."""
    data = read_data(folder, "snips7.json.gz")
    sentences = {
        intent: ["".join(text for text, _ in spoken) for part in ("train", "validate") for spoken in data[part][intent]]
        for intent in data["train"]
    }
    return _source(sentences, "snips", preprocessing, {"test": list(sentences)})


def tatoeba(folder: Path, preprocessing: TextPreprocessing | None = None) -> SentenceSource:
    """Sentences of 112 languages. Of what translates the same English sentence one language keeps it, by a digest."""
    translations: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, pairs in read_data(folder, "tatoeba112.json.gz")["pairs"].items():
        for other, english in pairs:
            translations[english][language].append(other)
    sentences: dict[str, list[str]] = defaultdict(list)
    for english, found in translations.items():
        kept = sorted(found)[int(hashlib.sha256(english.encode()).hexdigest(), 16) % len(found)]
        sentences[kept] += found[kept]
    subsets = {language: _share(language) for language in sentences}
    lists = {subset: [name for name in sentences if subsets[name] == subset] for subset in ("train", "val", "test")}
    return _source(sentences, "tatoeba", preprocessing or BytePairs(steps=64), lists)


SOURCES = {"clinc150": clinc150, "hwu64": hwu64, "snips": snips, "tatoeba": tatoeba}


def read_data(folder: Path, name: str) -> Any:
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}")
    content = file.read_bytes()
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def _share(name: str) -> Subset:
    """Of a hundred names about 64 train, 16 val and 20 test."""
    share = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
    return "train" if share < 64 else "val" if share < 80 else "test"


def _source(
    sentences: Mapping[str, Sequence[str]],
    name: str,
    preprocessing: TextPreprocessing | None,
    lists: Mapping[str, list[str]],
) -> SentenceSource:
    """A source of sentences, each once in its class."""
    once = {label: list(dict.fromkeys(text.strip() for text in texts)) for label, texts in sentences.items()}
    return SentenceSource(once, name=name, preprocessing=preprocessing, **lists)


def tf_idf(corpus: Iterable[str], split: Callable[[str], list[str]] = split_words) -> Embedding:
    """Words weighted by how few sentences of a corpus have them (Salton and Buckley 1988), or what else they have."""
    texts = list(corpus)
    counts = Counter(word for text in texts for word in set(split(text)))

    def embed(sentences: Sequence[str]) -> Tensor:
        words = [Counter(split(text)) for text in sentences]
        columns = {word: place for place, word in enumerate(sorted(set().union(*words)))}
        found = torch.zeros(len(sentences), max(len(columns), 1))
        for row, each in enumerate(words):
            for word, number in each.items():
                found[row, columns[word]] = number * (1 + math.log((1 + len(texts)) / (1 + counts[word])))
        return torch.nn.functional.normalize(found)

    return embed


def letter_groups(text: str) -> list[str]:
    """Groups of one to three neighbouring letters, spaces among them."""
    letters = f" {text.lower()} "
    return [letters[place : place + size] for size in (1, 2, 3) for place in range(len(letters) - size + 1)]


def mean_vector(vectors: StaticVectors) -> Embedding:
    """The mean of the vectors of a sentence's words."""

    def embed(sentences: Sequence[str]) -> Tensor:
        series = vectors.encode(sentences)
        return torch.nn.functional.normalize(series[:, :-1].sum(2))

    return embed


def accuracy(
    source: TextSource, embed: Embedding, *, way: int, shot: int, query: int = 15, episodes: int = 600, seed: int = 0
) -> tuple[float, float]:
    """Accuracy of the nearest prototype on episodes of the meta-test classes, and half its 95 % interval, in %."""
    sentences = list(source.sentences("test").values())
    scores = []
    for episode in range(episodes):
        draw = np.random.default_rng((seed, episode))
        drawn = []
        for label in draw.permutation(len(sentences))[:way]:
            places = draw.permutation(len(sentences[label]))[: shot + query]
            drawn.append([sentences[label][place] for place in places])
        found = embed([text for texts in drawn for text in texts]).split([len(texts) for texts in drawn])
        prototypes = torch.nn.functional.normalize(torch.stack([part[:shot].mean(0) for part in found]))
        right = [(part[shot:] @ prototypes.T).argmax(1) == label for label, part in enumerate(found)]
        scores.append(float(torch.cat(right).float().mean()))
    return 100 * float(np.mean(scores)), 196 * float(np.std(scores, ddof=1)) / math.sqrt(episodes)


class Places(TextSource):
    """A source whose inputs tell where a sentence stands: the number of its class, and its own, shape ``(n, 2)``."""

    def __init__(self, source: TextSource) -> None:
        super().__init__(source.preprocessing)
        self._source = source

    @property
    def name(self) -> str:
        """That of the source."""
        return self._source.name

    def sentences(self, subset: Subset) -> Mapping[str, Sequence[str]]:
        """Those of the source."""
        return self._source.sentences(subset)

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Where sentences of one class stand."""
        return torch.tensor([(class_index, instance) for instance in instances])


def same_episodes(data: EpisodeDataModule, embed: Embedding) -> float:
    """Accuracy in % of the nearest prototype on the test episodes of a data module, those that networks are given."""
    assert isinstance(data.source, TextSource)
    sentences = list(data.source.sentences("test").values())

    def scores(episode: Episode) -> Tensor:
        places = [*episode.support.inputs.tolist(), *episode.query.inputs.tolist()]
        found, learned = embed([sentences[label][place] for label, place in places]), len(episode.support)
        prototypes = torch.nn.functional.normalize(found[:learned].unflatten(0, (episode.way, -1)).mean(1))
        return found[learned:] @ prototypes.T

    return episode_accuracy(replace(data.stream("test"), source=Places(data.source)), data.test_episodes, scores)


def report(source: TextSource, vectors: StaticVectors | None, episodes: int) -> list[dict[str, Any]]:
    """A row for each baseline and each number of ways and shots that the source has classes for."""
    corpus = [
        text for subset in ("train", "val", "test") for texts in source.sentences(subset).values() for text in texts
    ]
    embeddings = {"tf-idf": tf_idf(corpus)} | ({"static": mean_vector(vectors)} if vectors else {})
    rows = []
    for name, embed in embeddings.items():
        for way, shot in ((5, 1), (5, 5), (20, 1), (20, 5)):
            if way <= len(source.classes("test")):
                mean, interval = accuracy(source, embed, way=way, shot=shot, episodes=episodes)
                row = {"source": source.name, "baseline": name, "way": way, "shot": shot}
                rows.append({**row, "accuracy": round(mean, 2), "interval": round(interval, 2)})
                print(f"{source.name:10} {name:7} {way:2}-way {shot}-shot  {mean:5.1f} ± {interval:.1f} %")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print accuracies of the baselines on what data there is, and on the embedded sources."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--sources", nargs="+", choices=[*SOURCES, "docstrings", "phrases"])
    parser.add_argument("--tokenizer", help="tokenizer of static word vectors")
    parser.add_argument("--vectors", help="their .safetensors file")
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args(arguments)
    vectors = StaticVectors(given.tokenizer, given.vectors) if given.tokenizer and given.vectors else None
    rows = []
    for name in given.sources or [*SOURCES, "docstrings", "phrases"]:
        try:
            source = (
                Docstrings() if name == "docstrings" else Phrases() if name == "phrases" else SOURCES[name](given.data)
            )
        except FileNotFoundError as error:
            print(f"{name} is skipped: {error}")
            continue
        rows += report(source, vectors, given.episodes)
    if given.output is not None:
        write_whole(given.output, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
