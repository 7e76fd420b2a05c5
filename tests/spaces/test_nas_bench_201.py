"""NAS-Bench-201's words: notation, official order, isomorphism; against published entries and plain loops."""

import re
from itertools import product

import numpy as np
import pytest

from lit_metanas.spaces import NASBench201

TOTAL = 5**6
LABELS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.fixture(scope="module")
def space():
    return NASBench201()


@pytest.fixture(scope="module")
def architectures(space):
    return [space.from_index(index) for index in range(TOTAL)]


@pytest.mark.parametrize(
    ("index", "text"),
    [
        (0, "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
        (123, "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"),
    ],
)
def test_published_indices(space, index, text):
    architecture = space.from_string(text)
    assert space.from_index(index) == architecture
    assert space.to_index(architecture) == index
    assert space.to_string(architecture) == text


def test_every_index_and_every_notation_in_both_directions(space, architectures):
    assert len(set(architectures)) == TOTAL
    texts = [space.to_string(architecture) for architecture in architectures]
    assert len(set(texts)) == TOTAL
    for index, (architecture, text) in enumerate(zip(architectures, texts, strict=True)):
        assert space.to_index(architecture) == index
        assert space.from_string(text) == architecture


def test_order_is_that_of_the_table(space, architectures, data_folder):
    table = np.load(data_folder / "nas_bench_201.npz", allow_pickle=False)
    names = table["op_names"].tolist()
    edges = [f"edge{source}-{target}" for target, source in table["edges"].tolist()]
    for architecture, row in zip(architectures, table["ops"].tolist(), strict=True):
        assert [architecture[edge] for edge in edges] == [names[operation] for operation in row]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|nor_conv_3x3~0|+|none~0|skip_connect~1|",
        "|nor_conv_5x5~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|none~1|none~2|none~3|",
    ],
)
def test_what_is_no_notation_is_refused(space, text):
    with pytest.raises(ValueError, match=re.escape(f"'{text}' is not a cell of NAS-Bench-201: write |x~0|+")):
        space.from_string(text)


def value(architecture):
    """A cell on numbers: an operation scrambles its number, but keeps zero; equal graphs have equal values."""
    prime = 2**61 - 1

    def compute(operation, number):
        if operation == "none" or number == 0:
            return 0
        place = LABELS.index(operation)
        return number if operation == "skip_connect" else pow(number + 1_000_003 * place, 3 + 2 * place, prime)

    nodes = [123_456_789_012_345_677]
    for target in (1, 2, 3):
        nodes.append(sum(compute(architecture[f"edge{s}-{target}"], nodes[s]) for s in range(target)) % prime)
    return nodes[3]


def test_isomorphs_are_the_published_ones(space, architectures):
    groups = {}
    for index, architecture in enumerate(architectures):
        groups.setdefault(space.canonical(architecture), []).append(index)
    assert len(groups) == 6_466
    for representative, members in groups.items():
        assert space.to_index(representative) == members[0]
        assert len({value(architectures[member]) for member in members}) == 1
    # The published formula leaves some equal graphs apart.
    assert len({value(architecture) for architecture in architectures}) == 4_930


def test_restricted_spaces_merge_among_what_is_left(space):
    everything = space
    space = NASBench201(fixed={"edge1-2": ["skip_connect", "none"], "edge0-1": ["none"]})
    narrow = space.restricted({"edge2-3": "nor_conv_3x3"})
    labels = {choice.name: choice.labels for choice in narrow.choices}
    assert labels["edge2-3"] == ("nor_conv_3x3",)
    assert labels["edge0-1"] == ("none",)
    assert narrow.size == 2 * 5**3
    every = [dict(zip(labels, values, strict=True)) for values in product(*labels.values())]
    merged = {narrow.canonical(each) for each in every}
    for architecture in merged:
        assert all(label in labels[name] for name, label in architecture.items())
        assert narrow.canonical(architecture) == architecture
    # Node 1 is empty, so that of its edges only the empty ones are left.
    assert len(merged) < 2 * 5**3
    assert len({everything.canonical(each) for each in every}) == len(merged)
    with pytest.raises(ValueError, match="Choice 'edge1-2' has no label 'nor_conv_1x1': use none, skip_connect"):
        narrow.restricted({"edge1-2": "nor_conv_1x1"})
