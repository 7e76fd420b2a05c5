"""A data set in torchvision's manner."""

from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset


class Squares(Dataset):
    """Two parts of grey Pillow images, whose every pixel is ten times the label, one more in the second part."""

    classes = ("none", "ten", "twenty", "thirty")

    def __init__(self, root: str, train: bool = True, transform=None, download: bool = False) -> None:
        if download:
            Path(root).mkdir()
        if not Path(root).is_dir():
            raise RuntimeError("Dataset not found.")
        self.more, self.transform = int(not train), transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int):
        image = Image.new("L", (6, 4), 10 * (index % 4) + self.more)
        return self.transform(image), index % 4
