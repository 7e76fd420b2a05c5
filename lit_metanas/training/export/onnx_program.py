"""A trained child as an ONNX file, which onnxruntime runs without torch; and the same with weights of 8 bits."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import random_inputs
from lit_metanas.inputs.shapes import Shape, TokenShape
from lit_metanas.io.files import replacing
from lit_metanas.io.text import number_of
from lit_metanas.objectives.objective import Objective
from lit_metanas.tasks.task import Split

ONNX, INT8 = "model.onnx", "model_int8.onnx"

PARITY = 1e-4
"""How far scores of ``model.onnx`` may be from the network's, where these are between -1 and 1; else in their share."""

_TRIED = 3
"""Inputs of the check: another number than the program was traced with."""


class Int8Loss(NamedTuple):
    """What weights of 8 bits cost: the score of ``model.onnx`` and of ``model_int8.onnx`` on the same examples."""

    metric: str
    value: float
    value_int8: float
    examples: int

    @property
    def told(self) -> str:
        """The score of 8 bits, how far it is from that of 32, and on how many examples."""
        more = 100 * (self.value_int8 - self.value)
        return f"{100 * self.value_int8:.1f} %, {more:+.1f} points, of {number_of(self.examples, 'example')}"


def check_onnx_installed() -> None:
    """Look for the packages, without loading them."""
    if any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        raise ValueError("An ONNX file needs more packages: pip install 'lit-metanas[onnx]'.")


def onnx_program(program: torch.export.ExportedProgram, network: nn.Module, shape: Shape) -> bytes:
    """Translate an exported program to ONNX, with any number of inputs at once, and compare it with the network."""
    check_onnx_installed()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own parts about each other
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
    tables = (layer.num_embeddings for layer in network.modules() if isinstance(layer, nn.Embedding))
    if isinstance(shape, TokenShape):  # networks that are averaged may know different tokens
        shape = shape._replace(vocabulary=min([shape.vocabulary, *tables]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        inputs = random_inputs(_TRIED, shape)
    expected = network(inputs)
    found = onnx_scores(content)(inputs)
    apart = float(((found - expected).abs() / expected.abs().clamp(min=1)).max())
    if not apart <= PARITY:
        raise ValueError(
            f"This network has no ONNX file, since onnxruntime's scores are {apart:.2g} from its own: leave ONNX out "
            "of the export."
        )


def onnx_scores(model: bytes | str | os.PathLike[str]) -> Callable[[Tensor], Tensor]:
    """What runs an ONNX file, or its content, by onnxruntime: inputs ``(n, *shape)`` to scores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else os.fspath(model), options, providers=["CPUExecutionProvider"]
    )

    def scores(inputs: Tensor) -> Tensor:
        given = inputs.float() if inputs.is_floating_point() else inputs
        return torch.from_numpy(session.run(["scores"], {"inputs": given.cpu().numpy()})[0])

    return scores


def quantise_onnx(directory: str | os.PathLike[str], split: Split, objective: Objective) -> Int8Loss:
    """Write ``model_int8.onnx`` beside ``model.onnx``: weights of 8 bits, activations by the range of each batch."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from lit_metanas.training.child import judge  # and Lightning, two seconds which reading an export does without

    if not len(split):
        raise ValueError("There are no examples on which the loss by 8 bits could be measured: give some.")
    folder = Path(directory)
    with replacing(folder / INT8) as temporary, _quiet_root_logger():
        # Without signs: onnxruntime has no convolution of signed weights on CPUs.
        quantize_dynamic(folder / ONNX, temporary, weight_type=QuantType.QUInt8)
    own = Split(split.inputs.cpu(), split.labels.cpu())
    value, value_int8 = (judge(onnx_scores(folder / name), own, objective).value for name in (ONNX, INT8))
    return Int8Loss(objective.metric, value, value_int8, len(own))


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Keep what is logged without a logger's name to those who listen: else its first word sets up the root's."""
    silent = logging.NullHandler()
    logging.getLogger().addHandler(silent)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(silent)
