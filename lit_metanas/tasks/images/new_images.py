"""New images to classify, without labels."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from lit_metanas.io.text import writable
from lit_metanas.tasks.images.image_files import image_files


class NewImages(LightningDataModule):
    """Image files in batches of paths: the model knows the shape to read them in.

    Args:
        images: an image file; a folder, whose images and those of its sub-folders are taken; or several of these.
        batch_size: images a batch.

    Attributes:
        files: the image files, in the order in which they are classified.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no image among them, or ``batch_size`` is below 1.

    Example:
        >>> from PIL import Image
        >>> from lit_metanas import NewImages
        >>> Image.new("L", (28, 28)).save("letter.png")
        >>> NewImages("letter.png").files
        [PosixPath('letter.png')]
    """

    def __init__(self, images: str | list[str], batch_size: int = 64) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"NewImages: batch_size = {batch_size} must be at least 1.")
        paths = [Path(path) for path in ([images] if isinstance(images, str) else images)]
        self.files = [file for path in paths for file in _files(path)]
        if not self.files:
            named = " and ".join(f"'{writable(str(path))}'" for path in paths) or "an empty list"
            raise ValueError(f"There is no image in {named}: give image files, or folders with images.")
        self.batch_size = batch_size

    def predict_dataloader(self) -> DataLoader[list[Path]]:
        """Return a loader of lists of paths."""
        batches = [self.files[start : start + self.batch_size] for start in range(0, len(self.files), self.batch_size)]
        return DataLoader(_Batches(batches), batch_size=None)


def _files(path: Path) -> list[Path]:
    """A file itself, or the image files of a folder and its sub-folders, but hidden ones.

    Raises:
        FileNotFoundError: there is neither.
    """
    if path.is_dir():
        inner = sorted(entry for entry in path.rglob("*") if entry.is_dir())
        shown = [entry for entry in inner if not any(part.startswith(".") for part in entry.relative_to(path).parts)]
        folders = [path, *shown]
        return [file for folder in folders for file in image_files(folder)]
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file or folder '{writable(str(path))}': give images, or a folder with some."
        )
    return [path]


class _Batches(Dataset[list[Path]]):
    def __init__(self, batches: list[list[Path]]) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> list[Path]:
        return self.batches[index]

    def __len__(self) -> int:
        return len(self.batches)
