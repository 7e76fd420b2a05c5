"""The archive of an exported program, of which only the graph and the weights are read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import torch
from torch import Tensor

from lit_metanas.io.checkpoints import check_stored
from lit_metanas.io.json_files import parse_json
from lit_metanas.training.export.program.plain_program import Node, PlainProgram, Reference
from lit_metanas.training.export.program.program_operations import PROGRAM_OPERATIONS

LARGEST_PROGRAM = 1 << 27
"""Bytes of an archive."""

_FORMAT = 8
"""The major version of the schema of torch's exported programs."""

_KINDS = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 7: torch.float32, 8: torch.float64,
    12: torch.bool,
}  # fmt: skip
"""The schema's numbers for the kinds of numbers that a network holds."""

_GRAPH = "/models/model.json"
"""How the name of the graph in an archive ends, whose entries begin with the name of the file that was written."""

_INFINITE = ("Infinity", "-Infinity")

_ASSERTIONS = ("torch.ops.aten._assert_async.msg", "torch.ops.aten._assert_tensor_metadata.default")
"""Operations that give nothing, and are left out."""


def read_program(content: bytes) -> PlainProgram:
    """Read what ``torch.export.save`` wrote of a child: its graph and its weights, and nothing else of it."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        check_stored(archive, len(content))
        (graph,) = (name for name in archive.namelist() if name.endswith(_GRAPH))
        document, prefix = parse_json(archive.read(graph), longest=100_000), graph.removesuffix(_GRAPH)
        if document["schema_version"]["major"] != _FORMAT:
            raise ValueError("is of another version of torch's format")
        weights = _stored_tensors(archive, f"{prefix}/data/weights", "model_weights_config.json")
        constants = _stored_tensors(archive, f"{prefix}/data/constants", "model_constants_config.json")
    graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
    tensors, inputs = _inputs(signature["input_specs"], weights, constants)
    if [kind for output in signature["output_specs"] for kind in output] != ["user_output"]:
        raise ValueError("gives more than scores, or changes its own buffers")
    ((_, output),) = signature["output_specs"][0].items()
    return PlainProgram(
        [_node(node) for node in graph["nodes"] if node["target"] not in _ASSERTIONS],
        tensors=tensors,
        inputs=inputs,
        output=output["arg"]["as_tensor"]["name"],
        traced_on=tuple(size.get("as_int", 0) for size in graph["tensor_values"][inputs]["sizes"]),
    )


def _stored_tensors(archive: zipfile.ZipFile, folder: str, names: str) -> dict[str, Tensor]:
    """The tensors of a folder of the archive by name; none where the folder has no list of them."""
    if (place := f"{folder}/{names}") not in archive.namelist():
        return {}
    config = parse_json(archive.read(place))["config"]
    # Many names may be of one file, which is held once.
    files = {own["path_name"] for own in config.values()}
    stored = {file: bytearray(archive.read(f"{folder}/{file}")) for file in files}
    return {name: _weight(own, stored[own["path_name"]]) for name, own in config.items()}


def _weight(own: Mapping[str, Any], data: bytearray) -> Tensor:
    """One tensor, of as many bytes as its size says."""
    meta = own["tensor_meta"]
    sizes, strides = ([entry["as_int"] for entry in meta[key]] for key in ("sizes", "strides"))
    kind = _kind(meta["dtype"])
    if own["use_pickle"] or len(data) != math.prod(sizes) * kind.itemsize:
        raise ValueError("holds a weight that is more or less than a tensor")
    if not data:
        return torch.empty(sizes, dtype=kind)
    # PyTorch reckons with bytes of 0 and 1 alone in masks.
    if kind is torch.bool:
        tensor = torch.frombuffer(data, dtype=torch.uint8) != 0
    else:
        tensor = torch.frombuffer(data, dtype=kind)
    tensor = tensor.reshape(sizes)
    if list(tensor.stride()) != strides or meta["storage_offset"]["as_int"] != 0:
        raise ValueError("holds a weight that is a part of another one")
    # Masks of one's own may be infinite.
    if tensor.isnan().any() or (own["is_param"] and not tensor.isfinite().all()):
        raise ValueError("holds weights that are not finite")
    return tensor


def _kind(number: int) -> torch.dtype:
    if number not in _KINDS:
        raise ValueError("holds numbers of half precision, or complex ones")
    return _KINDS[number]


def _inputs(
    specs: Sequence[Mapping[str, Any]], weights: Mapping[str, Tensor], constants: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    """The weights and constants under the graph's names, and the graph's name for the inputs."""
    tensors: dict[str, Tensor] = {}
    inputs: list[str] = []
    for spec in specs:
        ((kind, own),) = spec.items()
        if kind == "user_input":
            inputs.append(own["arg"]["as_tensor"]["name"])
            continue
        constant = kind == "tensor_constant" or not own.get("persistent", True)
        tensors[own["arg"]["name"]] = (constants if constant else weights)[own[f"{kind}_name"]]
    (name,) = inputs
    return tensors, name


def _node(node: Mapping[str, Any]) -> Node:
    operation = node["target"].removeprefix("torch.ops.aten.")
    if operation not in PROGRAM_OPERATIONS:
        raise ValueError(
            f"asks for the operation '{operation[:60]}', which `predict` does not run (write the network without it, "
            "if a new export has it)"
        )
    names = tuple(name for output in node["outputs"] for name in _names(output))
    arguments = {own["name"]: _argument(own["arg"]) for own in node["inputs"]}
    trains = arguments.get("train") or arguments.get("training")
    if trains and operation != "_native_batch_norm_legit.no_stats":  # which instance norm is in evaluation, too
        raise ValueError("is in training mode (call `eval()` before the export)")
    return operation, arguments, names


def _names(output: Mapping[str, Any]) -> list[str]:
    """The names of the tensors or the size that an operation gives."""
    ((kind, value),) = output.items()
    match kind:
        case "as_sym_int":
            return [value["as_name"]]
        case "as_tensors":
            return [each["name"] for each in value]
    return [value["name"]]


def _argument(argument: Mapping[str, Any]) -> object:
    ((kind, value),) = argument.items()
    match kind:
        case "as_tensor":
            return Reference(value["name"])
        case "as_tensors":
            return [Reference(each["name"]) for each in value]
        case "as_optional_tensors":
            return [_argument(each) for each in value]
        case "as_sym_int":
            if "as_name" in value:
                return Reference(value["as_name"])
            return value["as_int"]
        case "as_sym_ints":
            return [_argument({"as_sym_int": each}) for each in value]
        case "as_scalar_type":
            return _kind(value)
        case "as_float" if value in _INFINITE:
            return float(value)
        case "as_int" | "as_ints" | "as_float" | "as_floats" | "as_bool" | "as_string":
            return value
        case "as_none" | "as_device" | "as_layout" | "as_memory_format":
            return None
    raise ValueError(f"has an argument {kind[:20]}")
