"""The weight-sharing network of the layered space."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import layer_prefix
from lit_metanas.spaces.mixture import (
    ForwardPass,
    Mixture,
    OpenChoice,
    combine,
    current,
    running,
    times,
)
from lit_metanas.spaces.operations import (
    ACTIVATIONS,
    INCREASING,
    activate_in_place,
    affine,
    batch_normalise,
    dropout_scale,
    halve,
    laid_out_like,
    layer_normalise,
    leading_part,
    merged_kernel,
    padded,
    random_kernel,
)
from lit_metanas.spaces.supernet import Supernet

Mix = Literal["merged", "normalised"]

QUESTIONS = ("kernel", "width", "norm", "skip", "activation", "pool", "dropout")
"""The groups of a block's choices."""


def sizes(height: int, width: int, blocks: int, *, up: bool = False) -> list[tuple[int, int]]:
    """Height and width before each block and after the last: halved, perhaps rounded up, while larger than one."""
    result = [(height, width)]
    for _ in range(blocks):
        if min(height, width) > 1:
            height, width = (height + up) // 2, (width + up) // 2
        result.append((height, width))
    return result


class SuperBlock(nn.Module):
    """All candidates of one block: kernels of each size, one scale and shift; narrow ones are the leading channels."""

    def __init__(self, choices: Mapping[str, OpenChoice], *, key: str, channels: int, mix: Mix) -> None:
        super().__init__()
        self.choices = dict(choices)  # by group
        self.key = key
        self.mix = mix
        self.widths = [int(label) for label in choices["width"].labels]
        self.width = max(self.widths)
        self.kernels = nn.ParameterDict(
            {label: random_kernel(self.width, channels, int(label)) for label in choices["kernel"].labels}
        )
        self.scale = nn.Parameter(torch.ones(self.width))
        self.shift = nn.Parameter(torch.zeros(self.width))
        self.residual = "residual" in choices["skip"].labels
        if self.residual:
            self.projection = nn.Parameter(random_kernel(self.width, channels, 1))
            self.skip = nn.ParameterDict(
                {"scale": nn.Parameter(torch.ones(self.width)), "shift": nn.Parameter(torch.zeros(self.width))}
            )
        self.activations = nn.ModuleList(ACTIVATIONS[label]() for label in choices["activation"].labels)
        self.rates = [float(label) for label in choices["dropout"].labels]

    def forward(self, inputs: Tensor, pooled: bool, up: bool) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        outputs = self._convolve(inputs)
        if self.residual:
            outputs = self.choices["skip"].combine(partial(self._skip, inputs, outputs))
        outputs = self._activate(outputs, pooled, up)
        factor, noise = self._width_mask(), current().noise
        if noise is not None and max(self.rates) > 0:
            uniform = noise[f"{self.key}.dropout"][:, : outputs.shape[1]]
            scale = dropout_scale(self.choices["dropout"].gate(), self.rates, uniform, outputs.dtype)
            factor = times(scale, factor)
        if factor is None:
            return outputs
        return outputs * factor[..., None, None]

    def _activate(self, inputs: Tensor, pooled: bool, up: bool) -> Tensor:
        activation, pool = self.choices["activation"].gate(), self.choices["pool"].gate()
        if activation.index is None:
            outputs = combine(activation, list(self.activations), lambda layer: layer(inputs))
        else:
            layer = self.activations[activation.index]
            increasing = self.choices["activation"].labels[activation.index] in INCREASING
            if pooled and increasing and pool.index is not None and self.choices["pool"].labels[pool.index] == "max":
                # The maximum of the values is the value of the maximum: a quarter of the activations.
                return times(times(layer(halve("max", inputs, up=up)), activation.factor()), pool.factor())
            outputs = times(activate_in_place(layer, inputs), activation.factor())
        if not pooled:
            return outputs
        return self.choices["pool"].combine(lambda label: halve(label, outputs, up=up))

    def flops(self, *, channels: int, pixels: int) -> tuple[int, int]:
        """Multiply-adds of the block for one input in this forward pass, and its number of computed channels."""
        out = max(self.choices["width"].gate().computed(self.widths))
        taps = [int(label) ** 2 for label in self.choices["kernel"].computed_labels()]
        total = max(taps) if self.mix == "merged" else sum(taps)
        total += "residual" in self.choices["skip"].computed_labels()
        return total * pixels * channels * out, out

    def _convolve(self, inputs: Tensor) -> Tensor:
        out, into = max(self.choices["width"].gate().computed(self.widths)), inputs.shape[1]
        kernels = self.choices["kernel"]
        gate = kernels.gate()

        def kernel(label: str) -> Tensor:
            return leading_part(self.kernels[label], out, into)

        def candidate(label: str) -> Tensor:
            key = self.key if gate.index is not None else f"{self.key}.{label}"
            return self._normalise(_convolve(inputs, kernel(label)), self.scale, self.shift, key)

        # The gate follows the normalisation, which would cancel it.
        if gate.index is not None or self.mix == "normalised":
            return kernels.combine(candidate)
        outputs = _convolve(inputs, merged_kernel(gate, list(map(kernel, kernels.labels))))
        return self._normalise(outputs, self.scale, self.shift, self.key)

    def _skip(self, inputs: Tensor, outputs: Tensor, label: str) -> Tensor:
        if label == "none":
            return outputs
        projected = _convolve(inputs, leading_part(self.projection, outputs.shape[1], inputs.shape[1]))
        return outputs + self._normalise(projected, self.skip["scale"], self.skip["shift"], f"{self.key}.skip")

    def _normalise(self, inputs: Tensor, scale: Tensor, shift: Tensor, key: str) -> Tensor:
        _, _, statistics, record = current()
        scale, shift = leading_part(scale, inputs.shape[1]), leading_part(shift, inputs.shape[1])

        def normalised(label: str) -> Tensor:
            match label:
                case "batch":
                    return batch_normalise(inputs, scale, shift, key=key, statistics=statistics, record=record)
                case "layer":
                    return layer_normalise(inputs, scale, shift, self._width_mask())
                case _:
                    return affine(inputs, scale, shift)

        return self.choices["norm"].combine(normalised)

    def _width_mask(self) -> Tensor | None:
        # The weight of each computed channel, shape (channels,); None where all are one.
        gate = self.choices["width"].gate()
        if len(self.widths) == 1:
            return None
        if gate.index is None:
            channel = torch.arange(self.width, device=gate.weights.device)
            return gate.weights @ torch.stack([(channel < width).to(gate.weights.dtype) for width in self.widths])
        factor = gate.factor()
        return None if factor is None else factor.expand(self.widths[gate.index])


class LayeredSupernet(Supernet):
    """All blocks; the features are what is read after the chosen depth, padded to the largest number."""

    def __init__(self, shape: Shape, left: Mapping[str, tuple[str, ...]], *, shared: bool, mix: Mix) -> None:
        super().__init__()
        self.shape = image_shape(shape)
        self.depth = OpenChoice(left["depth"], "depth")
        # A space without these choices has one label of each.
        self.readout = OpenChoice(left.get("readout", ("average",)), "readout" * ("readout" in left))
        self.rounding = OpenChoice(left.get("rounding", ("down",)), "rounding" * ("rounding" in left))
        self.depths = [int(label) for label in self.depth.labels]
        self.layers = nn.ModuleList()
        channels = shape[0]
        for place in range(max(self.depths)):
            names = {group: layer_prefix(place + 1, shared) + group for group in QUESTIONS}
            choices = {group: OpenChoice(left[name], name) for group, name in names.items()}
            layer = SuperBlock(choices, key=f"layers.{place}", channels=channels, mix=mix)
            self.layers.append(layer)
            channels = layer.width
        self.sizes = {
            label: sizes(self.shape.height, self.shape.width, len(self.layers), up=label == "up")
            for label in self.rounding.labels
        }
        flat = "flat" in self.readout.labels
        self.features = max(
            self._layers()[depth - 1].width * prod(places[depth] if flat else ())
            for depth in self.depths
            for places in self.sizes.values()
        )

    def _embed(self, inputs: Tensor) -> Tensor:
        inputs = laid_out_like(inputs, next(iter(self._layers()[-1].kernels.values())))
        given = current()
        if self.rounding.gate().index is not None:
            return self.rounding.combine(partial(self._rounded, inputs))

        def embed(label: str) -> Tensor:
            # Maps of other sizes have other means and variances.
            statistics, record = given.statistics, given.record
            prefix = f"{label}."
            if statistics is not None:
                own = (name for name in statistics if name.startswith(prefix))
                statistics = {name.removeprefix(prefix): statistics[name] for name in own}
            found: dict[str, Tensor] = {}
            with running(given._replace(statistics=statistics, record=None if record is None else found)):
                features = self._rounded(inputs, label)
            if record is not None:
                record.update({prefix + name: value for name, value in found.items()})
            return features

        return self.rounding.combine(embed)

    def _rounded(self, inputs: Tensor, rounding: str) -> Tensor:
        places, gate = self.sizes[rounding], self.depth.gate()
        wanted = gate.computed(self.depths)
        read: dict[int, Tensor] = {}
        for depth, layer in enumerate(self.layers[: max(wanted)], start=1):
            inputs = layer(inputs, places[depth - 1] != places[depth], rounding == "up")
            if depth in wanted:
                read[depth] = self.readout.combine(partial(self._read, inputs))
        return combine(gate, self.depths, read.__getitem__)

    def _read(self, inputs: Tensor, label: str) -> Tensor:
        values = inputs.flatten(1) if label == "flat" else inputs.mean((2, 3))
        return padded(values, self.features)

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)`` for each block that may drop channels."""
        return {
            f"{layer.key}.dropout": torch.rand(examples, layer.width, generator=generator).to(layer.scale.device)
            for layer in self._layers()
            if max(layer.rates) > 0
        }

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        total = 0
        with running(ForwardPass(mixture)):
            deepest = max(self.depth.gate().computed(self.depths))
            for label in self.rounding.computed_labels():
                channels = self.shape.channels
                for layer, (height, width) in zip(self._layers()[:deepest], self.sizes[label], strict=False):
                    cost, channels = layer.flops(channels=channels, pixels=height * width)
                    total += cost
        return total

    def _layers(self) -> list[SuperBlock]:
        return [layer for layer in self.layers if isinstance(layer, SuperBlock)]


def _convolve(inputs: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(inputs, kernel, padding=kernel.shape[-1] // 2)
