"""Encodings against counts that are made by hand and by plain loops."""

import pytest
import torch

from lit_metanas.spaces import (
    Architecture,
    Choice,
    ChoiceSpace,
    LayeredSpace,
    NASBench201,
    NASBench201Encoding,
    NASBenchGraph,
    NASBenchGraphEncoding,
    OneHotEncoding,
)
from lit_metanas.spaces.nas_bench_201.nas_bench_201_space import PATHS
from lit_metanas.spaces.nas_bench_graph import LINKS


class Toy(ChoiceSpace):
    """The second choice matters after ``b`` only."""

    choices = (
        Choice("x", ("a", "b")),
        Choice("y", ("c", "d"), active_if=(("x", frozenset("b")),)),
        Choice("v1", ("e", "f"), group="v"),
        Choice("w", ("g",)),
        Choice("v2", ("e", "f"), group="v"),
    )


def test_one_hot_has_a_bit_for_what_is_active_and_groups_stand_together():
    encoding = OneHotEncoding(Toy())
    assert encoding.groups == (2, 3, 4, 1)
    short = {"x": "a", "v1": "e", "v2": "f", "w": "g"}
    long = {"x": "b", "y": "d", "v1": "f", "v2": "e", "w": "g"}
    expected = [[1, 0, 0, 0, 0, 1, 0, 0, 1, 1], [0, 1, 0, 1, 1, 0, 1, 1, 0, 1]]
    found = encoding([Architecture(short), Architecture(long)])
    assert found.tolist() == expected
    assert found.dtype == torch.float64


def test_one_hot_names_what_the_space_has_not():
    encoding = OneHotEncoding(Toy())
    with pytest.raises(ValueError, match=r"^Choice 'x' has no label 'z': use a, b.$"):
        encoding([Architecture({"x": "z", "v1": "e", "v2": "f", "w": "g"})])
    with pytest.raises(ValueError, match=r"^Unknown choice 'u': Toy has 'x'\.$"):
        encoding([Architecture({"u": "a"})])


def test_graph_encoding_counts_the_forest():
    space = NASBenchGraph()
    # 0 -> gcn -> gat, and gcn -> gat -> fc: one root, two leaves
    architecture = space.architecture([0, 1, 1, 2], ["gcn", "gat", "gat", "fc"])
    link, ops = space.link_and_ops(architecture)
    encoding = NASBenchGraphEncoding(space)
    assert encoding.groups == (9, 36, 9, 99, 128, 4)
    links, positions, operations, relations, paths, shape = encoding([architecture])[0].split(encoding.groups)
    assert links.nonzero().tolist() == [[LINKS.index(tuple(link))]]
    assert positions.sum() == 4
    assert operations[[0, 1, 7]].tolist() == [2, 1, 1]
    roots, leaves, pairs = relations.split((9, 9, 81))
    assert roots[1] == 1
    assert roots.sum() == 1
    assert leaves[[0, 7]].tolist() == [1, 1]
    assert leaves.sum() == 2
    assert pairs.reshape(9, 9)[1, 0] == 2
    assert pairs.reshape(9, 9)[0, 7] == 1
    assert pairs.sum() == 3
    assert paths.sum() == 2
    assert shape.tolist() == [3, 2, 2, 4]
    assert sorted(ops) == ["fc", "gat", "gat", "gcn"]
    assert link[0] == 0


def test_graph_encoding_is_the_same_for_isomorphs_and_for_both_spaces():
    both = NASBenchGraph(), NASBenchGraph(["gcn", "sage", "arma", "fc", "skip"])
    same = ([0, 1, 1, 0], ["gcn", "sage", "fc", "skip"]), ([0, 0, 2, 2], ["skip", "gcn", "fc", "sage"])
    vectors = [NASBenchGraphEncoding(space)([space.architecture(*one)]) for space in both for one in same]
    for vector in vectors[1:]:
        torch.testing.assert_close(vector, vectors[0])


@pytest.mark.parametrize(
    ("cell", "paths"),
    [
        (
            "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|",
            ["", "nor_conv_3x3 avg_pool_3x3"],
        ),
        ("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|avg_pool_3x3~2|", []),
    ],
)
def test_cell_encoding_counts_paths_without_skips(cell, paths):
    space = NASBench201(merge_isomorphs=False)
    encoding = NASBench201Encoding(space)
    edges, operations, found = encoding([space.from_string(cell)])[0].split(encoding.groups)
    names = {place: " ".join(path) for path, place in PATHS.items()}
    assert sorted(names[place] for place in found.nonzero()[:, 0].tolist()) == sorted(paths)
    assert edges.sum() == operations.sum() == 6
    assert len(PATHS) == 1 + 3 + 9 + 27


def test_small_spaces_are_listed_and_large_ones_sampled():
    small = OneHotEncoding(LayeredSpace(shared=True)).candidates
    assert small.whole
    assert len(set(small.architectures)) == len(small.architectures) == small.features.shape[0] == 54
    large = LayeredSpace()
    drawn = [OneHotEncoding(large).candidates for _ in range(2)]
    assert not drawn[0].whole
    assert 4000 < len(set(drawn[0].architectures)) <= 4096
    assert drawn[0].architectures == drawn[1].architectures
    assert len(list(Toy().architectures())) == 2 * 2 * (1 + 2)


def test_all_graph_networks_have_different_vectors():
    space = NASBenchGraph(["gcn", "sage", "arma", "skip"])
    architectures = list(space.architectures())
    features = NASBenchGraphEncoding(space)(architectures)
    assert len(torch.unique(features, dim=0)) == len(architectures)
