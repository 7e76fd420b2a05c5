"""Readers of the files of real data sets, which are not distributed here."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lit_metanas as lm
from lit_metanas.io.arrays import read_npz

FSDD, WAKE_WORDS = "fsdd_8k_int16.npz", "wake_words_8k_mulaw.npz"
RATE = 8000
Texts = dict[str, list[str]]
"""The texts of each class, each text once."""


def read_data(folder: Path, name: str) -> Any:
    """The content of a JSON file, which may be compressed.

    Raises:
        FileNotFoundError: the folder has no such file.
    """
    file = folder / name
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}")
    content = file.read_bytes()
    return json.loads(gzip.decompress(content) if name.endswith(".gz") else content)


def clinc150(folder: Path) -> Texts:
    """150 intents of CLINC150, without the sentences that are out of scope."""
    data = read_data(folder, "clinc150.json")
    sentences: dict[str, list[str]] = defaultdict(list)
    for part in ("train", "val", "test"):
        for text, intent in data[part]:
            sentences[data["intents"][intent]].append(text)
    return _once(sentences)


def hwu64(folder: Path) -> Texts:
    """64 intents of HWU64."""
    data = read_data(folder, "hwu64.json.gz")
    return _once({intent: [*data["train"][intent], *data["test"].get(intent, ())] for intent in data["train"]})


def snips(folder: Path) -> Texts:
    """7 intents of SNIPS."""
    data = read_data(folder, "snips7.json.gz")
    return _once(
        {
            intent: [spoken_text(one) for part in ("train", "validate") for one in data[part][intent]]
            for intent in data["train"]
        }
    )


def spoken_text(parts: Sequence[tuple[str, Any]]) -> str:
    """A sentence of SNIPS, whose file has it in parts with their roles."""
    return "".join(text for text, _ in parts)


def tatoeba(folder: Path) -> Texts:
    """Sentences of 112 languages. One language, by a digest, keeps the translations of an English sentence."""
    translations: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for language, pairs in read_data(folder, "tatoeba112.json.gz")["pairs"].items():
        for other, english in pairs:
            translations[english][language].append(other)
    sentences: dict[str, list[str]] = defaultdict(list)
    for english, found in translations.items():
        kept = sorted(found)[int(hashlib.sha256(english.encode()).hexdigest(), 16) % len(found)]
        sentences[kept] += found[kept]
    return _once(sentences)


def _once(sentences: Mapping[str, Sequence[str]]) -> Texts:
    return {label: list(dict.fromkeys(text.strip() for text in texts)) for label, texts in sentences.items()}


def spoken_digits(file: Path, features: lm.kinds.LogMel) -> tuple[Tensor, list[int], list[str]]:
    """Digits of the Free Spoken Digit Dataset.

    Returns:
        The series, shape ``(n, features, steps)``, as loud as they were recorded; the digits; names of the speakers.
    """
    data = read_npz(file, "get the compact Free Spoken Digit Dataset again")
    ends, names = data["offsets"].tolist(), data["speaker_names"].tolist()
    sounds = [data["audio"][begin:end] for begin, end in pairwise(ends)]
    series = features.encode([(sound, RATE) for sound in sounds])
    return series, data["label"].tolist(), [names[speaker] for speaker in data["speaker"]]


def mu_law_sound(codes: np.ndarray) -> torch.Tensor:
    """Sound in [-1, 1] of mu-law's 256 codes in ascending order, as van den Oord et al. (2016) have them."""
    spread = torch.arange(256, dtype=torch.float64) / 127.5 - 1
    table = spread.sign() * (256 ** spread.abs() - 1) / 255
    return table.float()[torch.from_numpy(np.array(codes)).long()]


def wake_words(file: Path, features: lm.kinds.LogMel) -> tuple[Tensor, list[str], dict[str, str]]:
    """Wake words of two data sets, which were recorded differently.

    A clip that is there twice is taken once; "other speech" is no word.

    Returns:
        The series, shape ``(n, features, steps)``; the word of each; the data set of each word, in the file's order.
    """
    data = read_npz(file, "get the compact wake words again")
    _, first = np.unique(data["audio"], axis=0, return_index=True)
    names = [str(name) for name in data["names"]]
    rows = [row for row in sorted(first.tolist()) if not names[data["label"][row]].startswith("(")]
    words = [names[data["label"][row]] for row in rows]
    series = features.encode([(mu_law_sound(data["audio"][row]), RATE) for row in rows])
    origins = {word: str(data["source"][row]).partition(":")[0] for word, row in zip(words, rows, strict=True)}
    return series, words, {name: origins[name] for name in names if name in origins}
