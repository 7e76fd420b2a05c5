"""The archive of a network that torch.export traced: written whole; only its graph and its weights are read."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.checkpoints import check_stored
from lit_metanas.io.json_files import parse_json
from lit_metanas.spaces.operations import without_fast_paths
from lit_metanas.training.export.plain_program import PROGRAM_OPERATIONS, Node, PlainProgram, Reference

LARGEST_PROGRAM = 1 << 27  # bytes of an archive

_FORMAT = 8  # the major version of the schema of torch's exported programs

# The schema's numbers for the kinds of numbers that a network holds.
_KINDS = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 7: torch.float32, 8: torch.float64,
    12: torch.bool,
}  # fmt: skip

# How the name of the graph in an archive ends, whose entries begin with the name of the file that was written.
_GRAPH = "/models/model.json"

# Operations that give nothing, and are left out.
_ASSERTIONS = ("torch.ops.aten._assert_async.msg", "torch.ops.aten._assert_tensor_metadata.default")


def trace_program(
    network: nn.Module, example: Tensor, shape: Shape, outputs: int, *, each_step: bool
) -> tuple[ExportedProgram, bytes, str]:
    """Trace a network for any number of inputs, and write it as ``read_program`` reads it, where it can.

    Returns:
        The program as it was traced, the content of its file, and why that is not read; empty where it is.
    """
    with (
        torch.enable_grad(),
        without_fast_paths(),
        warnings.catch_warnings(action="ignore"),
    ):  # of torch's own parts about each other
        try:
            program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        except Exception as error:  # of many kinds
            raise ValueError(_untraceable(error)) from None
        content = _written(program)
        refusal = _refusal(content, shape, outputs, each_step)
        if refusal:
            with suppress(Exception):  # of many kinds, too: the program stays as it was traced
                table = torch.export.default_decompositions()
                table.pop(torch.ops.aten.adaptive_avg_pool2d.default)  # it would become a view of memory by strides
                content = _written(program.run_decompositions(table))
                refusal = _refusal(content, shape, outputs, each_step)
    return program, content, refusal


def _written(program: ExportedProgram) -> bytes:
    buffer = BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _refusal(content: bytes, shape: Shape, outputs: int, each_step: bool) -> str:
    """Why a file is not read, which goes on after its name; empty where it is."""
    if len(content) > LARGEST_PROGRAM:
        return f"is larger than {LARGEST_PROGRAM >> 20} MB"
    try:
        read_program(content).check(shape, outputs, each_step=each_step)
    except Exception as error:  # torch raises errors of many kinds for operations that do not fit each other
        if type(error) is ValueError:
            return str(error)
        return f"has a step that fails ({type(error).__name__})"
    return ""


def _untraceable(error: Exception) -> str:
    reason = " ".join(str(error).split())
    if "Constraints violated" in reason:
        return (
            "The network takes one number of inputs alone, as `len(inputs)` does in its code: write `inputs.shape[0]`, "
            "or reshape by -1, so that torch.export takes any number."
        )
    return (
        f"torch.export cannot trace the network ({type(error).__name__}: {reason[:160]}): let its code not "
        "branch on numbers in a tensor."
    )


def read_program(content: bytes) -> PlainProgram:
    """Read what ``torch.export.save`` wrote of a child: its graph and its weights, and nothing else of it."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        check_stored(archive, len(content))
        graphs = [name for name in archive.namelist() if name.endswith(_GRAPH)]
        if len(graphs) != 1:
            raise ValueError("is no program of torch.export")
        document, prefix = parse_json(archive.read(graphs[0]), longest=100_000), graphs[0].removesuffix(_GRAPH)
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
    stored = {
        file: bytearray(archive.read(f"{folder}/{file}")) for file in {own["path_name"] for own in config.values()}
    }
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
    tensor = torch.frombuffer(data, dtype=kind).reshape(sizes)
    if kind is torch.bool:  # PyTorch reckons with bytes of 0 and 1 alone
        tensor = tensor.view(torch.uint8) != 0
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
        case "as_float" if value in ("Infinity", "-Infinity"):
            return float(value)
        case "as_int" | "as_ints" | "as_float" | "as_floats" | "as_bool" | "as_string":
            return value
        case "as_none" | "as_device" | "as_layout" | "as_memory_format":
            return None
    raise ValueError(f"has an argument {kind[:20]}")
