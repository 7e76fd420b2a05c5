"""Images: tasks of them, and sources to draw from."""

from lit_metanas.kinds.images.array_tasks import ArraySource, task_from_arrays
from lit_metanas.kinds.images.dataset_tasks import DatasetSource, task_from_dataset
from lit_metanas.kinds.images.folders import FolderTask, ImageFolder
from lit_metanas.kinds.images.glyphs import Glyphs
from lit_metanas.kinds.images.image_files import ImageAugmentation
from lit_metanas.kinds.images.omniglot import Omniglot

__all__ = [
    "ArraySource",
    "DatasetSource",
    "FolderTask",
    "Glyphs",
    "ImageAugmentation",
    "ImageFolder",
    "Omniglot",
    "task_from_arrays",
    "task_from_dataset",
]
