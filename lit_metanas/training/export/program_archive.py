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
from lit_metanas.training.export.plain_program import ATEN_OPERATIONS, Node, PlainProgram, Reference

LARGEST_PROGRAM = 1 << 27
"""Bytes of an archive."""

MOST_NODES = 8_000
"""Operations: a text of 32 steps that three layers of attention write takes some 4,400, one of 48 some 6,500."""

_FORMAT = 8
"""The major version of the schema of torch's exported programs."""

_KINDS = {7: torch.float32, 5: torch.int64}
"""Numbers of the schema for the kinds of numbers that a child holds."""

_PREFIX = "archive/"


def read_program(content: bytes) -> PlainProgram:
    """Read what ``torch.export.save`` wrote of a child: its graph and its weights, and nothing else of it.

    Raises:
        ValueError: it asks for more than ``ATEN_OPERATIONS``, is compressed (it could be far larger than it seems) or
            is of another version of the format; the message goes on after the file's name.
        Exception: of any kind, for an archive that is damaged.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        check_stored(archive, len(content))
        document = parse_json(archive.read(f"{_PREFIX}models/model.json"), longest=100_000)
        if document["schema_version"]["major"] != _FORMAT:
            raise ValueError("is of another version of torch's format")
        config = parse_json(archive.read(f"{_PREFIX}data/weights/model_weights_config.json"))["config"]
        # Many names may be of one file, which is held once.
        files = {own["path_name"] for own in config.values()}
        stored = {file: bytearray(archive.read(f"{_PREFIX}data/weights/{file}")) for file in files}
        weights = {name: _weight(own, stored[own["path_name"]]) for name, own in config.items()}
    graph, signature = document["graph_module"]["graph"], document["graph_module"]["signature"]
    if len(graph["nodes"]) > MOST_NODES:
        raise ValueError(f"has more than {MOST_NODES} operations")
    tensors, inputs = _inputs(signature["input_specs"], weights)
    (output,) = signature["output_specs"]
    return PlainProgram(
        [_node(node) for node in graph["nodes"]],
        tensors=tensors,
        inputs=inputs,
        output=output["user_output"]["arg"]["as_tensor"]["name"],
    )


def _weight(own: Mapping[str, Any], data: bytearray) -> Tensor:
    """One tensor, of as many bytes as its size says."""
    meta = own["tensor_meta"]
    sizes, strides = ([entry["as_int"] for entry in meta[key]] for key in ("sizes", "strides"))
    kind = _KINDS[meta["dtype"]]
    if own["use_pickle"] or len(data) != math.prod(sizes) * kind.itemsize:
        raise ValueError("holds a weight that is more or less than a tensor")
    tensor = torch.frombuffer(data, dtype=kind).reshape(sizes)
    if list(tensor.stride()) != strides or meta["storage_offset"]["as_int"] != 0:
        raise ValueError("holds a weight that is a part of another one")
    if not tensor.isfinite().all():
        raise ValueError("holds weights that are not finite")
    return tensor


def _inputs(specs: Sequence[Mapping[str, Any]], weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """The weights under the graph's names, and the graph's name for the inputs."""
    tensors: dict[str, Tensor] = {}
    inputs: list[str] = []
    for spec in specs:
        ((kind, own),) = spec.items()
        if kind == "user_input":
            inputs.append(own["arg"]["as_tensor"]["name"])
        else:
            tensors[own["arg"]["name"]] = weights[own[f"{kind}_name"]]
    (name,) = inputs
    return tensors, name


def _node(node: Mapping[str, Any]) -> Node:
    operation = node["target"].removeprefix("torch.ops.aten.")
    if operation not in ATEN_OPERATIONS:
        raise ValueError(f"asks for the operation '{operation[:60]}', which no space's networks have")
    output, *others = node["outputs"]
    if len(others) != (operation == "gru.input"):  # the state at its end, which no network uses
        raise ValueError(f"has an operation of {len(node['outputs'])} outputs")
    arguments = {own["name"]: _argument(own["arg"]) for own in node["inputs"]}
    return operation, arguments, output["as_tensor"]["name"]


def _argument(argument: Mapping[str, Any]) -> object:
    ((kind, value),) = argument.items()
    if kind == "as_tensor":
        return Reference(value["name"])
    if kind == "as_tensors":
        return [Reference(each["name"]) for each in value]
    if kind == "as_none":
        return None
    if kind not in ("as_int", "as_ints", "as_float", "as_bool"):
        raise ValueError(f"has an argument {kind[:20]}")
    return value
