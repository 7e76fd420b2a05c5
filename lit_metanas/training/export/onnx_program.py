"""A trained child as an ONNX file, which onnxruntime runs without torch."""

from __future__ import annotations

import re
import warnings
from importlib.util import find_spec

import torch
from torch import nn

from lit_metanas.inputs.batches import random_inputs
from lit_metanas.inputs.shapes import Shape, TokenShape

ONNX = "model.onnx"

# How far scores of `model.onnx` may be from the network's, where these are between -1 and 1; else in their share.
PARITY = 1e-4


def check_onnx_installed() -> None:
    """Look for the packages, without loading them."""
    if any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        raise ValueError("An ONNX file needs more packages: pip install 'lit-metanas[onnx]'.")


def onnx_program(program: torch.export.ExportedProgram, network: nn.Module, shape: Shape) -> bytes:
    """Translate an exported program to ONNX, with any number of inputs at once, and compare it with the network."""
    check_onnx_installed()
    with warnings.catch_warnings(action="ignore"):  # of torch's own parts about each other
        try:
            made = torch.onnx.export(program, (), input_names=["inputs"], output_names=["scores"], verbose=False)
        except Exception as error:  # of many kinds, by torch's exporter and by the packages that it uses
            raise ValueError(
                f"This network has no ONNX file, since torch's exporter cannot translate {_untranslated(error)}: leave "
                "ONNX out of the export."
            ) from None
    assert made is not None
    model = made.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]  # names the number of inputs in another way, and is worked out by who reads it
    for node in model.graph.node:
        del node.metadata_props[:]  # lines of the code that it was made of
    content: bytes = model.SerializeToString()
    _check_parity(content, network, shape)
    return content


def _untranslated(error: BaseException) -> str:
    """The operation that an error of torch's exporter, or what caused it, names; else the error's kind."""
    cause: BaseException | None = error
    while cause is not None:
        if named := re.search(r"op='([\w.:]+)'", str(cause)):
            return named[1]
        cause = cause.__cause__
    return f"it ({type(error).__name__})"


@torch.no_grad()
def _check_parity(content: bytes, network: nn.Module, shape: Shape) -> None:
    import onnxruntime

    tables = (layer.num_embeddings for layer in network.modules() if isinstance(layer, nn.Embedding))
    if isinstance(shape, TokenShape):  # networks that are averaged may know different tokens
        shape = shape._replace(vocabulary=min([shape.vocabulary, *tables]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = random_inputs(3, shape)  # another number than the program was traced with
    expected = network(inputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(["scores"], {"inputs": inputs.numpy()})[0])
    apart = float(((found - expected).abs() / expected.abs().clamp(min=1)).max())
    if not apart <= PARITY:
        raise ValueError(
            f"This network has no ONNX file, since onnxruntime's scores are {apart:.2g} from its own: leave ONNX out "
            "of the export."
        )
