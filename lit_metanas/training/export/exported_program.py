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
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.files import read_regular, replacing
from lit_metanas.io.json_files import read_json
from lit_metanas.io.text import number_of
from lit_metanas.records.plain import from_plain
from lit_metanas.tasks.inputs import ImageShape, Preprocessing, Shape, as_shape, blank_inputs, image_shape, plain_shape
from lit_metanas.tasks.speech import LogMel
from lit_metanas.tasks.text import BytePairs, StaticVectors, Words
from lit_metanas.training.export.plain_program import ATEN_OPERATIONS
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM, read_program

DESCRIPTION_SCHEMA = 1
PROGRAM, WEIGHTS, DESCRIPTION = "model.pt2", "weights.pt", "model.json"
PREPROCESSINGS: tuple[type[Preprocessing], ...] = (Words, BytePairs, StaticVectors, LogMel)
"""Those that a description may name."""

MOST_OF_A_SHAPE = 1 << 20
"""Tokens of a vocabulary, or steps of an input."""

_GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Exported:
    """An exported network.

    Attributes:
        network: the program; inputs of ``shape`` in, scores out.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores.
        shape: of one input.
        preprocessing: makes inputs of raw examples; None where the network takes images, or none was stored.

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
    preprocessing: Preprocessing | None = None

    @property
    def noun(self) -> str:
        """What is classified, in the plural, such as images or texts."""
        if isinstance(as_shape(self.shape), ImageShape):
            return "images"
        return "examples" if self.preprocessing is None else self.preprocessing.noun

    @torch.no_grad()
    def predict(self, examples: Tensor | Sequence[Any]) -> Tensor:
        """Probabilities, shape ``(n, classes)``.

        Args:
            examples: images of any size, grey or colour, shape ``(n, channels, height, width)``, uint8 or floating
                point in [0, 1]; or what the preprocessing takes, such as sentences, or has made.

        Raises:
            ValueError: the examples cannot be brought to the network's shape.
        """
        inputs = network_inputs(examples, self.shape, self.preprocessing)
        scores: Tensor = self.network(inputs)
        return scores.softmax(dim=1)


def network_inputs(examples: Tensor | Sequence[Any], shape: Shape, preprocessing: Preprocessing | None) -> Tensor:
    """Bring examples to the form that a network takes, shape ``(n, *shape)``.

    Args:
        examples: images of any size, see ``fit_images``; other inputs as they are; or what the preprocessing takes.
        shape: of one input.
        preprocessing: makes inputs of raw examples; None where there is none.

    Raises:
        ValueError: they cannot be brought to it.
    """
    if isinstance(examples, Tensor):
        return fit_images(examples, shape) if isinstance(as_shape(shape), ImageShape) else examples
    if preprocessing is None:
        raise ValueError("There is no preprocessing that makes inputs of such examples: give the inputs as a tensor.")
    return preprocessing.encode(examples)


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
    preprocessing: Preprocessing | None = None,
) -> None:
    """Write ``model.pt2``, ``weights.pt`` and ``model.json`` into a folder, each atomically.

    Args:
        network: inputs ``(n, *shape)`` in, such as images in [0, 1], scores ``(n, classes)`` out; it is not changed.
        directory: the folder; made if absent.
        architecture: the labels of its architecture.
        classes: the class names, in the order of the scores.
        shape: of one input.
        preprocessing: what made the inputs, where they are no images; it is stored, too.

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
    example = blank_inputs(2, shape)
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
    description = {
        "schema": DESCRIPTION_SCHEMA,
        "architecture": dict(architecture),
        "classes": list(classes),
        "input": _describe_input(as_shape(shape), preprocessing),
        "output": "scores; softmax gives probabilities",
        "program_sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
    }
    with replacing(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(description, indent=1, ensure_ascii=False), encoding="utf-8")


def _describe_input(shape: Shape, preprocessing: Preprocessing | None) -> dict[str, Any]:
    if isinstance(shape, ImageShape):
        return {**shape._asdict(), "range": [0, 1]}
    stored = None if preprocessing is None else {"kind": preprocessing.kind, **preprocessing.to_plain()}
    return {"shape": plain_shape(shape), "preprocessing": stored}


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
    described, preprocessing = _read_description(folder / DESCRIPTION)
    shape = described.input.shape or (described.input.channels, described.input.height, described.input.width)
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
    return Exported(
        network=network,
        architecture=described.architecture,
        classes=described.classes,
        shape=shape,
        preprocessing=preprocessing,
    )


def exported_noun(directory: str | os.PathLike[str]) -> str:
    """What an exported network classifies, in the plural, such as images, sounds or texts.

    Raises:
        ValueError: the description is damaged.
    """
    described, stored = _read_parts(Path(directory) / DESCRIPTION)
    if described.input.shape is None:
        return "images"
    nouns = {each.kind: each.noun for each in PREPROCESSINGS}
    return nouns.get(stored.get("kind", ""), "examples") if isinstance(stored, dict) else "examples"


@dataclass(frozen=True)
class _Input:
    """An image's size and range, or the shape of another kind of input."""

    channels: int = 0
    height: int = 0
    width: int = 0
    range: tuple[int, int] = (0, 1)
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if self.shape is not None and not 1 <= min(self.shape) <= max(self.shape) <= MOST_OF_A_SHAPE:
            raise ValueError(f"an input of {list(self.shape)} has numbers that are not from 1 to {MOST_OF_A_SHAPE}")
        for name, limit in (("channels", 64), ("height", 4096), ("width", 4096)) if self.shape is None else ():
            if not 1 <= (found := getattr(self, name)) <= limit:
                raise ValueError(f"an image's {name} is {found}, not from 1 to {limit}")


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
        if not 1 <= len(self.classes) <= 10_000:
            raise ValueError(f"there are {number_of(len(self.classes), 'class')}, not from 1 to 10000")
        if (twice := _find_repeated(self.classes)) is not None:
            raise ValueError(f"two classes are called '{twice[:60]}'")


def _read_description(file: Path) -> tuple[_Description, Preprocessing | None]:
    described, stored = _read_parts(file)
    try:
        return described, None if stored is None else _read_preprocessing(stored)
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged or another kind of file ({error}): export again.") from None


def _read_parts(file: Path) -> tuple[_Description, Any]:
    """What a file describes, but for its preprocessing, and this as it is stored."""
    fix = "export again"
    document = read_json(file, fix)
    schema = document.get("schema") if isinstance(document, dict) else None
    if type(schema) is int and schema > DESCRIPTION_SCHEMA:
        raise ValueError(f"'{file}' has schema {schema}, newer than {DESCRIPTION_SCHEMA}: update lit-metanas.")
    own = document.get("input") if isinstance(document, dict) else None
    stored = own.pop("preprocessing", None) if isinstance(own, dict) else None
    try:
        return from_plain(_Description, document, "it"), stored
    except ValueError as error:
        raise ValueError(f"'{file}' is damaged or another kind of file ({error}): {fix}.") from None


def _read_preprocessing(stored: object) -> Preprocessing:
    """What was stored under the name of its kind.

    Raises:
        ValueError: there is no such kind, or something is missing.
    """
    kinds: dict[object, type[Preprocessing]] = {each.kind: each for each in PREPROCESSINGS}
    if not isinstance(stored, dict) or stored.get("kind") not in kinds:
        raise ValueError(f"its preprocessing is none of {', '.join(map(str, kinds))}")
    return kinds[stored["kind"]].from_plain({name: value for name, value in stored.items() if name != "kind"})


def _find_repeated(names: Sequence[str]) -> str | None:
    """A name that occurs more than once."""
    return next((name for name, number in Counter(names).items() if number > 1), None)
