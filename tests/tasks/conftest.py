"""Small sources that need no rendering."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from lit_metanas.tasks import Subset, TaskSource


class CodedSource(TaskSource):
    """Each image says which class and instance it is, so that a test can read it off."""

    def __init__(self, classes: int = 8, ordinary: int = 12, reserved: int = 0) -> None:
        self.count, self.ordinary, self.reserved = classes, ordinary, reserved

    @property
    def name(self) -> str:
        return "coded"

    @property
    def shape(self) -> tuple[int, int, int]:
        return 3, 2, 2

    def classes(self, subset: Subset) -> tuple[str, ...]:
        return tuple(f"{subset}-{i}" for i in range(self.count))

    def groups(self, subset: Subset) -> tuple[str, ...]:
        return tuple("small" if i < 2 else f"large{i % 2}" for i in range(self.count))

    def instances(self, subset: Subset, class_index: int, held_out: bool = False) -> int:
        return self.reserved if held_out else self.ordinary

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        codes = torch.tensor([[class_index, i, int(held_out)] for i in instances], dtype=torch.uint8).view(-1, 3, 1, 1)
        return codes.expand(-1, 3, 2, 2)


@pytest.fixture
def coded() -> type[CodedSource]:
    return CodedSource


@pytest.fixture
def decode() -> Callable[[Tensor], list[tuple[int, ...]]]:
    """Read (class, instance, held out) off images of a ``CodedSource``."""
    return lambda inputs: [tuple(code) for code in (inputs[:, :, 0, 0] * 255).round().int().tolist()]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Six classes of five images in mixed sizes, modes and formats."""
    generator = np.random.default_rng(0)
    root = tmp_path / "animals"
    for label, name in enumerate(("ant", "bee", "cat", "dog", "eel", "fox")):
        (root / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.full((20 + i, 31, 3), 40 * label, np.uint8) + generator.integers(0, 9, 3).astype(np.uint8)
            image = Image.fromarray(pixels)
            if i == 1:
                image = image.convert("L")
            if i == 2:
                image = image.convert("RGBA")
            image.save(root / name / f"{i}.png")
    return root
