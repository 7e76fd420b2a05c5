"""A trained child as files that torch alone can load: the program, its weights, and what they are for."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.atomic import replacing
from lit_metanas.modules.plain_program import plain_program
from lit_metanas.plural import number_of
from lit_metanas.records.weights import write_weights
from lit_metanas.spaces.space import Shape

SCHEMA = 1
PROGRAM, WEIGHTS, DESCRIPTION = "model.pt2", "weights.pt", "model.json"
_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Attributes:
        network: the program; images of ``shape`` in [0, 1] in, scores out.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores.
        shape: channels, height and width of an image.
    """

    network: nn.Module
    architecture: dict[str, str]
    classes: tuple[str, ...]
    shape: Shape

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Probabilities, shape ``(n, classes)``, for images of any size, grey or colour.

        Args:
            images: shape ``(n, channels, height, width)``, uint8 or floating point in [0, 1].

        Raises:
            ValueError: the images cannot be brought to the network's shape.
        """
        scores: Tensor = self.network(fit_images(images, self.shape))
        return scores.softmax(dim=1)


def fit_images(images: Tensor, shape: Shape) -> Tensor:
    """Bring images ``(n, channels, height, width)`` to a shape, float32 in [0, 1]: grey or colour, resized.

    Raises:
        ValueError: they have another number of dimensions, or of channels than 1 and 3.
    """
    channels, height, width = shape
    if images.ndim != 4 or (images.shape[1] != channels and {images.shape[1], channels} != {1, 3}):
        raise ValueError(
            f"Images of shape {tuple(images.shape)} do not fit a network for {shape}: give (n, channels, height, "
            "width) with 1 or 3 channels."
        )
    floats = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    if images.shape[1] < channels:
        floats = floats.expand(-1, channels, -1, -1)
    elif images.shape[1] > channels:
        floats = torch.einsum("nchw,c->nhw", floats, floats.new_tensor(_GREY)).unsqueeze(1)
    if floats.shape[2:] == (height, width):
        return floats
    return F.interpolate(floats, (height, width), mode="bilinear", antialias=True).clamp(0, 1)


def export_child(
    network: nn.Module,
    directory: str | os.PathLike[str],
    *,
    architecture: Mapping[str, str],
    classes: Sequence[str],
    shape: Shape,
) -> None:
    """Write ``model.pt2``, ``weights.pt`` and ``model.json`` into a folder, each atomically.

    Args:
        network: images ``(n, *shape)`` in [0, 1] in, scores ``(n, classes)`` out; it is not changed.
        directory: the folder; made if absent.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores.
        shape: channels, height and width of an image.

    Raises:
        ValueError: the number of class names is not the number of scores.
    """
    folder = Path(directory)
    network = copy.deepcopy(network).cpu().eval()
    for tensor in (*network.parameters(), *network.buffers()):
        # An archive of tensors that are views, or laid out channels-last, would be loaded from guesses.
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    example = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ways = network(example).shape[1]
    if ways != len(classes):
        given = number_of(len(classes), "name")
        raise ValueError(f"The network tells {number_of(ways, 'class')} apart, but {given} came: name each once.")
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with replacing(folder / PROGRAM) as temporary:
        buffer = BytesIO()
        torch.export.save(program, buffer)
        temporary.write_bytes(buffer.getvalue())
    write_weights(folder / WEIGHTS, network.state_dict())
    channels, height, width = shape
    description = {
        "schema": SCHEMA,
        "architecture": dict(architecture),
        "classes": list(classes),
        "input": {"channels": channels, "height": height, "width": width, "range": [0, 1]},
        "output": "scores; softmax gives probabilities",
        "program_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    with replacing(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")


def load_exported(directory: str | os.PathLike[str]) -> Exported:
    """Load what ``export_child`` wrote, without executing code in it.

    Raises:
        FileNotFoundError: the folder lacks one of the files.
        ValueError: a file is damaged, newer, or holds more than a program and tensors.
    """
    folder = Path(directory)
    for name in (DESCRIPTION, PROGRAM):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"There is no '{name}' in '{folder}': give the folder of an exported network.")
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["schema"] > SCHEMA:
            raise ValueError(
                f"'{folder / DESCRIPTION}' has schema {description['schema']}, newer than {SCHEMA}: update lit-metanas."
            )
        shape = (description["input"]["channels"], description["input"]["height"], description["input"]["width"])
        architecture, classes = dict(description["architecture"]), tuple(description["classes"])
        digest = description["program_sha256"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ValueError(f"'{folder / DESCRIPTION}' is damaged or another kind of file: export again.") from None
    content = (folder / PROGRAM).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"'{folder / PROGRAM}' is not the program that '{DESCRIPTION}' describes: export again.")
    try:
        network = torch.export.load(BytesIO(plain_program(content))).module()
    except Exception:  # torch raises errors of many kinds for a program that is plain but makes no sense
        raise ValueError(
            f"'{folder / PROGRAM}' is damaged or holds more than a program and tensors: export again."
        ) from None
    return Exported(network=network, architecture=architecture, classes=classes, shape=shape)
