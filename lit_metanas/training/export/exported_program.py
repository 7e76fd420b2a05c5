"""A trained child as files that torch alone can load: program, weights, description."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.io.checkpoints import write_weights
from lit_metanas.io.files import replacing
from lit_metanas.io.text import number_of
from lit_metanas.spaces.supernet import Shape

_PROGRAM = "archive/models/model.json"
_SAMPLES = "archive/data/sample_inputs/model.pt"
_ENTRIES = re.compile(
    r"archive/(models/model\.json|data/(weights|constants)/((weight|tensor)_[0-9]+|model_(weights|constants)_config\.json)"
    r"|data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
_WORD = re.compile(r"[\w.+]*", re.ASCII)
_OPERATION = re.compile(r"torch\.ops\.aten\.(?!from_file)\w+\.\w+", re.ASCII)
_TREE = re.compile(r'([\[\]{}:, ]|[0-9]|null|"(type|context|children_spec|null|\[\]|builtins\.(tuple|list|dict))")*')
_BATCH_SIZE = re.compile(r"(s[0-9]{1,6}|Symbol\('s[0-9]{1,6}', positive=True, integer=True\)|[0-9]{1,9}|[*+\-/() ])*")
_LONGEST = 200


def plain_program(content: bytes) -> bytes:
    """Copy an exported program, entry by entry as checked, so that loading the copy runs no foreign code.

    ``torch.export.load`` unpickles what an archive declares as pickled, evaluates size expressions, pastes names into
    code, and calls whatever below ``torch`` a graph names. Its reader also finds entries by other rules than
    ``zipfile`` (by any case, another one of two of the same name), hence the copy. Traces of the source are left out.

    Raises:
        ValueError: the archive is damaged, or holds anything but tensors and a graph of torch's operations.
    """
    copy = BytesIO()
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(copy, "w") as plain:
            names = archive.namelist()
            if _PROGRAM not in names or len(set(names)) < len(names) or not all(map(_ENTRIES.fullmatch, names)):
                raise ValueError("foreign entries")
            for name in names:
                data = archive.read(name)
                if name.endswith(".json"):
                    data = json.dumps(_checked(json.loads(data))).encode()
                elif name == _SAMPLES:
                    torch.load(BytesIO(data), weights_only=True)
                plain.writestr(name, data)
    except Exception as error:  # whatever else it is, it is not plain
        raise ValueError("This is not an archive of a plain program.") from error
    return copy.getvalue()


def _checked(tree: object, key: str = "") -> object:
    """The tree without metadata, if every text in it is harmless where it stands."""
    if isinstance(tree, list):
        return [_checked(value, key) for value in tree]
    if isinstance(tree, dict):
        if tree.get("use_pickle") or "as_custom_obj" in tree:
            raise ValueError("pickled objects")
        for name in tree:
            _check_text(name, "")
        return {name: {} if name == "metadata" else _checked(value, name) for name, value in tree.items()}
    if isinstance(tree, str):
        _check_text(tree, key)
    return tree


def _check_text(text: str, key: str) -> None:
    if key == "expr_str":  # powers are left out: they make numbers that take for ever
        harmless = len(text) <= _LONGEST and "**" not in text and _BATCH_SIZE.fullmatch(text)
    else:
        pattern = {"target": _OPERATION, "in_spec": _TREE, "out_spec": _TREE}.get(key, _WORD)
        harmless = pattern.fullmatch(text)
    if not harmless:
        raise ValueError(f"'{text[:_LONGEST]}' as {key}")


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
