"""NAS-Bench-101's child against plain sums, and the benchmark's counts."""

import pytest
import torch
from nas_bench_101_examples import C1, C3, FIRST, INCEPTION, INCEPTION_TRAINED, POOL
from space_toys import check_export, images

from lit_metanas.spaces import NASBench101

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
    check_export(TINY.child(TINY.from_matrix(*INCEPTION), (3, 9, 7), 5), tmp_path / "child.pt2")
