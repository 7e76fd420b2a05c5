"""Torch's core operations as an attacker would call them: their memory and time are known before they are run."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lit_metanas.training.export.program import plain_program
from lit_metanas.training.export.program.core_operations import CORE_OPERATIONS
from lit_metanas.training.export.program.operation_limits import core_cost
from lit_metanas.training.export.program.plain_program import Node, PlainProgram, Reference

SHAPE = (2, 6, 6)
INPUTS = Reference("inputs")
SUM: Node = ("amax.default", {"self": Reference("made"), "dim": [2, 3]}, ("scores",))
"""Two scores of each input."""


def step(operation: str, name: str = "made", **given: Any) -> Node:
    return operation, given, (name,)


def size(name: str = "n") -> Node:
    return step("sym_size.int", name, self=INPUTS, dim=0)


def tried(*nodes: Node, count: int = 1, **tensors: Tensor) -> Tensor:
    """Scores of some inputs, once the program has been checked."""
    program = PlainProgram([*nodes, SUM], tensors=tensors, inputs="inputs", output="scores")
    program.check(SHAPE, 2)
    return program(torch.ones(count, *SHAPE))


def test_a_harmless_program_is_run() -> None:
    for count in (1, 3):
        assert tried(step("exp.default", self=INPUTS), count=count).tolist() == [[pytest.approx(math.e)] * 2] * count


LARGE: dict[str, list[Node]] = {
    "empty": [step("empty.memory_format", "a", size=[1 << 31, 1 << 20])],
    "nothing of a lot": [step("full.default", "a", size=[0, 1 << 31], fill_value=1)],
    "repeat": [step("repeat.default", "a", self=INPUTS, repeats=[1, 1, 1 << 14, 1 << 14])],
    "pad": [step("constant_pad_nd.default", "a", self=INPUTS, pad=[4096, 4096] * 3, value=0)],
    "bilinear": [
        step(
            "upsample_bilinear2d.vec", "a", input=INPUTS, output_size=[1 << 20] * 2, align_corners=False,
            scale_factors=None,
        )
    ],
    "index": [
        step("arange.start_step", "rows", start=0, end=1 << 14),
        step("full_like.default", "zeros", self=Reference("rows"), fill_value=0),
        step("unsqueeze.default", "columns", self=Reference("zeros"), dim=1),
        step("index.Tensor", "a", self=INPUTS, indices=[None, None, Reference("zeros"), Reference("columns")]),
    ],
    "places of a mask": [
        step("full.default", "a", size=[1 << 12, 1 << 12], fill_value=1.0),
        step("full.default", "b", size=[1 << 12, 1 << 12], fill_value=True, dtype=torch.bool),
        step(
            "index_put.default", "c", self=Reference("a"), indices=[Reference("b")], values=Reference("weight"),
            accumulate=False,
        ),
    ],
    "outer product": [
        step("view.default", "rows", self=INPUTS, size=[-1, 1]),
        step("permute.default", "columns", self=Reference("rows"), dims=[1, 0]),
        step("mm.default", "a", self=Reference("rows"), mat2=Reference("columns")),
        step("mm.default", "b", self=Reference("a"), mat2=Reference("a")),
        *(step("mm.default", f"c{n}", self=Reference("b"), mat2=Reference("b")) for n in range(400)),
    ],
    "transposed convolution": [
        step(
            "convolution.default", "a", input=INPUTS, weight=Reference("weight"), bias=None, stride=[255, 255],
            padding=[0, 0], dilation=[255, 255], transposed=True, output_padding=[0, 0], groups=1,
        )
    ],
    "distances": [
        step("full.default", "a", size=[8000, 4000], fill_value=1.0),
        *(
            step("_cdist_forward.default", f"b{n}", x1=Reference("a"), x2=Reference("a"), p=3.0, compute_mode=None)
            for n in range(9)
        ),
    ],
    "sorts": [
        step("full.default", "a", size=[1 << 22], fill_value=1.0),
        *(("sort.default", {"self": Reference("a"), "dim": 0}, (f"b{n}", f"c{n}")) for n in range(99)),
    ],
}  # fmt: skip


@pytest.mark.parametrize("harm", LARGE)
def test_memory_and_time_are_known_before_they_are_spent(harm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = plain_program._outputs

    def only_without_numbers(operation: str, given: dict[str, Any], device: torch.device) -> Any:
        assert device.type == "meta"
        return made(operation, given, device)

    monkeypatch.setattr(plain_program, "_outputs", only_without_numbers)
    with pytest.raises(ValueError, match="takes too much memory or time"):
        tried(*LARGE[harm], step("exp.default", self=INPUTS), weight=torch.ones(2, 64, 32, 32))


def between(factor: int) -> list[Node]:
    """Numbers that grow with the inputs, but for 2 and 1021 of them, which is what is tried first."""
    return [
        size(),
        step("_operator.sub", "above", a=Reference("n"), b=2),
        step("_operator.sub", "below", a=1021, b=Reference("n")),
        step("_operator.mul", "between", a=Reference("above"), b=Reference("below")),
        step("_operator.mul", "square", a=Reference("between"), b=Reference("between")),
        step("_operator.mul", "large", a=Reference("square"), b=factor),
        step("_operator.floordiv", "length", a=Reference("large"), b=1000),
        step("full.default", "many", size=[Reference("length")], fill_value=1.0),
        step("exp.default", self=INPUTS),
    ]


def test_each_number_of_inputs_is_tried_where_operations_may_mix_them() -> None:
    assert tried(*between(1), count=2).shape == (2, 2)
    with pytest.raises(ValueError, match="takes too much memory or time"):
        tried(*between(1 << 17), count=2)  # one input takes half a gigabyte
    program = PlainProgram([*between(2), SUM], tensors={}, inputs="inputs", output="scores")
    program.check(SHAPE, 2)
    with pytest.raises(ValueError, match="takes too much memory or time"):
        program(torch.ones(500, *SHAPE))


def test_sizes_do_not_grow_without_end() -> None:
    squares = [step("_operator.mul", f"n{n + 1}", a=Reference(f"n{n}"), b=Reference(f"n{n}")) for n in range(60)]
    with pytest.raises(ValueError, match="computes a size that is too large"):
        tried(size("n0"), *squares, step("exp.default", self=INPUTS))


PLACES: dict[str, list[Node]] = {
    "index": [step("index.Tensor", self=INPUTS, indices=[None, None, Reference("places")])],
    "put": [
        step(
            "index_put.default", self=INPUTS, indices=[None, None, Reference("places")], values=Reference("value"),
            accumulate=False,
        )
    ],
    "select": [step("index_select.default", self=INPUTS, dim=2, index=Reference("places"))],
    "gather": [
        step("expand.default", "all", self=Reference("places"), size=[1, 2, 6, 6]),
        step("gather.default", self=INPUTS, dim=-1, index=Reference("all")),
    ],
    "scatter": [
        step("expand.default", "all", self=Reference("places"), size=[1, 2, 6, 6]),
        step("scatter.value", self=INPUTS, dim=3, index=Reference("all"), value=1.0),
    ],
    "embedding": [
        step("expand.default", "all", self=Reference("places"), size=[1, 2, 6]),
        step("embedding.default", weight=Reference("table"), indices=Reference("all")),
    ],
}  # fmt: skip


@pytest.mark.parametrize("lookup", PLACES)
@pytest.mark.parametrize(("place", "message"), [(6, "looks up entry 6 of 6"), (-7, "looks up entry -7 of 6")])
def test_nothing_is_looked_up_or_put_outside(lookup: str, place: int, message: str) -> None:
    def scores(place: int) -> Tensor:
        tensors = {"places": torch.tensor([0, 1, 2, 3, 4, place]), "value": torch.ones(()), "table": torch.ones(6, 6)}
        program = PlainProgram([*PLACES[lookup], SUM], tensors=tensors, inputs="inputs", output="scores")
        return program(torch.ones(1, *SHAPE))

    assert scores(5).shape == (1, 2)
    with pytest.raises(ValueError, match=f"^{message}$"):
        scores(place)


def test_a_mask_does_not_say_how_much_is_taken() -> None:
    mask = torch.ones(6, dtype=torch.bool)
    taken = [step("index.Tensor", self=INPUTS, indices=[None, None, Reference("mask")])]
    with pytest.raises(ValueError, match="by numbers that are not whole"):
        tried(*taken, mask=mask)
    put = {"self": INPUTS, "indices": [None, None, Reference("mask")], "values": Reference("value")}
    assert tried(step("index_put.default", **put), mask=mask, value=torch.tensor(7.0)).tolist() == [[7, 7]]


@pytest.mark.parametrize(
    "given",
    [{"N": 9}, {"C": 4}, {"HxW": 1 << 20}, {"group": 3}, {"weight": Reference("long")}, {"bias": Reference("long")}],
)
def test_a_norm_reads_what_its_inputs_have(given: dict[str, Any]) -> None:
    own = {
        "input": INPUTS,
        "weight": None,
        "bias": None,
        "N": Reference("n"),
        "C": 2,
        "HxW": 36,
        "group": 1,
        "eps": 1e-5,
    }
    assert tried(size(), step("native_group_norm.default", **own)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"^normalises "):
        tried(size(), step("native_group_norm.default", **own | given), long=torch.ones(3))
    statistics = {"running_mean": Reference("long"), "running_var": Reference("long"), "momentum": 0.1, "eps": 1e-5}
    with pytest.raises(ValueError, match=r"^normalises by other channels"):
        tried(
            step("_native_batch_norm_legit_no_training.default", input=INPUTS, weight=None, bias=None, **statistics),
            long=torch.ones(1),
        )


def test_an_overflow_does_not_end_the_process() -> None:
    """The least whole number by minus one: the processor's own answer is a signal."""
    lowest = [
        step("full_like.default", "least", self=INPUTS, fill_value=-(2**63), dtype=torch.int64),
        step("full_like.default", "one", self=INPUTS, fill_value=-1, dtype=torch.int64),
    ]
    for name, other in (("Tensor", Reference("one")), ("Scalar", -1), ("Tensor", 0)):
        with pytest.raises(ValueError, match="divides whole numbers by others than positive ones"):
            tried(*lowest, step(f"div.{name}_mode", self=Reference("least"), other=other, rounding_mode="trunc"))


def test_memory_is_not_shown_as_it_was_found() -> None:
    filled = torch.full((1 << 16,), 7.0)
    del filled
    made = [size(), step("empty.memory_format", size=[Reference("n"), 2, 181, 181], dtype=torch.float32)]
    assert tried(*made).tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("operation", "given"),
    [
        ("convolution.default", {"stride": [0, 0]}),
        ("_native_batch_norm_legit.no_stats", {"training": False}),
        ("embedding.default", {"sparse": True}),
        ("view.default", {"size": [1 << 40]}),
        ("_to_copy.default", {"dtype": "float16"}),
        ("relu.default", {"__class__": 1}),
    ],
)
def test_other_arguments_are_refused(operation: str, given: dict[str, Any]) -> None:
    assert operation in CORE_OPERATIONS
    with pytest.raises(ValueError, match=f"^calls {operation} with other arguments than an exported network does$"):
        tried(step(operation, **given))


def test_looking_through_a_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_program, "LONGEST_TRIAL", 0.0)
    with pytest.raises(ValueError, match="takes too long to look through"):
        tried(step("exp.default", self=INPUTS))


def test_costs_are_at_least_what_is_computed() -> None:
    rows, columns = torch.ones(3, 5), torch.ones(5, 7)
    assert core_cost("mm.default", {"self": rows, "mat2": columns}, [rows @ columns]).work >= 3 * 5 * 7
    assert core_cost("mm.default", {"self": rows.long(), "mat2": columns.long()}, [rows @ columns]).work >= 32 * 105
    images, kernel = torch.ones(2, 4, 8, 8), torch.ones(6, 4, 3, 3)
    given = {"input": images, "weight": kernel, "stride": [1, 1], "dilation": [1, 1], "groups": 1, "transposed": False}
    cost = core_cost("convolution.default", given, [torch.ones(2, 6, 6, 6)])
    assert cost.work >= 2 * 6 * 36 * 36
    assert cost.memory >= 2 * 36 * 36  # unfolded
