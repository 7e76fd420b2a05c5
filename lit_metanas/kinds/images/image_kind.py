"""Images as a kind of data, and near copies among them: pictures of one moment, or of one file saved again."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import ImageShape
from lit_metanas.io.class_folders import files_in, folders_in
from lit_metanas.io.text import printable, writable
from lit_metanas.kinds.file_reading import FileReading, Source
from lit_metanas.kinds.images.image_files import (
    SUFFIXES,
    USUAL_IMAGE,
    checked_shape,
    fit_images,
    read_image,
    shorter_side,
)
from lit_metanas.kinds.kind import Kind, MadeBefore, Prepared
from lit_metanas.kinds.listed_files import ListedFiles, table_of_files, task_of_files
from lit_metanas.records.record import RecipeValue
from lit_metanas.spaces import PatchSpace
from lit_metanas.spaces.any_input.patch_space import DRAWN_PATCHES
from lit_metanas.tasks.splits import digests
from lit_metanas.tasks.task import Task

# Images whose pixels are looked at before they are read.
FEW = 20

# Images whose shorter side has so many pixels or more are also tried at half the size.
SMALLEST_HALVED = 16

# Images a step, by the number of images to learn from that it suits at most; and for more than those.
BATCH_SIZES, LARGEST_BATCH = {1000: 32, 10_000: 64}, 128

# Pixels to either side that are compared: enough to tell scenes apart, too few to see how a file was compressed.
SIDE = 16

# The least correlation of near copies.
# Copies of 150 photographs at half the size, of JPEG's quality 30, or brighter by 30 % had 0.981 or more in 98 of 100
# cases. Among the 480 nearest pairs of two other sets none had 0.97.
ALIKE = 0.98

# Images that are reduced at once, and pairs that are compared at once: both bound the memory.
COMPARED_AT_ONCE, PAIRS_AT_ONCE = 1024, 1 << 24

# So many pairs take a few seconds. If there are more, some of the images to test stand for all of them.
MOST_PAIRS = 1 << 27

# Convolutions of 32, 64, 128 and 128 channels, each with max-pooling.
CONV_NET: Mapping[str, str] = {
    "stem": "conv", "block": "conv", "stages": "4", "depth": "1", "width": "32", "growth": "2_to_4", "down": "max",
    "norm": "batch", "activation": "ReLU", "readout": "flat", "dropout": "0",
}  # fmt: skip
# ResNet-10 of width 16.
RES_NET: Mapping[str, str] = {
    "stem": "conv", "block": "residual", "stages": "4", "depth": "1", "width": "16", "growth": "2", "down": "stride",
    "norm": "batch", "activation": "ReLU", "readout": "average", "dropout": "0", "branch_dropout": "0",
}  # fmt: skip
# Networks of different structure. Those that did best in one or two minutes, on photographs and signs, come first.
IMAGE_NETWORKS: tuple[Mapping[str, str], ...] = (
    CONV_NET,
    {**RES_NET, "stem": "conv_2", "width": "32"},
    {**CONV_NET, "depth": "2"},  # as VGG
    RES_NET,
    {**CONV_NET, "width": "16", "down": "avg", "readout": "average"},
    {**CONV_NET, "stages": "3", "width": "64", "growth": "2"},
    {**RES_NET, "block": "convnext", "stem": "patch_2", "stages": "3", "width": "48", "activation": "GELU"},
    {**RES_NET, "block": "inverted", "stem": "conv_2", "depth": "2", "width": "24", "growth": "1.5", "expansion": "4",
     "squeeze": "none", "activation": "SiLU"},
    {**CONV_NET, "width": "16"},
    {**RES_NET, "stem": "patch_2", "stages": "3", "width": "48", "norm": "group", "activation": "SiLU"},
)  # fmt: skip


class ImageKind(Kind):
    """Images in a folder for each class, or in memory."""

    name = "images"
    noun = "images"
    class_files = SUFFIXES
    read_files = SUFFIXES
    first: ClassVar = IMAGE_NETWORKS
    recipe: ClassVar = {
        "learning_rate": 1e-2,
        "weight_decay": 0.05,
        "label_smoothing": 0.1,
        "warmup": 0.1,
        "augmentation": "light",
        "optimizer": "muon",
    }
    searched: ClassVar = {"weight_decay": [0.05, 0.01, 0.2]}
    linear_space = PatchSpace
    features: ClassVar = dict.fromkeys(map(str, DRAWN_PATCHES), "likeness to patches")
    averages_linear = True
    most_linear = 1000  # with 3,000 photographs, the seconds are worth more to the network
    mirrors = True
    converts = True
    own_options = ("shape",)
    member_epochs = 150
    # Eight networks on two sets of photographs were trained for a moment, and for 4, 8 and 16 times as long. The share
    # of the errors that was left at the end went with the epochs of the moment to powers of 0.27, 0.43 and 0.66, which
    # are 0.19 to 0.24 times the logarithms of 4, 8 and 16.
    halving: ClassVar = {"power": 0.5, "head_start": 0.2}

    def claims(self, path: Path, group: str | None) -> bool:
        """A table that names images, alone or beside them; others lie in class folders."""
        return table_of_files(path, SUFFIXES) is not None

    def holds(self, task: Task) -> bool:
        """By the shape of its inputs."""
        return isinstance(task.shape, ImageShape)

    def read(self, source: Source) -> Task:
        """Of class folders, or of a table; grey images are read with one channel."""
        shape, reading = source.prepared, source.reading or FileReading()
        if source.side is not None and shape is None:
            shape = ImageShape(3, source.side, source.side)
        if shape is not None:
            shape = checked_shape("images", shape)
        listed = _in_table if table_of_files(source.path, SUFFIXES) is not None else _in_folders
        path = source.path.resolve()
        task = task_of_files(
            path.name if path.is_dir() else path.stem,
            listed(source, source.path),
            None if source.test is None else listed(source, source.test),
            partial(read_image, shape=shape or USUAL_IMAGE),
            self.noun,
            shares=(None, 0.2, 0.2),  # as those of FolderTask
            least=source.least,
            targets=source.targets,
            reading=reading,
        )
        colours = [part.inputs for part in (task.train, task.val, task.test) if part is not None]
        if source.prepared is not None or not all(torch.equal(own[:, :-1], own[:, 1:]) for own in colours):
            return task
        whole = reading.memory.empty(sum(map(len, colours)), 1, *colours[0].shape[2:], dtype=torch.uint8)
        greys = iter(whole.split([len(own) for own in colours]))  # one behind the other, in the order of the parts
        return task.with_inputs(lambda own: next(greys).copy_(own[:, :1]))

    def usual_recipe(self, task: Task) -> dict[str, RecipeValue]:
        """That of the kind; small data have small batches, so that an epoch has enough steps."""
        size = next((size for most, size in BATCH_SIZES.items() if len(task.train) < most), LARGEST_BATCH)
        return {**super().usual_recipe(task), "batch_size": size}

    def preprocessings(self, task: Task, source: Source | None) -> Prepared:
        """Shapes: the usual one, twice and half the size, and grey."""
        usual = task.shape
        assert isinstance(usual, ImageShape)
        channels, height, width = usual
        found = [usual]
        if source is not None and _side(source) >= 1.5 * min(height, width):
            found.append(ImageShape(channels, 2 * height, 2 * width))
        if min(height, width) >= SMALLEST_HALVED:
            found.append(ImageShape(channels, -(-height // 2), -(-width // 2)))
        if channels == 3:
            found.append(ImageShape(1, height, width))
        colours = {1: "grey", 3: "colour"}
        return {
            f"{colours.get(one.channels, f'{one.channels} channels')} {one.height}x{one.width}": one for one in found
        }

    def convert(self, task: Task, prepared: ImageShape) -> Task:
        """The same images, as prediction brings them to a shape."""
        return task.with_inputs(lambda inputs: fit_images(inputs, prepared).to(as_floats(inputs[:0]).dtype))

    def resized(self, task: Task, side: int) -> Task:
        """As prediction brings images to a shape."""
        assert isinstance(task.shape, ImageShape)
        return self.convert(task, task.shape._replace(height=side, width=side))

    def caveats(self, task: Task) -> list[str]:
        """On near copies in the test part."""
        return describe_near_copies(task)

    def describe(self, task: Task) -> str:
        """The pixels that a network sees."""
        _, height, width = task.train.inputs.shape[1:]
        return f", {height}x{width} pixels"

    def describe_columns(self, source: Source) -> str:
        """The pixels that the files have."""
        side = _side(source)
        return f" The shorter side of the files has about {side} pixels." * bool(side)

    def as_before(self, made: MadeBefore, place: str) -> ImageShape | None:
        """The shape of the images."""
        if isinstance(made.shape, ImageShape):
            return made.shape
        return None


def _in_folders(source: Source, path: Path) -> ListedFiles:
    return ListedFiles.of_folders(path, SUFFIXES, "images", source.group)


def _in_table(source: Source, path: Path) -> ListedFiles:
    """The images of a table, or of the only table in a folder."""
    table = table_of_files(path, SUFFIXES)
    if table is None:
        raise ValueError(f"'{writable(str(path))}' has no table that names images: give one, as the other part has.")
    return ListedFiles.of_table(
        table,
        SUFFIXES,
        "images",
        folder=table.parent,
        label=source.label,
        group=source.group,
        targets=source.targets,
    )


def _side(source: Source) -> int:
    """Pixels of the shorter side of images: the median of the first one of each class, or of a few; 0 without."""
    if table_of_files(source.path, SUFFIXES) is not None:
        firsts = [_in_table(source, source.path).files[:FEW]]
    else:
        firsts = [files_in(folder, SUFFIXES, source.group is not None)[:1] for folder in folders_in(source.path)]
    sides = sorted(shorter_side(file) for files in firsts for file in files)
    return sides[len(sides) // 2] if sides else 0


def near_copies(images: Tensor, others: Tensor) -> Tensor:
    """Whether each image is nearly the same as one of others, shape ``(n,)``."""
    # Two images are, if their grey values as `SIDE` x `SIDE` pixels correlate by `ALIKE` or more. Images of a single
    # colour are like no other.
    known = torch.cat([_normalised(part) for part in others.split(COMPARED_AT_ONCE)])
    at_once = max(1, min(COMPARED_AT_ONCE, PAIRS_AT_ONCE // max(1, len(known))))
    return torch.cat([(_normalised(part) @ known.T).amax(1) >= ALIKE for part in images.split(at_once)])


def describe_near_copies(task: Task) -> list[str]:
    """A sentence on test images that are near copies of some that are learned from, apart from equal ones, if any."""
    learned = [part.inputs for part in (task.train, task.val) if part is not None]
    test, place = task.test.spread(max(1, MOST_PAIRS // sum(map(len, learned)))), f"'{printable(task.id, 40)}'"
    found = torch.stack([near_copies(test.inputs, part) for part in learned]).any(0)
    if not bool(found.any()):
        return []
    equal = {own for part in learned for own in digests(part)}
    if not (number := sum(own not in equal for own in digests(test.inputs[found]))):
        return []
    compared = " that were compared" * (len(test) < len(task.test))
    return [
        f"{place}: {number:,} of the {len(test):,} images to test{compared} are nearly the same as one "
        "that is learned from, so the score may be too good; remove copies, or keep series together by 'group'."
    ]


def _normalised(images: Tensor) -> Tensor:
    """The grey values of small images without mean, of length 1, shape ``(n, SIDE * SIDE)``; zeros of a flat one."""
    small = F.adaptive_avg_pool2d(images.float().mean(1, keepdim=True), SIDE).flatten(1)
    centred = small - small.mean(1, keepdim=True)
    lengths = centred.norm(dim=1, keepdim=True)
    flat = lengths <= 1e-3 * small.norm(dim=1, keepdim=True)
    return torch.where(flat, 0.0, centred / lengths)
