"""Task sources of images."""

from lit_metanas.tasks.images.folders import FolderTask, ImageFolder
from lit_metanas.tasks.images.glyph_faces import Distortion
from lit_metanas.tasks.images.glyphs import Glyphs
from lit_metanas.tasks.images.image_files import ImageAugmentation
from lit_metanas.tasks.images.omniglot import Omniglot
from lit_metanas.tasks.images.torchvision_source import TorchvisionSource

__all__ = ["Distortion", "FolderTask", "Glyphs", "ImageAugmentation", "ImageFolder", "Omniglot", "TorchvisionSource"]
