"""The space of NAS-Bench-Graph: which networks are one, and the published number and hash of them."""

import random
from itertools import product

import pytest

from lit_metanas.spaces import NASBenchGraph
from lit_metanas.spaces.nas_bench_graph import GRAPH_OPERATIONS, PROTEINS_OPERATIONS

ALL_LINKS = list(product((0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)))
UNREAD_SKIP = ("skip", ())


def forest(link, ops):
    """The network as nested sorted tuples, skips that do nothing left out: recursive where the space works on lists."""

    def below(node):
        readers = [tree for other in range(1, 5) if link[other - 1] == node for tree in tree_of(other)]
        return () if node and readers == [UNREAD_SKIP] else tuple(sorted(readers))

    def tree_of(node):
        operation, readers = ops[node - 1], below(node)
        return list(readers) if operation == "skip" and readers else [(operation, readers)]

    return tuple(tree for tree in below(0) if tree != UNREAD_SKIP)


@pytest.fixture(scope="module")
def space():
    return NASBenchGraph()


def test_networks_are_one_exactly_if_their_forests_are(space):
    by_forest = {}
    for link, ops in product(ALL_LINKS, product(("gcn", "fc", "skip"), repeat=4)):
        by_forest.setdefault(forest(link, ops), set()).add(space.architecture(link, ops))
    assert all(len(architectures) == 1 for architectures in by_forest.values())
    architectures = {architecture for (architecture,) in by_forest.values()}
    assert len(architectures) == len(by_forest) == 193


def test_the_published_number_of_networks_has_as_many_keys(space):
    keys = {space.key(architecture) for architecture in space.architectures()}
    assert len(keys) == 26206
    assert space.size == 9 * 9**4


@pytest.mark.parametrize(
    ("link", "ops", "published"),
    [
        ([0, 1, 2, 3], ["gcn", "skip", "gat", "fc"], ([0, 1, 2, 3], ["skip", "gcn", "gat", "fc"])),  # read: in a chain
        ([0, 1, 2, 3], ["gcn", "gat", "fc", "skip"], ([0, 1, 2, 3], ["skip", "gcn", "gat", "fc"])),  # alone at the end
        ([0, 0, 1, 2], ["gcn", "skip", "gat", "fc"], ([0, 1, 1, 2], ["skip", "gcn", "fc", "gat"])),  # from the input
        ([0, 1, 1, 0], ["gcn", "skip", "gat", "fc"], ([0, 0, 1, 1], ["gcn", "fc", "gat", "skip"])),  # beside another
        ([0, 0, 0, 0], ["fc", "skip", "gcn", "skip"], ([0, 1, 2, 2], ["skip", "skip", "gcn", "fc"])),
    ],
)
def test_only_a_skip_to_the_output_beside_others_stays(space, link, ops, published):
    assert space.link_and_ops(space.architecture(link, ops)) == published


def test_a_network_without_weights_cannot_be_built(space):
    skips = ["skip"] * 4
    assert space.violation(space.architecture([0, 0, 0, 0], skips)) == "all four operations are skip"
    assert space.violation(space.architecture([0, 0, 0, 0], [*skips[1:], "fc"])) is None


def test_keys_and_networks_are_those_of_the_published_package(space):
    published = pytest.importorskip("nas_bench_graph.architecture", reason="the package nas-bench-graph is absent")
    draw = random.Random(0)
    for link in ALL_LINKS:
        for _ in range(150):
            ops = [draw.choice((*GRAPH_OPERATIONS, "skip", "skip", "skip")) for _ in range(4)]
            if set(ops) == {"skip"}:
                continue
            assert space.key(space.architecture(link, ops)) == published.Arch(list(link), ops).valid_hash(), (link, ops)


def test_proteins_has_a_smaller_space_with_the_same_keys():
    space = NASBenchGraph(PROTEINS_OPERATIONS)
    assert space.choices[1].labels == PROTEINS_OPERATIONS
    assert len(set(space.architectures())) == 2021
    assert space.key(space.architecture([0, 1, 2, 3], ["gcn", "sage", "arma", "fc"])) == 81457
    with pytest.raises(ValueError, match="NASBenchGraph: unknown label 'gat' of 'ops'"):
        space.architecture([0, 1, 2, 3], ["gat", "sage", "arma", "fc"])


def test_mistakes_are_named(space):
    with pytest.raises(ValueError, match=r"link \[0, 2, 0, 0\] is not one of NAS-Bench-Graph: node i reads 0"):
        space.architecture([0, 2, 0, 0], ["fc"] * 4)
    with pytest.raises(ValueError, match="has four operations: got 1, fc"):
        space.architecture([0, 0, 0, 0], ["fc"])
