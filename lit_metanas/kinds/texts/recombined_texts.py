"""New texts without labels, which are made of parts of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from lit_metanas.inputs.tokens import split_words

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
