"""Exported networks as an attacker would write them: refused in a sentence, and nothing of them is executed."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_metanas import spaces
from lit_metanas.inputs.batches import blank_inputs, random_inputs
from lit_metanas.inputs.shapes import RowShape, SeriesShape, Shape, TextRowShape, TokenShape
from lit_metanas.spaces.operations import ACTIVATIONS, NORMS, POOLS, SKIPS
from lit_metanas.spaces.sequence.step_operations import OPERATIONS
from lit_metanas.training import export_child, load
from lit_metanas.training.export import plain_program
from lit_metanas.training.export.plain_program import Node, PlainProgram, Reference
from lit_metanas.training.export.program_archive import read_program, trace_program

SHAPE = (1, 28, 28)
GRAPH, CONFIG = "archive/models/model.json", "archive/data/weights/model_weights_config.json"
HARMFUL = b"cos\nmkdir\n(S'executed'\ntR."

Document = dict[str, Any]
Change = Callable[[Document], object]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = spaces.LayeredSpace(shared=True, widths=(8,), activations=("ReLU",), pools=("max",), kernels=(3,))
    directory = tmp_path_factory.mktemp("exported")
    child = space.child(space.sample(torch.Generator().manual_seed(3)), SHAPE, way=3)
    export_child(child, directory, architecture={"kernel": "3"}, classes="abc", shape=SHAPE)
    return directory


@pytest.fixture
def copied(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder: Path, entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> None:
    """Write a program's archive, and its digest."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as new:
        for name, data in entries:
            new.writestr(name, data)
    (folder / "model.pt2").write_bytes(content.getvalue())
    described = json.loads((folder / "model.json").read_text())
    described["program_sha256"] = hashlib.sha256(content.getvalue()).hexdigest()
    (folder / "model.json").write_text(json.dumps(described))


def change(folder: Path, change: Change, entry: str = GRAPH) -> None:
    entries = read(folder)
    document = json.loads(entries[entry])
    change(document)
    entries[entry] = json.dumps(document).encode()
    write(folder, list(entries.items()))


def nodes(document: Document) -> list[Document]:
    found: list[Document] = document["graph_module"]["graph"]["nodes"]
    return found


def node(document: Document, operation: str) -> Document:
    return next(node for node in nodes(document) if node["target"].endswith(f".{operation}"))


def argument(operation: str, name: str, value: Document) -> Change:
    def change(document: Document) -> None:
        own = node(document, operation)
        own["inputs"] = [given for given in own["inputs"] if given["name"] != name]
        own["inputs"].append({"name": name, "arg": value, "kind": 1})

    return change


def call(operation: str) -> Change:
    return lambda document: node(document, "relu.default").update(target=operation)


def refused(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        load(folder)
    text = str(caught.value)
    assert text.startswith(f"'{folder / 'model.'}")
    assert text.endswith(": export again.")
    assert "\n" not in text
    assert len(text.replace(str(folder), "")) < 200
    assert not (folder / "executed").exists()
    return text


def all_spaces() -> Iterator[tuple[spaces.SearchSpace, Shape]]:
    """Spaces whose children have all operations that this package's spaces emit."""
    yield spaces.DARTSCell(channels=4, cells=2), SHAPE
    yield spaces.ENASMacro(layers=4, channels=4), (3, 27, 30)
    yield spaces.NASBench101(channels=8, stacks=2, cells=1), SHAPE
    for shape in (SHAPE, (3, 27, 30)):
        yield spaces.MetaNASCell(channels=4, cells=1, normalised_pools=False), shape
        yield spaces.NASBench201(channels=4, cells=1), shape
    for name, norm in zip(ACTIVATIONS, cycle(NORMS), strict=False):
        options = {"pools": tuple(POOLS), "activations": (name,), "skips": SKIPS, "norms": (norm,)}
        yield spaces.LayeredSpace(kernels=(3,), depths=(2,), widths=(4,), **options), SHAPE
    parts: list[tuple[Shape, dict[str, Any]]] = [
        (TokenShape(13, 11), {}),
        (SeriesShape(3, 11), {"pools": ["max"], "stride": 3}),
        (SeriesShape(3, 11), {"pools": ["avg"]}),
        (TokenShape(13, 12), {"stride": 2}),
    ]
    operations = cycle(OPERATIONS)
    for (shape, options), readout in zip(parts, ("mean", "max", "attention", "last"), strict=True):
        fixed = {f"layer{place}.operation": [next(operations)] for place in range(1, 5)}
        yield spaces.SequenceSpace(
            operations=tuple(OPERATIONS), activations=("ReLU", "Tanh"), depths=(4,), widths=(8,), readouts=(readout,),
            fixed=fixed, **options,
        ), shape  # fmt: skip
    encoder = spaces.SequenceSpace(
        operations=("conv_3",), depths=(2,), widths=(8,), dropouts=(0.0,), readouts=("each",)
    )
    tokens, series = TokenShape(13, 11), SeriesShape(3, 11)
    for decoder, shape in (("gru", tokens), ("attention", series), ("conv", tokens)):
        more = {"decoders": (decoder,), "decoder_depths": (1,), "heads": 2, "target_steps": 5}
        yield spaces.EncoderDecoderSpace(encoder, **more), shape
    for stride, shape in ((1, tokens), (3, series)):
        yield spaces.SequenceSpace(operations=("conv_3",), widths=(8,), readouts=("each",), stride=stride), shape
    yield spaces.MLPSpace(depths=(2,), widths=(8,), dropouts=(0.2,), norms=("layer",), skips=("residual",)), RowShape(5)
    yield spaces.KernelSpace(), RowShape(5)
    for shape in (tokens, TextRowShape(3, 13, 11)):
        yield spaces.NGramSpace(), shape


def exported_bytes(space: spaces.SearchSpace, shape: Shape) -> bytes:
    """A child's program, once what is read of it has computed what the child does."""
    child = space.child(space.sample(torch.Generator()), shape, way=3).eval()
    _, content, refusal = trace_program(child, blank_inputs(2, shape), shape, 3, each_step=space.scored != "input")
    assert not refusal
    network = read_program(content)
    inputs = random_inputs(5, shape)
    with torch.no_grad():
        torch.testing.assert_close(network(inputs), child(inputs), rtol=1e-5, atol=1e-5)
    return content


@pytest.mark.slow
def test_programs_of_all_spaces_are_read() -> None:
    for space, shape in all_spaces():
        exported_bytes(space, shape)


def test_an_unchanged_archive_that_was_written_anew_is_accepted(copied: Path) -> None:
    change(copied, lambda document: None)
    assert load(copied).classes == ("a", "b", "c")


@pytest.mark.parametrize(
    "operation",
    [
        "torch.hub.os.mkdir",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten._sparse_coo_tensor_unsafe.default",
        "torch.ops.aten.as_strided.default",
        "torch.ops.aten.relu_.default",
        "relu.default.__globals__",
    ],
)
def test_other_operations_are_refused(operation: str, copied: Path) -> None:
    change(copied, call(operation))
    assert "asks for the operation" in refused(copied)


@pytest.mark.parametrize(
    "harm",
    [
        argument("conv2d.default", "stride", {"as_ints": [0, 0]}),
        argument("conv2d.default", "bias", {"as_tensor": {"name": "inputs"}}),
        argument("conv2d.default", "input", {"as_tensor": {"name": "absent"}}),
        argument("conv2d.default", "input", {"as_string": "text"}),
        argument("conv2d.default", "__class__", {"as_int": 1}),
        argument("batch_norm.default", "training", {"as_bool": True}),
        argument("relu.default", "self", {"as_custom_obj": {"name": "x", "class_fqn": "y"}}),
        lambda document: nodes(document).clear(),
        lambda document: nodes(document)[0]["outputs"].clear(),
        lambda document: document["schema_version"].update(major=9),
        lambda document: document["graph_module"]["signature"].update(output_specs=[]),
    ],
)
def test_what_does_not_fit_is_refused(harm: Change, copied: Path) -> None:
    change(copied, harm)
    refused(copied)


def repeated(document: Document) -> None:
    """Each addition doubles the channels: 2 to the power of 40 times the memory."""
    added = []
    last = "inputs"
    for number in range(40):
        given = {"as_tensors": [{"name": last}, {"name": last}]}
        inputs = [{"name": "tensors", "arg": given, "kind": 1}, {"name": "dim", "arg": {"as_int": 1}, "kind": 1}]
        last = f"cat_{number}"
        output = [{"as_tensor": {"name": last}}]
        added.append({"target": "torch.ops.aten.cat.default", "inputs": inputs, "outputs": output, "metadata": {}})
    nodes(document)[0:0] = added


def test_a_program_does_not_fill_the_memory(copied: Path) -> None:
    change(copied, repeated)
    assert "takes too much memory" in refused(copied)


@pytest.mark.parametrize("name", ["inputs", "p_head_bias", "first"])
def test_a_tensor_does_not_take_the_name_of_another_one(name: str, copied: Path) -> None:
    """What is called like a weight would not be counted."""

    def added(document: Document) -> None:
        given = {"name": "self", "arg": {"as_tensor": {"name": "inputs"}}, "kind": 1}
        relu = {"target": "torch.ops.aten.relu.default", "inputs": [given], "metadata": {}}
        nodes(document)[0:0] = [{**relu, "outputs": [{"as_tensor": {"name": own}}]} for own in ("first", name)]

    change(copied, added)
    assert "gives two tensors the same name" in refused(copied)


WEIGHTS: dict[str, Change] = {
    "larger": lambda weight: weight["tensor_meta"]["sizes"][0].update(as_int=10**12),
    "strided": lambda weight: weight["tensor_meta"]["strides"][0].update(as_int=0),
    "beyond": lambda weight: weight["tensor_meta"]["storage_offset"].update(as_int=10**9),
    "of objects": lambda weight: weight["tensor_meta"].update(dtype=999),
    "pickled": lambda weight: weight.update(use_pickle=True),
}


@pytest.mark.parametrize("harm", WEIGHTS)
def test_weights_are_as_large_as_their_bytes(harm: str, copied: Path) -> None:
    change(copied, lambda document: WEIGHTS[harm](next(iter(document["config"].values()))), CONFIG)
    refused(copied)


def test_a_program_without_weights_is_refused(copied: Path) -> None:
    change(copied, lambda document: document.clear(), CONFIG)
    refused(copied)


def test_weights_that_are_not_finite_are_refused(copied: Path) -> None:
    entries = read(copied)
    name = "archive/data/weights/weight_0"
    entries[name] = b"\xff" * len(entries[name])
    write(copied, list(entries.items()))
    assert "not finite" in refused(copied)


def test_a_compressed_archive_is_refused_before_it_is_inflated(copied: Path) -> None:
    entries = read(copied) | {"archive/data/weights/weight_0": bytes(300 << 20)}
    write(copied, list(entries.items()), zipfile.ZIP_DEFLATED)
    assert (copied / "model.pt2").stat().st_size < 1 << 20
    assert "compressed" in refused(copied)


@pytest.mark.parametrize("name", ["archive/data/sample_inputs/model.pt", "archive/data/weights/model.pt", "extra"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_no_child_needs_is_not_read(name: str, copied: Path) -> None:
    """torch.export.load would unpickle some of these entries."""
    expected = load(copied).predict(torch.ones(1, *SHAPE))
    write(copied, [*read(copied).items(), (name, HARMFUL), (name.upper(), HARMFUL)])
    assert torch.equal(load(copied).predict(torch.ones(1, *SHAPE)), expected)
    assert not Path("executed").exists()


def test_many_images_are_taken_in_parts(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load(copied).network
    images = torch.rand(7, *SHAPE, generator=torch.Generator().manual_seed(0))
    whole = network(images)
    monkeypatch.setattr(plain_program, "AT_ONCE", 2)
    assert torch.allclose(network(images), whole, atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"schema": True},
        {"classes": ["a", "b", "a"]},
        {"classes": ["a", "b", "\ud800"]},
        {"classes": ["a", "b", "c" * 10**5]},
        {"classes": ["a"] * 10**5},
        {"input": {"channels": 1, "height": 10**6, "width": 28, "range": [0, 1]}},
        {"input": {"channels": 1, "height": 27, "width": 27.5, "range": [0, 1]}},
        {"input": {"shape": list(SHAPE), "preprocessing": None}},
        {"input": {"shape": [2**20, 2**20, 2**20], "preprocessing": None}},
        {"input": {"shape": ["tokens", 0, 5], "preprocessing": None}},
        {"architecture": {"kernel": 3}},
        {"program_sha256": 10**400},
        {"more": 1},
    ],
)
def test_a_description_of_another_network_is_refused(wrong: Document, copied: Path) -> None:
    described = json.loads((copied / "model.json").read_text())
    (copied / "model.json").write_text(json.dumps(described | wrong))
    refused(copied)


def test_tokens_that_a_network_does_not_know_are_told() -> None:
    space = spaces.SequenceSpace(
        operations=("conv_3",), activations=("ReLU",), depths=(1,), widths=(8,), readouts=("mean",)
    )
    network = read_program(exported_bytes(space, TokenShape(13, 11)))
    network.check(TokenShape(13, 11), 3)
    with pytest.raises(ValueError, match=r"^There is a token 13, and the network knows 0 to 12: use the preproc"):
        network(torch.full((2, 11), 13))
    with pytest.raises(ValueError, match=r"^There is a token -1, "):
        network(torch.full((2, 11), -1))
    with pytest.raises(ValueError, match=r"^Inputs of shape \(2, 12\) do not fit a network for sequences of up to 11"):
        network(torch.ones(2, 12, dtype=torch.int64))


INPUTS = Reference("inputs")


def scores(*nodes: Node, **tensors: torch.Tensor) -> torch.Tensor:
    """Of ones, by a program of core operations whose last one makes ``made``."""
    last = "amax.default", {"self": Reference("made"), "dim": [2, 3]}, ("scores",)
    program = PlainProgram([*nodes, last], tensors=tensors, inputs="inputs", output="scores")
    program.check((2, 6, 6), 2)
    return program(torch.ones(1, 2, 6, 6))


@pytest.mark.parametrize(
    "given",
    [{"N": 9}, {"C": 4}, {"HxW": 1 << 20}, {"group": 3}, {"weight": Reference("long")}, {"bias": Reference("long")}],
)
def test_a_norm_reads_what_its_inputs_have(given: Document) -> None:
    own: Document = {"input": INPUTS, "weight": None, "bias": None, "N": Reference("n"), "C": 2, "HxW": 36, "group": 1}
    own["eps"] = 1e-5
    count: Node = ("sym_size.int", {"self": INPUTS, "dim": 0}, ("n",))
    outputs = ("made", "mean", "deviation")
    assert scores(count, ("native_group_norm.default", own, outputs)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"^normalises "):
        scores(count, ("native_group_norm.default", own | given, outputs), long=torch.ones(3))


def test_memory_is_not_shown_as_it_was_found() -> None:
    filled = torch.full((1 << 16,), 7.0)
    del filled
    count: Node = ("sym_size.int", {"self": INPUTS, "dim": 0}, ("n",))
    made = {"size": [Reference("n"), 2, 181, 181], "dtype": torch.float32}
    assert scores(count, ("empty.memory_format", made, ("made",))).tolist() == [[0, 0]]


def test_a_larger_archive_is_not_read(copied: Path) -> None:
    with (copied / "model.pt2").open("ab") as stream:
        stream.truncate(1 << 40)
    assert "larger than" in refused(copied)
