"""Torchvision's classification data sets as a task source."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from lit_metanas.io.text import hint
from lit_metanas.kinds.images.array_tasks import ArraySource
from lit_metanas.kinds.images.dataset_tasks import names_of, read_parts
from lit_metanas.kinds.images.image_arrays import over_white
from lit_metanas.kinds.images.image_files import require_shape
from lit_metanas.tasks.source import Subset, TaskSource


class TorchvisionSource(TaskSource):
    """Any of torchvision's classification data sets, or one's own of the same kind; the classes are split.

    Its parts (training, test) usually show the same classes, so they are joined first. The images are read at the
    first use and kept in memory.

    Args:
        dataset: its name in ``torchvision.datasets``, or the class path of one's own.
        root: the folder that holds it.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour.
        parts: further arguments of each part, such as ``[{split: train}, {split: test}]``; None takes ``train: true``
            and ``train: false`` where the data set has this argument, and else one part.
        download: get what is missing, on one process.
        transform: in place of resizing, makes tensors of ``shape``, uint8 or in [0, 1].
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.

    Raises:
        ValueError: there is no such data set, it is not in the folder, it is not one of classification, or what
            ``DatasetSource`` raises.

    Example:
        >>> import lit_metanas as lm
        >>> source = lm.kinds.TorchvisionSource("FakeData", shape=(3, 16, 16), parts=[{"size": 40, "num_classes": 4}])
        >>> len(source.classes("train")), source.shape
        (3, (3, 16, 16))
    """

    def __init__(
        self,
        dataset: str,
        root: str = "data",
        shape: tuple[int, int, int] = (3, 32, 32),
        parts: Sequence[Mapping[str, Any]] | None = None,
        download: bool = False,
        transform: nn.Module | None = None,
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        require_shape("TorchvisionSource", shape)
        self._class = _dataset_class(dataset)
        self._arguments, self._takes_any = _arguments(self._class)
        self.root = root
        self._shape = (shape[0], shape[1], shape[2])
        if parts is None:
            parts = [{"train": True}, {"train": False}] if "train" in self._arguments else [{}]
        self.parts = list(parts)
        if not self.parts:
            raise ValueError("TorchvisionSource: parts is empty: give the arguments of each part, such as [{}].")
        self.download = download
        self.transform = transform
        self._split: dict[str, Any] = {"train": train, "val": val, "test": test, "fractions": fractions, "seed": seed}

    @property
    def name(self) -> str:
        """The data set's class."""
        return self._class.__name__.lower()

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape asked for."""
        return self._shape

    def prepare(self) -> None:
        """Download what is missing, if this was asked for."""
        if self.download and "download" in self._arguments:
            for part in self.parts:
                self._part({**part, "download": True})

    def classes(self, subset: Subset) -> tuple[str, ...]:
        """Return the names of a subset's classes."""
        return self._source.classes(subset)

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        """Return how many images a class has; none is held out."""
        return self._source.instances(subset, class_index, held_out)

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Return images of one class, uint8, shape ``(n, channels, height, width)``."""
        return self._source.inputs(subset, class_index, instances, held_out)

    @cached_property
    def _source(self) -> ArraySource:
        parts, names = read_parts([self._part(part) for part in self.parts])
        labels = [label for _, own in parts for label in own]
        source = ArraySource(
            torch.cat([images for images, _ in parts]),
            labels,
            classes=names_of(labels, names),
            channels="first",
            name=self.name,
            **self._split,
        )
        if source.shape != self.shape:
            raise ValueError(f"The transform of {self.name} gives images of shape {source.shape}, not {self.shape}.")
        return source

    def _part(self, arguments: Mapping[str, Any]) -> Dataset[Any]:
        kind = self._class.__name__
        given = {"root": self.root, "transform": self.transform or resizing(self.shape)}
        known = {name: value for name, value in given.items() if self._takes_any or name in self._arguments}
        try:
            return self._class(**{**known, **arguments})
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            cause = str(error).splitlines()[0].rstrip(".")
            fix = "correct its 'parts'"
            if isinstance(error, OSError) or "not found" in cause:
                fix = "give the folder that holds it as 'root'"
                if "download" in self._arguments and not self.download:
                    fix += ", or download: true"
            raise ValueError(f"{kind} cannot be read from '{self.root}' ({cause}): {fix}.") from error


def resizing(shape: tuple[int, int, int]) -> nn.Module:
    """Bring images of torch, numpy or Pillow to uint8 tensors of a shape ``(channels, height, width)``."""
    # Torchvision takes a second to import, and most tasks do without it.
    from torchvision.transforms import v2

    channels, height, width = shape
    mode, colours = {1: ("L", v2.Grayscale(1)), 3: ("RGB", v2.RGB())}[channels]
    return v2.Compose(
        [
            v2.Lambda(partial(_opaque, mode=mode)),
            v2.ToImage(),
            colours,
            v2.Resize((height, width)),
            v2.ToDtype(torch.uint8, scale=True),
            v2.ToPureTensor(),
        ]
    )


def _opaque(image: Any, mode: str) -> Any:
    """An image of Pillow that has a palette or transparent pixels, over white; anything else as it is."""
    if isinstance(image, Image.Image) and (image.mode == "P" or image.has_transparency_data):
        return over_white(image, mode)
    return image


def _dataset_class(name: str) -> type[Dataset[Any]]:
    """A data set's class by its name in torchvision, or by its class path."""
    from torchvision import datasets

    found: object = getattr(datasets, name, None)
    if "." in name:
        try:
            found = pkgutil.resolve_name(name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"The data set '{name}' cannot be imported ({error}): give another class path.") from error
    if not (isinstance(found, type) and issubclass(found, Dataset)) or found is datasets.VisionDataset:
        others = "give a name in torchvision.datasets, or a class path."
        raise ValueError(f"There is no data set '{name}': {hint(name, datasets.__all__, others)}")
    return found


def _arguments(dataset: type[Dataset[Any]]) -> tuple[list[str], bool]:
    """The arguments of a data set, those that it hands on to its parents included; and whether it takes any others."""
    names: dict[str, None] = {}
    for parent in dataset.__mro__[:-1]:  # but object
        parameters = list(inspect.signature(parent).parameters.values())
        names |= {each.name: None for each in parameters if each.kind is not each.VAR_KEYWORD}
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            return list(names), False
    return list(names), True
