"""Texts with labels as a kind of data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lit_metanas.inputs.preprocessing import TextPreprocessing, split_words
from lit_metanas.inputs.shapes import PADDING, TokenShape
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.file_reading import Source
from lit_metanas.kinds.kind import Kind, Prepared
from lit_metanas.kinds.pairs.pair_kind import kind_of_table
from lit_metanas.kinds.texts.table_files import is_table_file, read_rows
from lit_metanas.kinds.texts.text_tables import (
    columns_of,
    find_columns,
    labels_in,
    listed,
    new_texts,
    table_rows,
    usual_texts,
)
from lit_metanas.kinds.texts.text_task import TextTask
from lit_metanas.kinds.texts.text_tokens import BytePairs
from lit_metanas.kinds.texts.vocabularies import Characters, NGrams, Words
from lit_metanas.spaces import NGramSpace
from lit_metanas.spaces.any_input.ngram_space import SIZES
from lit_metanas.tasks.task import Task

FEWER_WORDS = 1_000  # words of a smaller vocabulary
LONG_TEXT, LONG_SHARE = 96, 0.1  # words of an example, where the usual number cuts off more than a share of all
NGRAMS = "n-grams"  # the label of words, pairs and pieces of words, for linear models
CHARACTERS, LONG_SPELLING = "characters", 128  # the label of texts by their characters, and characters of an example
ONE_LAYER = {"depth": "1", "skip": "residual"}  # of the first networks


class TextKind(Kind):
    """Texts with labels: a table, a folder of text files for each class, a saved data set, or lists."""

    name = "texts"
    noun = "texts"
    class_files = frozenset({".txt"})
    read_files = frozenset({".txt"})
    piped = ".txt"
    preprocessing_class = TextPreprocessing
    first: ClassVar = (
        {"operation": "conv_3", "readout": "max", "width": "128", "dropout": "0.2", **ONE_LAYER},
        {"operation": "conv_2_to_5", "readout": "max", "width": "128", "dropout": "0.5", **ONE_LAYER},  # Kim 2014
        {"operation": "gated_linear", "readout": "mean", "width": "64", "dropout": "0.2", **ONE_LAYER},
        {"operation": "gru", "readout": "max", "width": "64", "dropout": "0.2", **ONE_LAYER},
        {"operation": "attention_4", "readout": "max", "width": "64", "dropout": "0.2", **ONE_LAYER},
        {"operation": "conv_5", "readout": "attention", "width": "64", "dropout": "0.2", **ONE_LAYER},
    )
    recipe: ClassVar = {"label_smoothing": 0.1}
    own_options: ClassVar = ("test_by",)
    linear_space = NGramSpace
    linear_view = NGRAMS
    features: ClassVar = dict.fromkeys(map(str, SIZES), "tokens by tf-idf")
    averages_linear = True
    member_epochs = 60

    def claims(self, path: Path, group: str | None) -> bool:
        """A table of texts and labels."""
        return kind_of_table(path, group) == self.name

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs, where each gets one answer."""
        return isinstance(task.shape, TokenShape) and task.goal.scored == "input"

    def read(self, source: Source) -> Task:
        """Of a table, class folders or a saved data set."""
        return TextTask(
            str(source.path),
            label=source.label,
            preprocessing=source.prepared,
            group=source.group,
            min_per_class=source.least,
            targets=source.targets,
            test_by=source.test_by,
            test_path=source.test_path,
        )[0]

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """The usual one, more of a long text, characters, byte pairs, fewer words; and n-grams, for linear models."""
        usual = task.preprocessing
        # Where the last step holds a token, the text was cut off, or just fits.
        long = float((task.train.inputs[:, -1] != PADDING).float().mean()) > LONG_SHARE
        found: dict[str, Any] = {}
        if isinstance(usual, Characters):
            found[CHARACTERS] = usual
            if long:
                found[f"{CHARACTERS}, first {LONG_SPELLING} of a text"] = Characters(steps=LONG_SPELLING)
        else:
            found["words"] = usual
            if long:
                found[f"words, first {LONG_TEXT} of a text"] = Words(steps=LONG_TEXT)
            found[CHARACTERS] = Characters(steps=LONG_SPELLING)
        if find_spec("tokenizers") is not None:
            found["byte pairs"] = BytePairs()
        if isinstance(usual, Words) and len(usual.words) > 2 * FEWER_WORDS:
            found[f"{FEWER_WORDS} words"] = Words(size=FEWER_WORDS)
        found[NGRAMS] = NGrams()
        return found

    def new_examples(self, paths: Sequence[str]) -> list[tuple[str, Any]]:
        """The lines of text files, or the texts of tables."""
        return new_texts(paths, usual_texts)

    def new_labels(self, file: Path, classes: Sequence[str], *, numbers: bool) -> list[str]:
        """Of a table, in which the texts are not empty."""
        if (texts := usual_texts(file)) is None:
            return []
        labels = labels_in(list(read_rows(file)), classes, numbers=numbers)
        return [label for label, text in zip(labels, texts, strict=bool(labels)) if text]

    def describe_columns(self, source: Source) -> str:
        """The columns of labels and texts, and those that are not looked at."""
        if not is_table_file(source.path):
            return ""
        rows = table_rows(source.path, source.label)
        text, label = find_columns(rows, writable(str(source.path)), None, source.label, group=source.group)
        known = (text, *text.split(","), label, source.group)
        left = [name for name in columns_of(rows) if name not in known]
        others = f"; other columns are ignored: {listed(left)}" * bool(left)
        return f" Labels are in column '{printable(label, 40)}', texts in '{printable(text, 40)}'{others}."


PART = (0.3, 0.7)  # the least and the largest share of a text in a recombined one


def recombined(texts: Sequence[str], seed: int) -> list[str]:
    """As many new texts, and their most frequent words, each as a text: at most as many again.

    A new text is a part of one and a part of another, each of 30 to 70 % of its words, from anywhere in it. A teacher
    is sure of what it has learned from, and less so of these: there is more to learn from what it says of them (Tang et
    al. 2019, whose parts are of single texts). Of words alone a pretrained teacher knows more than the texts say.
    """
    draw, words = np.random.default_rng(seed), [text.split() for text in texts]

    def part() -> list[str]:
        whole = words[draw.integers(len(words))]
        number = max(1, round(len(whole) * draw.uniform(*PART)))
        begin = draw.integers(max(1, len(whole) - number + 1))
        return whole[begin : begin + number]

    frequent = Counter(word for text in texts for word in split_words(text)).most_common(len(texts))
    return [*(" ".join([*part(), *part()]) for _ in texts), *(word for word, _ in frequent)]
