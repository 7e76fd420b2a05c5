"""NAS-Bench-101: its graphs by brute force, and its networks against plain sums and the benchmark's counts."""

from itertools import permutations, product

import pytest
import torch
from nas_bench_101_examples import C1, C3, FIRST, FIRST_HASH, INCEPTION, INCEPTION_TRAINED, POOL
from space_toys import check_export, images

from lit_metanas.spaces import Architecture, NASBench101
from lit_metanas.spaces.nas_bench_101.nas_bench_101_cells import (
    CellGraph,
    edge_bit,
    isomorphs,
    module_hash,
    prune,
    split_channels,
)


@pytest.fixture(scope="module")
def space():
    return NASBench101()


def cell_of(edges, operations):
    return CellGraph(sum(edge_bit(*edge) for edge in edges), tuple(operations))


def test_choices(space):
    names = [choice.name for choice in space.choices]
    assert names[:4] == ["edge0-1", "edge0-2", "edge1-2", "edge0-3"]
    assert names[20:] == ["edge5-6", "op1", "op2", "op3", "op4", "op5"]
    assert {choice.labels for choice in space.choices[:21]} == {("no", "yes")}
    assert {choice.labels for choice in space.choices[21:]} == {(C3, C1, POOL)}
    assert space.size == 2**21 * 3**5 == 509_607_936  # the paper's "510M"
    assert [choice.name for choice in NASBench101(vertices=2).choices] == ["edge0-1"]


def test_published_hash_and_order(space):
    architecture = space.from_matrix(*FIRST)
    assert space.hash(architecture) == FIRST_HASH
    assert space.to_matrix(architecture) == FIRST
    trained = space.from_matrix(*INCEPTION)
    assert trained == space.from_matrix(*INCEPTION_TRAINED)
    assert space.to_matrix(trained) == INCEPTION_TRAINED


def test_pruning(space):
    """Vertex 2 reads nothing, vertex 4 feeds nobody, vertices 3 and 5 form a path."""
    edges = [(0, 3), (3, 5), (5, 6), (2, 5), (3, 4), (1, 2)]
    matrix = [[int((row, column) in edges) for column in range(7)] for row in range(7)]
    operations = ["input", POOL, POOL, C1, POOL, C3, "output"]
    small = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], ["input", C1, C3, "output"]
    architecture = space.from_matrix(matrix, operations)
    assert space.to_matrix(architecture) == small
    kept = {"edge0-1", "edge1-2", "edge2-6"}
    assert {name for name, label in architecture.items() if label == "yes"} == kept
    assert (architecture["op1"], architecture["op2"], architecture["op3"]) == (C1, C3, C3)
    assert space.from_matrix(*small) == architecture


def test_violation(space):
    nothing = space.canonical({choice.name: choice.labels[0] for choice in space.choices})
    assert space.violation(nothing) == "no path leads from input to output"
    lonely = {**nothing, "edge0-1": "yes", "edge1-2": "yes", "edge3-6": "yes", "op2": POOL}
    assert space.canonical(lonely) == nothing
    with pytest.raises(ValueError, match="no path leads from input to output"):
        space.hash(nothing)
    ladder = {f"edge{vertex}-{vertex + 1}": "yes" for vertex in range(6)}
    nine = {**nothing, **ladder, "edge0-2": "yes", "edge1-3": "yes", "edge4-6": "yes"}
    assert space.violation(space.canonical(nine)) is None
    assert space.violation(space.canonical({**nine, "edge0-6": "yes"})) == "10 edges are more than 9"
    assert space.violation(Architecture({**nothing, **ladder, "edge0-6": "yes"})) is None
    # Edges that fall to pruning do not count.
    few = {**nothing, "edge0-6": "yes", **{f"edge{source}-5": "yes" for source in range(5)}}
    few |= {"edge1-2": "yes", "edge1-3": "yes", "edge1-4": "yes", "edge2-3": "yes", "edge2-4": "yes", "edge0-1": "yes"}
    assert space.violation(space.canonical(few)) is None


def plain_cells(vertices):
    """All labelled graphs of which nothing falls to pruning, by following paths."""
    pairs = [(source, target) for target in range(vertices) for source in range(target)]
    for picked in product((False, True), repeat=len(pairs)):
        edges = [pair for pair, here in zip(pairs, picked, strict=True) if here]
        paths, on_paths = [[0]], set()
        while paths:
            path = paths.pop()
            if path[-1] == vertices - 1:
                on_paths |= set(path)
            paths += [[*path, target] for source, target in edges if source == path[-1]]
        if len(on_paths) == vertices and len(edges) <= 9:
            for operations in product(range(3), repeat=vertices - 2):
                yield frozenset(edges), operations


def orbit(edges, operations):
    """The graph under every renaming of its middle vertices."""
    vertices = len(operations) + 2
    for order in permutations(range(1, vertices - 1)):
        name = dict(zip(range(vertices), (0, *order, vertices - 1), strict=True))
        moved = frozenset((name[source], name[target]) for source, target in edges)
        labels = {name[vertex]: operation for vertex, operation in enumerate(operations, start=1)}
        yield moved, tuple(labels[vertex] for vertex in range(1, vertices - 1))


def test_isomorphism_by_brute_force():
    found = 0
    for vertices in range(2, 6):
        cells = set(plain_cells(vertices))
        hashes = set()
        while cells:
            one = next(iter(cells))
            class_ = set(orbit(*one)) & cells  # what is left has edges to later vertices only
            cells -= class_
            members = {cell_of(*member) for member in class_}
            (representative,) = {isomorphs(member)[0] for member in members}
            (hash_,) = {module_hash(member) for member in members}
            assert representative == min(members)
            assert isomorphs(representative) == tuple(sorted(members))
            assert hash_ not in hashes
            assert prune(representative) == representative
            hashes.add(hash_)
        found += len(hashes)
    assert found == 2532


def test_listed_architectures_are_canonical():
    space = NASBench101(vertices=5)
    listed = list(space.architectures())
    assert len(set(listed)) == len(listed) == 2532
    for architecture in listed[::7]:
        assert space.canonical(architecture) == architecture
        assert space.violation(architecture) is None
        assert space.from_matrix(*space.to_matrix(architecture)) == architecture


@pytest.mark.parametrize(
    ("edges", "channels", "expected"),  # the examples of the benchmark's own tests
    [
        ([(0, 1), (1, 2), (2, 3)], 16, (16, 16)),
        ([(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)], 8, (8, 8, 8)),
        ([(0, 1), (0, 2), (1, 3), (2, 3)], 8, (4, 4)),
        ([(0, 1), (0, 2), (1, 3), (2, 3)], 15, (8, 7)),
        ([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], 8, (3, 3, 2)),
        ([(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)], 15, (5, 5, 5)),
        ([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], 8, (4, 4, 4)),
        ([(0, 1), (1, 2), (1, 3), (2, 4), (3, 4)], 9, (5, 5, 4)),
        ([(0, 1), (0, 3), (1, 2), (1, 4), (2, 3), (3, 4)], 15, (8, 7, 7)),
        ([(0, 1)], 5, ()),
    ],
)
def test_channels_are_split_as_published(edges, channels, expected):
    assert split_channels(cell_of(edges, [0] * len(expected)), channels) == expected


def every(space):
    names = [choice.name for choice in space.choices]
    for labels in product(*(choice.labels for choice in space.choices)):
        yield dict(zip(names, labels, strict=True))


@pytest.mark.parametrize(
    "fixed",
    [
        {"edge0-1": ["no"], "op2": [POOL, C1]},
        {"edge1-3": ["yes"], "edge0-3": ["no"], "op1": [C1, C3]},
        {"edge0-3": ["yes"], "edge2-3": ["yes"], "op1": [POOL], "op2": [C1]},
    ],
)
def test_restricted_spaces_merge_among_what_is_left(fixed):
    whole = NASBench101(vertices=4)
    space = NASBench101(vertices=4, fixed=fixed)
    answers = {}
    for labels in every(space):
        architecture = space.canonical(labels)
        assert all(architecture[choice.name] in choice.labels for choice in space.choices)
        assert space.canonical(architecture) == architecture
        assert whole.canonical(architecture) == whole.canonical(labels)
        answers.setdefault(whole.canonical(labels), set()).add(architecture)
    assert all(len(answer) == 1 for answer in answers.values())
    listed = list(space.architectures())
    buildable = {one for answer in answers.values() for one in answer if space.violation(one) is None}
    assert len(listed) == len(set(listed))
    assert set(listed) == buildable


@pytest.mark.parametrize(
    ("matrix", "operations", "text"),
    [
        ([[0, 1], [1, 0]], ["input", "output"], "is not a cell of NAS-Bench-101: give 2 to 3 vertices"),
        ([[0] * 4] * 4, ["input", C3, C3, "output"], "is not a cell"),
        ([[0] * 3] * 3, ["input", "conv5x5", "output"], "no operation 'conv5x5': use conv3x3-bn-relu"),
    ],
)
def test_what_is_no_cell_is_refused(matrix, operations, text):
    with pytest.raises(ValueError, match=text):
        NASBench101(vertices=3).from_matrix(matrix, operations)


def classes(space):
    """All labels of a space by their canonical architecture."""
    found = {}
    for labels in every(space):
        found.setdefault(space.canonical(labels), set()).add(Architecture(labels))
    return found


@pytest.mark.parametrize("fixed", [{}, {"edge1-2": ["yes"], "op1": [C1, POOL]}])
def test_equivalent_cells_are_all_cells_that_are_pruned_to_the_same(fixed):
    space = NASBench101(vertices=4, fixed=fixed)
    generator = torch.Generator().manual_seed(0)

    def below(number):
        return int(torch.randint(number, (), generator=generator))

    for architecture, members in classes(space).items():
        if "no path" in (space.violation(architecture) or ""):
            assert Architecture(space.equivalent(architecture, below)) == architecture
            continue
        drawn = {Architecture(space.equivalent(architecture, below)) for _ in range(20 * len(members))}
        assert drawn == members


TINY = NASBench101(channels=7, stacks=2, cells=2)


def maxima(inputs, step):
    """Of 3x3 pixels around each, or of blocks of 2x2."""
    height, width = inputs.shape[2:]
    low, high = (1, 2) if step == 1 else (0, 2)
    rows = [
        torch.stack(
            [
                inputs[:, :, max(0, y - low) : y + high, max(0, x - low) : x + high].amax((2, 3))
                for x in range(0, width, step)
            ],
            -1,
        )
        for y in range(0, height, step)
    ]
    return torch.stack(rows, -2)


def cell_output(cell, matrix, operations, widths, inputs):
    """Vertex by vertex, as in the paper."""
    values, last = {0: inputs}, len(operations) - 1
    for vertex in range(1, last):
        total = torch.zeros(len(inputs), widths[vertex], *inputs.shape[2:], dtype=inputs.dtype)
        for source in range(1, vertex):
            if matrix[source][vertex]:
                total = total + values[source][:, : widths[vertex]]
        if matrix[0][vertex]:
            total = total + cell.convolutions[f"projection_{vertex}"](inputs).clamp(min=0)
        values[vertex] = maxima(total, 1)
        if operations[vertex] != POOL:
            layer = cell.convolutions[f"{operations[vertex]}_{vertex}"]
            values[vertex] = layer(total).clamp(min=0)
            assert layer.conv.kernel_size[0] == {C3: 3, C1: 1}[operations[vertex]]
    output = torch.cat([values[vertex] for vertex in range(1, last) if matrix[vertex][last]], 1)
    if matrix[0][last]:
        output = output + cell.convolutions[f"projection_{last}"](inputs).clamp(min=0)
    return output


@pytest.mark.parametrize(
    ("cell", "widths"),
    [
        (FIRST, {7: (0, 4, 4, 3, 3, 3), 14: (0, 7, 7, 7, 7, 7)}),
        (INCEPTION_TRAINED, {7: (0, 2, 2, 2, 1, 1), 14: (0, 4, 4, 3, 3, 3)}),
    ],
)
def test_the_child_computes_its_cells(cell, widths):
    child = TINY.child(TINY.from_matrix(*cell), (3, 7, 6), 5).double().eval()
    inputs = images(4, (3, 7, 6))
    outputs = child.body.stem(inputs).clamp(min=0)
    for place, own in enumerate(child.body.cells):
        if place == 2:
            outputs = maxima(outputs, 2)
        outputs = cell_output(own, *cell, widths[7 if place < 2 else 14], outputs)
    torch.testing.assert_close(child.embed(inputs), outputs.mean((2, 3)))


def test_a_child_inherits_from_another():
    parent, other = (TINY.child(TINY.from_matrix(*cell), (1, 8, 8), 3) for cell in (FIRST, INCEPTION))
    learned = TINY.supernet_weights(parent)
    other.inherit(learned)
    kernel = "body.cells.0.convolutions.conv3x3-bn-relu_1.conv.weight"
    own = TINY.supernet_weights(other)[kernel]
    assert torch.equal(own, learned[kernel][: len(own), : len(own)])
    assert torch.equal(TINY.supernet_weights(other)["head.weight"], learned["head.weight"])


def test_cells_without_a_path_or_of_a_supernet_are_refused():
    nothing = TINY.canonical({choice.name: choice.labels[0] for choice in TINY.choices})
    with pytest.raises(ValueError, match="computes nothing: no path leads from input to output"):
        TINY.child(nothing, (1, 8, 8), 3)
    with pytest.raises(ValueError, match="NASBench101 has no supernet: take another space"):
        TINY.supernet((1, 8, 8))


@pytest.mark.parametrize(("cell", "parameters"), [(INCEPTION, 2_694_282), (FIRST, 8_555_530)])
def test_published_parameters(cell, parameters):
    space = NASBench101()
    architecture = space.from_matrix(*cell)
    cost = space.cost(architecture, (3, 32, 32), 10)
    assert cost.parameters == parameters
    with torch.device("meta"):
        child = space.child(architecture, (3, 32, 32), 10)
    assert sum(p.numel() for p in child.parameters() if p.requires_grad) == parameters
    assert child.flops == cost.flops


def test_child_exports(tmp_path):
    space = NASBench101(channels=7, stacks=2, cells=1)
    check_export(space.child(space.from_matrix(*INCEPTION), (3, 9, 7), 5), tmp_path / "child.pt2")
