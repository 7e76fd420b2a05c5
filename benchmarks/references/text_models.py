"""A linear SVM on tf-idf of words and characters, and TextCNN (Kim 2014).

From the folder ``benchmarks``: ``python -m references.text_models train.csv test.csv --seconds 60``, each a table with
the columns ``text`` and ``label``.
"""

import csv
import re
from collections import Counter
from pathlib import Path

import torch
from references.clock_training import accuracy, main, numbered, train_by_clock
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC
from torch import nn


def read(file):
    """The texts of a table, and their labels."""
    with Path(file).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def svm(train, test):
    """The accuracy of a linear SVM; it takes seconds."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LinearSVC()).fit(*train).score(*test)


class TextCNN(nn.Module):
    """Convolutions of three widths over embeddings of words, and the maximum over the text."""

    def __init__(self, words, classes, width=128, channels=100):
        super().__init__()
        self.embed = nn.Embedding(words, width, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, channels, size, padding=size // 2) for size in (3, 4, 5))
        self.last = nn.Sequential(nn.Dropout(0.5), nn.Linear(3 * channels, classes))

    def forward(self, tokens):
        x = self.embed(tokens).transpose(1, 2)
        return self.last(torch.cat([one(x).relu().amax(2) for one in self.convolutions], 1))


def cnn(train, test, seconds, seed, most_words=20_000, length=64, epochs=30):
    """The accuracy of TextCNN, which is trained for 30 epochs at most."""
    torch.manual_seed(seed)
    texts, tested = ([re.findall(r"\w+|[^\w\s]", text.lower()) for text in part[0]] for part in (train, test))
    known = Counter(word for text in texts for word in text).most_common(most_words)
    places = {word: place for place, (word, _) in enumerate(known, 2)}

    def encoded(part):
        rows = [[places.get(word, 1) for word in text[:length]] for text in part]
        return torch.tensor([row + [0] * (length - len(row)) for row in rows])

    y, y_test = numbered(train[1], train[1], test[1])
    network = TextCNN(len(places) + 2, int(y.max()) + 1)
    trained = train_by_clock(network, encoded(texts), y, seconds, lambda own: own, rate=1e-3, epochs=epochs)
    return accuracy(trained, encoded(tested), y_test)


MODELS = {"linear SVM": lambda train, test, *_: svm(train, test), "TextCNN": cnn}


def run(train, test, seconds, seed, model="linear SVM"):
    """The accuracy on ``test``."""
    return MODELS[model](train, test, seconds, seed)


if __name__ == "__main__":
    main(read, run, MODELS)
