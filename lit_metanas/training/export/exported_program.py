"""A trained child as files that torch alone can load: program, weights, description."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.files import read_regular, replacing
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import number_of
from lit_metanas.records.plain import from_plain
from lit_metanas.tasks.inputs import Shape, image_shape
from lit_metanas.training.export.plain_program import ATEN_OPERATIONS
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM, read_program

DESCRIPTION_SCHEMA = 1
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

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
        >>> exported = lm.Exported(network, architecture={}, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> exported.predict(torch.rand(3, 3, 100, 80)).shape  # colour images of another size
        torch.Size([3, 2])
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
    channels, height, width = image_shape(shape)
    if images.ndim != 4 or (images.shape[1] != channels and {images.shape[1], channels} != {1, 3}):
        raise ValueError(
            f"Images of shape {tuple(images.shape)} do not fit a network for {(channels, height, width)}: give (n, "
            "channels, height, width) with 1 or 3 channels."
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
        ValueError: the number of class names is not the number of scores, or two are the same.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> lm.load_exported("out").classes
        ('cat', 'dog')
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
        raise ValueError(f"The network tells {number_of(ways, 'class')} apart, but {given} were given: name each once.")
    if (twice := _find_repeated(classes)) is not None:
        raise ValueError(f"Two classes are called '{twice}': give each a name of its own.")
    program = torch.export.export(network, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    called = {str(node.target).removeprefix("aten.") for node in program.graph.nodes if node.op == "call_function"}
    if foreign := sorted(called - ATEN_OPERATIONS.keys()):
        warnings.warn(
            f"The exported network calls {', '.join(foreign)}, which no space of this package does: `predict` refuses "
            "it, but torch.export.load takes it.",
            stacklevel=2,
        )
    with replacing(folder / PROGRAM) as temporary:
        buffer = BytesIO()
        torch.export.save(program, buffer)
        temporary.write_bytes(buffer.getvalue())
    write_weights(folder / WEIGHTS, network.state_dict())
    channels, height, width = image_shape(shape)
    description = {
        "schema": DESCRIPTION_SCHEMA,
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
        ValueError: a file is damaged, newer, or holds more than the program of a space's network and tensors.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> space = lm.LayeredSpace(depths=(1,), widths=(4,))
        >>> architecture = space.sample(torch.Generator())
        >>> network = space.child(architecture, (1, 8, 8), way=2)
        >>> lm.export_child(network, "out", architecture=architecture, classes=("cat", "dog"), shape=(1, 8, 8))
        >>> exported = lm.load_exported("out")
        >>> exported.predict(torch.rand(3, 1, 8, 8)).shape
        torch.Size([3, 2])
    """
    folder = Path(directory)
    for name in (DESCRIPTION, PROGRAM):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"There is no '{name}' in '{folder}': give the folder of an exported network.")
    described = _read_description(folder / DESCRIPTION)
    shape = (described.input.channels, described.input.height, described.input.width)
    file = folder / PROGRAM
    try:
        content = read_regular(file, LARGEST_PROGRAM)
        if hashlib.sha256(content).hexdigest() != described.program_sha256:
            raise ValueError(f"is not the program that '{DESCRIPTION}' describes")
        network = read_program(content)
        network.check(shape, len(described.classes))
    except Exception as error:  # torch raises errors of many kinds for operations that do not fit each other
        told = str(error) if type(error) is ValueError else "is damaged or holds more than a program and tensors"
        raise ValueError(f"'{file}' {told}: export again.") from None
    return Exported(network=network, architecture=described.architecture, classes=described.classes, shape=shape)


@dataclass(frozen=True)
class _Input:
    channels: int
    height: int
    width: int
    range: tuple[int, int]


@dataclass(frozen=True)
class _Description:
    """What ``model.json`` holds."""

    schema: int
    architecture: dict[str, str]
    classes: tuple[str, ...]
    input: _Input
    output: str
    program_sha256: str

    def __post_init__(self) -> None:
        for name, limit in (("channels", 64), ("height", 4096), ("width", 4096)):
            if not 1 <= (found := getattr(self.input, name)) <= limit:
                raise ValueError(f"an image's {name} is {found}, not from 1 to {limit}")
        if not 1 <= len(self.classes) <= 10_000:
            raise ValueError(f"there are {number_of(len(self.classes), 'class')}, not from 1 to 10000")
        if (twice := _find_repeated(self.classes)) is not None:
            raise ValueError(f"two classes are called '{twice[:60]}'")


def _read_description(file: Path) -> _Description:
    fix = "export again"
    document = read_json(file, fix)
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is int and schema > DESCRIPTION_SCHEMA:
        raise ValueError(f"'{file}' has schema {schema}, newer than {DESCRIPTION_SCHEMA}: update lit-metanas.")
    try:
        return from_plain(_Description, document, "it")
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged or another kind of file ({error}): {fix}.") from None


def _find_repeated(names: Sequence[str]) -> str | None:
    """A name that occurs more than once."""
    return next((name for name, number in Counter(names).items() if number > 1), None)
