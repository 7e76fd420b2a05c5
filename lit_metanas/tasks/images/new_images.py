"""New images to classify, without labels."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset

from lit_metanas.tasks.images.image_files import image_files


class NewImages(LightningDataModule):
    """The image files of a folder and its sub-folders, in batches of paths: the model knows the shape to read them in.

    Args:
        folder: the folder.
        batch_size: images a batch.

    Raises:
        ValueError: ``batch_size`` is below 1.

    Example:
        >>> from lit_metanas import NewImages
        >>> NewImages("new_images", batch_size=32).batch_size
        32
    """

    def __init__(self, folder: str, batch_size: int = 64) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"NewImages: batch_size = {batch_size} must be at least 1.")
        self.folder = Path(folder)
        self.batch_size = batch_size

    def setup(self, stage: str) -> None:
        """Find the images.

        Raises:
            FileNotFoundError: there is no such folder.
            ValueError: it has no images.
        """
        if not self.folder.is_dir():
            raise FileNotFoundError(f"There is no folder '{self.folder}': give a folder with images.")
        folders = [self.folder, *sorted(entry for entry in self.folder.rglob("*") if entry.is_dir())]
        self.files = [file for folder in folders for file in image_files(folder)]
        if not self.files:
            raise ValueError(f"There is no image in '{self.folder}' or its sub-folders: give a folder with images.")

    def predict_dataloader(self) -> DataLoader[list[Path]]:
        """Return a loader of lists of paths."""
        batches = [self.files[start : start + self.batch_size] for start in range(0, len(self.files), self.batch_size)]
        return DataLoader(_Batches(batches), batch_size=None)


class _Batches(Dataset[list[Path]]):
    def __init__(self, batches: list[list[Path]]) -> None:
        self.batches = batches

    def __getitem__(self, index: int) -> list[Path]:
        return self.batches[index]

    def __len__(self) -> int:
        return len(self.batches)
