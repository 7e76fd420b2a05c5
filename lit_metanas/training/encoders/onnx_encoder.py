"""Networks of ONNX files as networks of torch, without their classifier."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.files import read_regular
from lit_metanas.io.packages import import_extra
from lit_metanas.io.text import printable
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.training.encoders.encoder import Encoder
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM

OWNER = "An encoder in ONNX"

CLASSIFIERS, BEHIND = ("Gemm", "MatMul"), ("Add", "Identity", "LogSoftmax", "Sigmoid", "Softmax")
"""Linear maps, and what may follow the last one."""

LOWEST = -1e9  # below all features

AROUND, FLOOR, SILENCE = 40, 1e-9, 4.5
"""Steps of silence on both sides of a sound, its energy, and its spectrum, as the network takes it."""

SPEECH_WINDOW, SPEECH_BANDS, SPEECH_HOP = 76, 32, 8
"""Steps and bands that Google's speech embedding (Lin et al. 2020) takes, and steps from one window to the next."""


def read_onnx(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The network of a file in front of its last linear map, and the sizes of its inputs, 0 for an open one.

    Raises:
        ValueError: it is damaged or another network; the message continues the file's name.
    """
    onnx = import_extra("onnx", "encoders", OWNER)
    converter = import_extra("onnx2torch", "encoders", OWNER)
    content = read_regular(path, LARGEST_PROGRAM)
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(content))
        graph = model.graph
        weights = {one.name for one in graph.initializer}
        (given,) = (one for one in graph.input if one.name not in weights)
        sizes = tuple(one.dim_value for one in given.type.tensor_type.shape.dim)
    except Exception as error:  # of protobuf, for bytes that are none of its messages
        reason = f" ({error})" * isinstance(error, ValueError)
        raise ValueError(f"is damaged, or has not one input{reason}: get it again") from None
    if any(one.external_data for one in graph.initializer):
        raise ValueError("keeps its weights in another file: save it as one file")
    if given.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ValueError("takes no numbers in single precision: give a network of images or of sounds")
    end = _classified(graph, weights)
    try:
        network = converter.convert(onnx.utils.Extractor(model).extract_model([given.name], [end]))
    except (NotImplementedError, *DAMAGED) as error:
        reason = printable(" ".join(str(error).split()), 120)
        raise ValueError(f"cannot be translated by onnx2torch ({reason}): give a torch.export of it") from None
    return network.float().eval(), sizes


def _classified(graph: Any, weights: set[str]) -> str:
    """What the last linear map takes; the output if the network does not end in one."""
    made = {name: node for node in graph.node for name in node.output}
    name = graph.output[0].name
    while name in made and made[name].op_type in BEHIND:
        name = next((one for one in made[name].input if one in made), "")
    if name in made and made[name].op_type in CLASSIFIERS and made[name].input[1] in weights:
        return str(made[name].input[0])
    return str(graph.output[0].name)


class SpeechWindows(nn.Module):
    """What a network of short windows of spectra says of a sound with silence around it: mean and largest features.

    It was trained on words at the end of its window: without the silence, short words are hardly told apart.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, bands + 1, steps)``, the last one the mask, to ``(n, 2 * features)``."""
        heard = inputs[:, -1:] > 0
        sound = F.pad(torch.where(heard, inputs[:, :-1], SILENCE), (AROUND, AROUND), value=SILENCE)
        begins = torch.arange(0, sound.shape[2] - SPEECH_WINDOW + 1, SPEECH_HOP, device=inputs.device)
        windows = sound[:, :, begins[:, None] + torch.arange(SPEECH_WINDOW, device=inputs.device)]
        steps = windows.permute(0, 2, 3, 1).flatten(0, 1)[..., None]  # (n * windows, steps, bands, 1)
        found = self.network(steps).flatten(1).unflatten(0, (-1, len(begins)))
        within = (begins + SPEECH_WINDOW <= heard.sum(2) + 2 * AROUND)[:, :, None]
        mean = (found * within).sum(1) / within.sum(1)
        return torch.cat([mean, torch.where(within, found, LOWEST).amax(1)], 1)


def speech_encoder(name: str, network: nn.Module) -> partial[Encoder]:
    """The encoder of Google's speech embedding: its spectra, window by window."""
    bands: dict[str, Any] = {"bins": SPEECH_BANDS, "window": 0.032, "lowest": 60.0, "highest": 3800.0}
    mean = math.log(FLOOR) - SILENCE * math.log(10)  # the logarithms to the base of ten of 16-bit samples
    made = LogMel(rate=16_000, floor=FLOOR, mean=mean, deviation=math.log(10), **bands)
    return partial(
        Encoder, name, SpeechWindows(network), made.shape, "Google's speech embedding", made, license="Apache-2.0"
    )
