"""Folders of images as a target task or a task source; the latter also takes images in an .npz file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from torch import Tensor

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.io.arrays import read_npz
from lit_metanas.io.class_folders import class_folders, file_groups, left_out, read_classes
from lit_metanas.io.text import writable
from lit_metanas.kinds.images.array_tasks import ArraySource, ClassImages
from lit_metanas.kinds.images.image_files import SUFFIXES, has_colour, read_image, read_images, require_shape
from lit_metanas.kinds.images.torchvision_source import resizing
from lit_metanas.kinds.labelled_examples import task_of_classes
from lit_metanas.tasks.splits import by_class, check_shares, large_classes, tell_shared_groups
from lit_metanas.tasks.task import SingleTask, Task, warn_of_data


class FolderTask(SingleTask):
    """One's own images, a sub-folder per class, as a collection of a single task. Each class is split by the fractions.

    The task is ``FolderTask("photos")[0]``.

    Args:
        root: the folder; each sub-folder is a class.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour. None takes
            colour and 32x32 pixels; a search that starts from a meta-trained checkpoint takes that one's shape.
        train: share of each class's images to learn from.
        val: share to choose architectures by; 0 leaves the task without a validation part.
        test: share to report accuracy on.
        seed: seed of the random split, at least 0.
        test_root: a folder of the images to report accuracy on, with a sub-folder for each class as in ``root``, all of
            whose images are then to learn from and to choose by. None takes some of ``root``.
        skip_unreadable: whether files that are no readable images are left out, with a warning, or refused.
        group: which images belong together, and so into one part: ``folder`` takes those in one sub-folder of a class's
            folder (``class/group/file``), and a regular expression with one bracket, such as ``(patient[0-9]+)_``,
            those in whose path within the class's folder the bracket finds the same.
        min_per_class: classes with fewer images are left out, with a warning. None refuses those that are too small for
            all parts.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder has fewer than two classes, one has too few images, all images are unreadable, or one is
            that is not to be left out, an image is of no group, a class is of one group alone, the folder of test
            images has a class of its own, or the fractions or the seed are out of range.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> import lit_metanas as lm
        >>> with TemporaryDirectory() as photos:
        ...     for name, grey in (("bright", 200), ("dark", 20)):
        ...         (Path(photos) / name).mkdir()
        ...         for number in range(5):
        ...             Image.new("L", (40, 30), grey).save(Path(photos) / name / f"{number}.png")
        ...     task = lm.FolderTask(photos)[0]
        >>> task.classes, task.shape, len(task.train), len(task.val), len(task.test)
        (('bright', 'dark'), ImageShape(channels=3, height=32, width=32), 6, 2, 2)
    """

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
        if shape is not None:
            require_shape("FolderTask", shape)
        check_shares("FolderTask", train=train, val=val, test=test, seed=seed)
        self.root = Path(root)
        self._shape = shape and (shape[0], shape[1], shape[2])
        self.shares = (train, val, test) if test_root is None else (None, val, 0.0)
        self.seed = seed
        self.test_root = None if test_root is None else Path(test_root)
        self.skip_unreadable = skip_unreadable
        self.group = group
        self.min_per_class = min_per_class
        deep = group is not None
        self._files = class_folders(self.root, SUFFIXES, "images", deep)
        self._test_files = {} if self.test_root is None else class_folders(self.test_root, SUFFIXES, "images", deep)
        self._groups = None if group is None else file_groups(self.root, self._files, group)
        if group is not None and self.test_root is not None:
            tested = file_groups(self.test_root, self._test_files, group)
            tell_shared_groups(f"'{self.test_root}'", self._groups, tested)
        if foreign := [name for name in self._test_files if name not in self._files]:
            raise ValueError(f"'{self.test_root}' has a class '{foreign[0]}', which '{self.root}' lacks: leave it out.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape that images are brought to."""
        return self._shape or (3, 32, 32)

    def bring_to(self, shape: Shape) -> None:
        """Take another shape unless one was asked for, and say so where images lose their colour.

        Raises:
            ValueError: it is not that of an image.
        """
        if self._shape is not None:
            return
        shape = self._shape = image_shape(shape)
        if shape[0] == 1 and any(map(_begins_in_colour, self._files.values())):
            warn_of_data(
                f"The colour images in '{self.root}' are made grey, {shape[1]}x{shape[2]}, as the meta-training's were."
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class folders, in the order of their labels."""
        return tuple(self._files)

    def make(self) -> Task:
        """Read the images and split them."""
        images, files = self._read(self._files)
        images = large_classes(images, self.min_per_class, f"'{writable(str(self.root))}'")
        tested = None if self.test_root is None else self._read(self._test_files)[0]
        return task_of_classes(
            self.root.resolve().name,
            images,
            shares=self.shares,
            seed=self.seed,
            culprit=lambda name: str(self.root / name),
            groups=by_class(self._groups, {name: files[name] for name in images}),
            tested=tested,
            tested_in="" if tested is None else f"'{self.test_root}'",
        )

    def _read(self, classes: Mapping[str, Sequence[Path]]) -> tuple[dict[str, Tensor], dict[str, list[Path]]]:
        """The images of each class and their files, and a warning of those that are left out."""
        read = partial(read_image, shape=self.shape)
        images, unreadable = read_classes(classes, read, skip_unreadable=self.skip_unreadable)
        if unreadable:
            warn_of_data(left_out(unreadable, sum(map(len, classes.values())), "images"))
        return images, {name: [file for file in files if file not in unreadable] for name, files in classes.items()}


def _begins_in_colour(files: Sequence[Path]) -> bool:
    """Whether the first readable one of some images has colour."""
    for file in files:
        with suppress(ValueError):
            return has_colour(file)
    return False


class ImageFolder(ClassImages):
    """Images of any size, grey or colour, resized; the classes are split as given, or at random by a seed.

    Args:
        root: the folder; each sub-folder is a class. Or an ``.npz`` file with the arrays ``images``, of any shape that
            ``ArraySource`` takes, ``labels`` (or ``label``), one an image, and perhaps ``class_names``.
        shape: ``(channels, height, width)`` to bring the images to; one channel gives grey, three colour.
        train: names of the meta-training classes; if any of the three lists is given, no class is drawn at random.
        val: names of the meta-validation classes.
        test: names of the meta-test classes.
        fractions: shares of the classes in the three subsets, if no list is given.
        seed: seed of the random split, at least 0.

    Raises:
        FileNotFoundError: there is no such folder or file.
        ValueError: a class folder has no image, the file has other arrays, a named class does not exist or is named
            twice, or the fractions are negative or do not sum to 1, or the seed is negative.

    Example:
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> import lit_metanas as lm
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
        require_shape("ImageFolder", shape)
        path = self.root = Path(root)
        size = shape[0], shape[1], shape[2]
        is_file = path.suffix == ".npz" and path.is_file()
        self._read = _stored_images(path, size) if is_file else {}
        self._files = {} if is_file else class_folders(path, SUFFIXES, "images")
        super().__init__(
            path.resolve().stem if is_file else path.resolve().name,
            size,
            {name: len(each) for name, each in (self._read or self._files).items()},
            {"train": train, "val": val, "test": test},
            fractions=fractions,
            seed=seed,
            place=str(path),
            noun="class" if is_file else "class folder",
        )

    def _images(self, name: str) -> Tensor:
        """The images of a class; a whole folder is read at its first use and kept in memory."""
        if name not in self._read:
            self._read[name] = read_images(self._files[name], self.shape)
        return self._read[name]


def _text(name: object) -> str:
    """A class's name as text, whether it was kept as such or as bytes."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _stored_images(file: Path, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """The images in an ``.npz`` file by class, each uint8 of shape ``(n, *shape)``."""
    fix = "give an .npz file with the arrays 'images' and 'labels', and perhaps 'class_names'"
    arrays = read_npz(file, fix)
    labels = arrays.get("labels", arrays.get("label"))
    if labels is None or "images" not in arrays:
        raise ValueError(f"'{file}' has the arrays {', '.join(map(repr, arrays))}: {fix}.")
    names = arrays.get("class_names")
    try:
        source = ArraySource(
            arrays["images"],
            labels,
            fractions=(1.0, 0.0, 0.0),
            classes=None if names is None else [_text(name) for name in names.reshape(-1).tolist()],
        )
    except ValueError as error:
        raise ValueError(
            f"'{file}' cannot be read, where X stands for its images and y for its labels: {error}"
        ) from None
    bring = resizing(shape)
    members = {
        name: source.inputs("train", place, range(source.instances("train", place)))
        for place, name in enumerate(source.classes("train"))
    }
    return {name: images if images.shape[1:] == shape else bring(images) for name, images in members.items()}
