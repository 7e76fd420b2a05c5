"""A source whose images say what they are."""

from collections.abc import Sequence

import torch
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


def decode(inputs: Tensor) -> list[tuple[int, ...]]:
    """Read (class, instance, held out) off images."""
    return [tuple(code) for code in (inputs[:, :, 0, 0] * 255).round().int().tolist()]
