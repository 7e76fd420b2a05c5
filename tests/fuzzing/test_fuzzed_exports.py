"""Exported networks, edited by what is in their graph, weights and description: the same scores, or one sentence."""

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzz_tools import CASES, Case, Contents, cases, edited, edited_bytes, ending
from hypothesis import given

from lit_metanas.spaces import LayeredSpace
from lit_metanas.training import export_child, load
from lit_metanas.training.export.plain_program import PROGRAM_OPERATIONS

SHAPE = (1, 12, 12)
GRAPH, CONFIG = "archive/models/model.json", "archive/data/weights/model_weights_config.json"

CALLS = [
    *(f"torch.ops.aten.{operation}" for operation in sorted(PROGRAM_OPERATIONS)),
    *("_operator.mul", "_operator.floordiv", "_operator.pow", "_operator.getitem", "math.trunc"),
    *(f"torch.ops.aten.{own}" for own in ("save.default", "to_dense.default", "as_strided.default")),
    "torch.ops.aten.empty.memory_format",
    "torch.hub.os.mkdir",
    "__import__",
    "relu.default.__globals__",
]
ARGUMENTS: list[dict[str, Any]] = [
    *({"as_int": value} for value in (0, 1, -1, 2, 255, 256, 2**31, 2**62)),
    *({"as_ints": value} for value in ([], [0, 0], [1], [2, 2], [-1, -1], [255, 255], [10**6] * 2, [1] * 1000)),
    *({"as_float": value} for value in (0.0, -1.0, 0.5, 1e308)),
    *({"as_bool": value} for value in (True, False)),
    *({"as_none": value} for value in (True, None)),
    {"as_string": "text"},
    {"as_tensor": {"name": "absent"}},
    {"as_tensors": []},
    *({"as_sym_int": {"as_name": name}} for name in ("s0", "sym_size_int_5")),
    *({"as_sym_ints": [{"as_name": "sym_size_int_5"}, {"as_int": value}]} for value in (2**31, -1)),
    {"as_float": "-Infinity"},
    *({"as_scalar_type": value} for value in (5, 12)),
    {"as_optional_tensors": [{"as_none": True}, {"as_tensor": {"name": "inputs"}}]},
    {"as_device": {"type": "cuda", "index": 99}},
    {"as_string": "trunc"},
    {"as_custom_obj": {"name": "x", "class_fqn": "os.system"}},
    {},
    {"as_int": 1, "as_float": 2.0},
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """The files of an exported network, by name; those in the program's archive, too."""
    space = LayeredSpace(depths=(2,), widths=(4,), kernels=(3,), pools=("max",), norms=("batch",), skips=("residual",))
    folder = tmp_path_factory.mktemp("exported")
    network = space.child(space.sample(torch.Generator().manual_seed(3)), SHAPE, way=3)
    export_child(network, folder, architecture={"kernel": "3"}, classes="abc", shape=SHAPE)
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        inner = {name: archive.read(name) for name in archive.namelist()}
    return Contents({file.name: file.read_bytes() for file in folder.iterdir()} | inner)


def tried(folder: Path) -> torch.Tensor:
    """Probabilities of a few images."""
    exported = load(folder)
    found = exported.predict(torch.rand(3, 3, 9, 17, generator=torch.Generator().manual_seed(0)))
    assert found.shape == (3, len(exported.classes))
    assert bool(found.isfinite().all())
    return found


def attempt(files: dict[str, bytes], home: Path, *, compression: int = zipfile.ZIP_STORED) -> tuple[str, Any]:
    """Write an archive of the inner files, with the right digest in the description, and try it."""
    folder = home / "work" / "exported"
    folder.mkdir(exist_ok=True)
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w", compression) as archive:
        for name, content in files.items():
            if "/" in name:
                archive.writestr(name, content)
    try:
        described = json.loads(files["model.json"])
        described["program_sha256"] = hashlib.sha256(program.getvalue()).hexdigest()
        (folder / "model.json").write_text(json.dumps(described))
    except (ValueError, TypeError):
        (folder / "model.json").write_bytes(files["model.json"])
    (folder / "model.pt2").write_bytes(program.getvalue())
    return ending(lambda: tried(folder), home, names="exported/model.")


def graphs(random: Case, graph: bytes) -> bytes:
    """A graph with other operations, arguments or order, or edited as any tree."""
    document = json.loads(graph)
    nodes = document["graph_module"]["graph"]["nodes"]
    for _ in range(random.randint(1, 3)):
        node = random.choice(nodes) if nodes else {"inputs": [], "outputs": []}
        kind = random.choice(["call", "argument", "argument", "more", "name", "order", "repeat", "drop", "tree"])
        if kind == "call":
            node["target"] = random.choice(CALLS)
        elif kind == "argument" and node.get("inputs"):
            random.choice(node["inputs"])["arg"] = random.choice(ARGUMENTS)
        elif kind == "more":
            name = random.choice(["self", "out", "dtype", "device", "names", "weight", "__class__"])
            node["inputs"] = [*node["inputs"], {"name": name, "arg": random.choice(ARGUMENTS), "kind": 1}]
        elif kind == "name" and node.get("outputs"):
            own = (each["outputs"][0].get("as_tensor", {}) for each in nodes if each["outputs"])
            names = [each["name"] for each in own if each] + ["inputs", ""]
            node["outputs"] = [{"as_tensor": {"name": random.choice(names)}}]
        elif kind == "order":
            nodes.insert(random.randint(0, len(nodes)), nodes.pop(random.randint(0, len(nodes) - 1)))
        elif kind == "repeat":
            nodes[:] = nodes + [node] * random.choice([1, 50, 2000])
        elif kind == "drop":
            nodes[:] = nodes[: random.randint(0, len(nodes))]
        if not nodes:
            break
    if random.randint(0, 3) == 0:
        document, _ = edited(random, document)
    return json.dumps(document).encode()


@cases(40, 6000)
@given(random=CASES)
def test_graphs(random: Case, exported: Contents, canary: Path) -> None:
    attempt(exported | {GRAPH: graphs(random, exported[GRAPH])}, canary)


@cases(40, 4000)
@given(random=CASES)
def test_weights(random: Case, exported: Contents, canary: Path) -> None:
    name = random.choice([CONFIG, *(name for name in exported if "weights/weight_" in name)])
    if name == CONFIG:
        document, _ = edited(random, json.loads(exported[CONFIG]))
        changed = json.dumps(document).encode()
    else:
        changed = edited_bytes(random, exported[name])
    attempt(exported | {name: changed}, canary)


@cases(40, 4000)
@given(random=CASES)
def test_descriptions(random: Case, exported: Contents, canary: Path) -> None:
    document, _ = edited(random, json.loads(exported["model.json"]))
    attempt(exported | {"model.json": json.dumps(document).encode()}, canary)


@cases(30, 3000)
@given(random=CASES)
def test_archives(random: Case, exported: Contents, canary: Path) -> None:
    files = dict(exported)
    inner = [name for name in files if "/" in name]
    for _ in range(random.randint(1, 2)):
        name = random.choice(inner)
        kind = random.choice(["drop", "more", "swap", "large", "outside"])
        if kind == "drop":
            files.pop(name, None)
        elif kind == "more":
            files[f"archive/data/{random.choice(['x', 'weights/model.pt', 'constants/x'])}"] = b"cos\nmkdir\n"
        elif kind == "swap":
            other = random.choice(inner)
            files[name], files[other] = exported[other], exported[name]
        elif kind == "large":
            files[name] = exported[name] + bytes(10**6)
        else:
            files["../../thesis/chapter.tex"] = b"owned"
    attempt(files, canary, compression=random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
