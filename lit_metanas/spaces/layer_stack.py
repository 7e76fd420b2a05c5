"""Networks of layers in a row, of which the first few are computed, and their layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from lit_metanas.spaces.builder import Builder
from lit_metanas.spaces.mixed_layers import CountedFlops


@dataclass(frozen=True, kw_only=True)
class StackLayout:
    """The open questions of a network of layers in a row."""

    questions: Mapping[str, tuple[str, ...]]  # labels of what each layer asks for
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    shared: bool  # whether all layers have the same labels


class LayerStack(nn.Module):
    """Layers under their places from 1 on, of which the first few are computed, as the choice ``depth`` says."""

    layers: nn.ModuleDict

    def __init__(self, build: Builder, layout: StackLayout) -> None:
        super().__init__()
        self.depth = build.question("depth", layout.depths)
        self.depths = [int(label) for label in self.depth.labels]

    @contextmanager
    def asking(self, build: Builder, layout: StackLayout, place: int) -> Iterator[str]:
        """The prefix of the names of a layer's choices, which are asked for within: they matter if it is computed."""
        with build.where("depth", [str(depth) for depth in layout.depths if depth >= place]):
            yield "" if layout.shared else f"layer{place}."

    def computed_depths(self) -> list[int]:
        """The numbers of layers that are computed: the sampled one, or all."""
        return [int(label) for label in self.depth.computed_labels()]

    def computed_layers(self) -> list[nn.Module]:
        """The layers up to the largest computed depth."""
        return list(self.layers.values())[: max(self.computed_depths())]

    def computed_flops(self, count: CountedFlops) -> int:
        """See ``MixedLayer``."""
        return sum(map(count.computed, self.computed_layers()))
