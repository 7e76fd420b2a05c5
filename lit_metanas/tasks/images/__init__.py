"""Task sources of images."""

from lit_metanas.tasks.images.folders import FolderTask, ImageFolder
from lit_metanas.tasks.images.glyph_faces import Distortion
from lit_metanas.tasks.images.glyphs import Glyphs
from lit_metanas.tasks.images.omniglot import Omniglot

__all__ = ["Distortion", "FolderTask", "Glyphs", "ImageFolder", "Omniglot"]
