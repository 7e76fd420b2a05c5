"""Folders of images as a target task or a task source; the latter also takes images in an .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.class_folders import class_folders
from lit_metanas.kinds.images.array_tasks import images_by_class
from lit_metanas.kinds.images.image_files import (
    SUFFIXES,
    checked_shape,
    fit_images,
    image_tensor,
    read_image,
    read_images,
)
from lit_metanas.kinds.listed_files import ListedFiles, task_of_files
from lit_metanas.kinds.source_bases import ClassExamples
from lit_metanas.tasks.source import TaskSource
from lit_metanas.tasks.splits import check_shares
from lit_metanas.tasks.task import SingleTask, Task


class FolderTask(SingleTask):
    """One's own images, a sub-folder per class, as a collection of a single task, ``FolderTask("photos")[0]``.

    Args:
        root: the folder; each sub-folder is a class.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour. None takes
            that of the meta-trained checkpoint which a search starts from, or else ``(3, 32, 32)``.
        train: share of each class's images to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: of the random split, at least 0.
        test_root: a folder of the images to report accuracy on, arranged as ``root`` is, in place of some of ``root``.
        skip_unreadable: whether unreadable files are left out, with a warning, or refused.
        group: which images belong together, and so into one part: ``folder`` takes those in one sub-folder of a class's
            folder (``class/group/file``); a regular expression with one bracket, such as ``(patient[0-9]+)_``, those in
            whose path within the class's folder the bracket finds the same.
        min_per_class: classes with fewer images are left out, with a warning. None refuses too small ones.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are too few classes, images or groups, an image is unreadable or of no group, the test folder
            has a class of its own, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as photos:
        ...     for name, grey in (("bright", 200), ("dark", 20)):
        ...         (Path(photos) / name).mkdir()
        ...         for number in range(5):
        ...             Image.new("L", (40, 30), grey).save(Path(photos) / name / f"{number}.png")
        ...     task = lm.FolderTask(photos)[0]
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('bright', 'dark'), ImageShape(channels=3, height=32, width=32), 6, 2, 2)
    """

    kept = False

    def __init__(
        self,
        root: str,
        shape: tuple[int, int, int] | None = None,
        train: float = 0.6,
        val: float = 0.2,
        test: float = 0.2,
        seed: int = 0,
        test_root: str | None = None,
        skip_unreadable: bool = True,
        group: str | None = None,
        min_per_class: int | None = None,
    ) -> None:
        self._shape = shape and checked_shape("FolderTask", shape)
        check_shares("FolderTask", train=train, val=val, test=test, seed=seed)
        self.root = Path(root)
        self._listing = ListedFiles.of_folders(self.root, SUFFIXES, "images", group)
        self._options: dict[str, Any] = {
            "tested": None,
            "shares": (train, val, test),
            "seed": seed,
            "least": min_per_class,
            "skip_unreadable": skip_unreadable,
        }
        if test_root is not None:
            self._options["tested"] = ListedFiles.of_folders(Path(test_root), SUFFIXES, "images", group)

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape that images are brought to."""
        return self._shape or (3, 32, 32)

    def bring_to(self, shape: Shape) -> None:
        """Take another shape unless one was asked for.

        Raises:
            ValueError: it is not that of an image.
        """
        if self._shape is None:
            self._shape = image_shape(shape)

    def make(self) -> Task:
        """Read the images and split them."""
        return task_of_files(
            self.root.resolve().name,
            self._listing,
            read=partial(read_image, shape=self.shape),
            noun="images",
            **self._options,
        ).with_inputs(as_floats)


class ImageFolder(ClassExamples, TaskSource):
    """Images of any size, grey or colour, resized; the classes are split as given, or at random by a seed.

    Args:
        root: the folder; each sub-folder is a class. Or an ``.npz`` file with the arrays ``images``, of any shape that
            ``ArraySource`` takes, ``labels`` (or ``label``), one an image, and perhaps ``class_names``.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: images or classes are missing, or an argument is out of its range.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> with TemporaryDirectory() as photos:
        ...     for name in ("ant", "bee", "cat", "dog"):
        ...         (Path(photos) / name).mkdir()
        ...         Image.new("L", (40, 30)).save(Path(photos) / name / "0.png")
        ...     source = lm.kinds.ImageFolder(photos, train=["ant", "bee"], test=["cat", "dog"])
        >>> source.classes("test"), source.shape
        (('cat', 'dog'), (3, 32, 32))
    """

    def __init__(
        self,
        root: str,
        shape: tuple[int, int, int] = (3, 32, 32),
        train: list[str] | None = None,
        val: list[str] | None = None,
        test: list[str] | None = None,
        fractions: tuple[float, float, float] = (0.64, 0.16, 0.2),
        seed: int = 0,
    ) -> None:
        self._shape = checked_shape("ImageFolder", shape)
        path = self.root = Path(root)
        name, noun = path.resolve().name, "class folder"
        members: Mapping[str, Tensor | list[Path]]
        if path.suffix == ".npz" and path.is_file():
            name, noun = path.stem, "class"
            members = _stored_images(path, self._shape)
        else:
            members = class_folders(path, SUFFIXES, "images")
        super().__init__(
            name,
            members,
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            place=str(path),
            noun=noun,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image: ``(channels, height, width)``."""
        return self._shape

    def _read_class(self, name: str) -> Tensor:
        if isinstance(self._members[name], Tensor):
            return super()._read_class(name)
        return read_images(self._members[name], self.shape)


def _stored_images(file: Path, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """The images in an ``.npz`` file by class, each uint8 of shape ``(n, *shape)``."""
    fix = "give an .npz file with the arrays 'images' and 'labels', and perhaps 'class_names'"
    arrays = read_npz(file, fix)
    labels = arrays.get("labels", arrays.get("label"))
    if labels is None or "images" not in arrays:
        raise ValueError(f"'{file}' has the arrays {', '.join(map(repr, arrays))}: {fix}.")
    names: list[str] | None = None
    if "class_names" in arrays:
        texts = arrays["class_names"].reshape(-1).tolist()
        names = [text.decode("utf-8", "replace") if isinstance(text, bytes) else text for text in texts]
    try:
        members = images_by_class(image_tensor(arrays["images"]), labels, names)
    except ValueError as error:
        raise ValueError(
            f"'{file}' cannot be read, where X stands for its images and y for its labels: {error}"
        ) from None
    return {name: fit_images(images, shape).mul(255).round().byte() for name, images in members.items()}
