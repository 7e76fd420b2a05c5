"""The weight-sharing network of the layered space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lit_metanas.inputs.shapes import Shape, image_shape
from lit_metanas.spaces.architecture import Choice
from lit_metanas.spaces.layered.layered_child import pool_of, sizes
from lit_metanas.spaces.mixture import Gate, Mixture
from lit_metanas.spaces.operations import (
    ACTIVATIONS,
    INCREASING,
    ROUNDINGS,
    activate_in_place,
    affine,
    as_channels_last,
    batch_normalise,
    combine,
    dropout_scale,
    layer_normalise,
    leading_part,
    merged_kernel,
    random_kernel,
    through,
)
from lit_metanas.spaces.supernet import Record, Statistics, Supernet

Mix = Literal["merged", "normalised"]

_ALONE = Gate(torch.ones(1), 0)
"""Of a choice that the space lacks."""


class SuperBlock(nn.Module):
    """All candidates of one block."""

    def __init__(self, choices: Mapping[str, Choice], *, key: str, channels: int, mix: Mix) -> None:
        super().__init__()
        self.choices = dict(choices)
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
        self.pools = {up: [pool_of(label, up=up) for label in choices["pool"].labels] for up in (False, True)}
        self.rates = [float(label) for label in choices["dropout"].labels]

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None,
        statistics: Statistics,
        record: Record,
        pooled: bool,
        up: bool,
    ) -> Tensor:
        """Shape ``(n, channels, height, width)`` to ``(n, width, height / 2, width / 2)``."""
        gate = {group: mixture[choice.name] for group, choice in self.choices.items()}
        outputs = self._convolve(inputs, gate, statistics, record)
        if self.residual:
            outputs = self._add_residual(outputs, inputs, gate, statistics, record)
        outputs = self._activate(outputs, gate, self.pools[up] if pooled else [])
        mask = self._width_mask(gate["width"])
        factor = None if mask is None else mask[None]
        if noise is not None and max(self.rates) > 0:
            uniform = noise[f"{self.key}.dropout"][:, : outputs.shape[1]]
            scale = dropout_scale(gate["dropout"], self.rates, uniform, outputs.dtype)
            factor = scale if factor is None else factor * scale
        return outputs if factor is None else outputs * factor[:, :, None, None]

    def _activate(self, inputs: Tensor, gate: Mapping[str, Gate], pools: Sequence[nn.Module]) -> Tensor:
        """Activation and pooling, if there are ``pools``, a candidate each."""
        activation, pool = gate["activation"], gate["pool"]
        if pools and activation.index is not None and pool.index is not None:
            label = self.choices["activation"].labels[activation.index]
            if label in INCREASING and self.choices["pool"].labels[pool.index] == "max":
                # The maximum of the values is the value of the maximum: a quarter of the activations.
                maxima = pools[pool.index](inputs)
                return through(pool, through(activation, self.activations[activation.index](maxima)))
        if activation.index is not None:
            outputs = through(activation, activate_in_place(self.activations[activation.index], inputs))
        else:
            outputs = combine(activation, [partial(activate, inputs) for activate in self.activations])
        return combine(pool, [partial(reduce, outputs) for reduce in pools]) if pools else outputs

    def flops(self, mixture: Mixture, *, channels: int, pixels: int) -> tuple[int, int]:
        """Multiply-adds of the block for one input, and its number of computed output channels."""
        kernel, skip = (mixture[self.choices[group].name] for group in ("kernel", "skip"))
        out = self._computed_width(mixture[self.choices["width"].name])
        taps = [int(label) ** 2 for label in self.choices["kernel"].labels]
        together = max(taps) if self.mix == "merged" else sum(taps)
        total = together if kernel.index is None else taps[kernel.index]
        if self.residual and (skip.index is None or self.choices["skip"].labels[skip.index] == "residual"):
            total += 1
        return total * pixels * channels * out, out

    def _computed_width(self, gate: Gate) -> int:
        return self.width if gate.index is None else self.widths[gate.index]

    def _convolve(self, inputs: Tensor, gate: Mapping[str, Gate], statistics: Statistics, record: Record) -> Tensor:
        out, into = self._computed_width(gate["width"]), inputs.shape[1]
        # By label: ParameterDict sorts its keys.
        kernels = [leading_part(self.kernels[label], out, into) for label in self.choices["kernel"].labels]
        normalise = partial(
            self._normalise,
            leading_part(self.scale, out),
            leading_part(self.shift, out),
            gate=gate,
            statistics=statistics,
            record=record,
        )
        kernel_gate = gate["kernel"]
        if kernel_gate.index is not None:
            # The gate follows the normalisation, which would cancel it.
            return through(kernel_gate, normalise(_convolve(inputs, kernels[kernel_gate.index]), key=self.key))
        if self.mix == "merged":
            return normalise(_convolve(inputs, merged_kernel(kernel_gate, kernels)), key=self.key)

        def candidate(label: str, kernel: Tensor) -> Tensor:
            return normalise(_convolve(inputs, kernel), key=f"{self.key}.{label}")

        labelled = zip(self.choices["kernel"].labels, kernels, strict=True)
        return combine(kernel_gate, [partial(candidate, label, kernel) for label, kernel in labelled])

    def _add_residual(
        self,
        outputs: Tensor,
        inputs: Tensor,
        gate: Mapping[str, Gate],
        statistics: Statistics,
        record: Record,
    ) -> Tensor:
        out = outputs.shape[1]

        def residual() -> Tensor:
            projected = _convolve(inputs, leading_part(self.projection, out, inputs.shape[1]))
            return outputs + self._normalise(
                leading_part(self.skip["scale"], out),
                leading_part(self.skip["shift"], out),
                projected,
                key=f"{self.key}.skip",
                gate=gate,
                statistics=statistics,
                record=record,
            )

        by_label: dict[str, Callable[[], Tensor]] = {"none": lambda: outputs, "residual": residual}
        return combine(gate["skip"], [by_label[label] for label in self.choices["skip"].labels])

    def _normalise(
        self,
        scale: Tensor,
        shift: Tensor,
        inputs: Tensor,
        *,
        key: str,
        gate: Mapping[str, Gate],
        statistics: Statistics,
        record: Record,
    ) -> Tensor:
        width = gate["width"]
        by_label: dict[str, Callable[[], Tensor]] = {
            "batch": partial(batch_normalise, inputs, scale, shift, key=key, statistics=statistics, record=record),
            "layer": partial(layer_normalise, inputs, scale, shift, self._width_mask(width)),
            "none": partial(affine, inputs, scale, shift),
        }
        return combine(gate["norm"], [by_label[label] for label in self.choices["norm"].labels])

    def _width_mask(self, gate: Gate) -> Tensor | None:
        """Weight of each computed channel, shape ``(channels,)``; None where all are one."""
        if len(self.widths) == 1:
            return None
        if gate.index is not None:
            weight = gate.weights[gate.index]
            return weight.expand(self.widths[gate.index]) if weight.requires_grad else None
        channel = torch.arange(self.width, device=gate.weights.device)
        masks = torch.stack([(channel < width).to(gate.weights.dtype) for width in self.widths])
        return gate.weights @ masks


class LayeredSupernet(Supernet):
    """All blocks; the features are what is read after the chosen depth, padded to the largest number."""

    def __init__(
        self,
        *,
        shape: Shape,
        depth: Choice,
        blocks: Sequence[Mapping[str, Choice]],
        mix: Mix,
        readout: Choice | None = None,
        rounding: Choice | None = None,
    ) -> None:
        super().__init__()
        self.shape = image_shape(shape)
        self.depth = depth
        self.readout = readout
        self.rounding = rounding or Choice("rounding", ROUNDINGS[:1], "rounding")
        self.layers = nn.ModuleList()
        channels = shape[0]
        for place, choices in enumerate(blocks):
            layer = SuperBlock(choices, key=f"layers.{place}", channels=channels, mix=mix)
            self.layers.append(layer)
            channels = layer.width
        self.sizes = {
            label: sizes(self.shape.height, self.shape.width, len(self.layers), up=label == "up")
            for label in self.rounding.labels
        }
        self.depths = [int(label) for label in depth.labels]
        flat = readout is not None and "flat" in readout.labels
        self.features = max(
            self._layers()[depth - 1].width * (places[depth][0] * places[depth][1] if flat else 1)
            for depth in self.depths
            for places in self.sizes.values()
        )

    def forward(
        self,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None = None,
        statistics: Statistics = None,
        record: Record = None,
    ) -> Tensor:
        """Embed inputs: see ``Supernet.forward``."""
        if inputs.shape[1] == 1 and self._channels_last():
            inputs = as_channels_last(inputs)
        gate = mixture.get(self.rounding.name, _ALONE)
        if gate.index is not None:
            label = self.rounding.labels[gate.index]
            return through(gate, self._embed(label, inputs, mixture, noise, statistics, record))

        def embed(label: str) -> Tensor:
            # Maps of other sizes have other means and variances.
            known = None if statistics is None else _within(statistics, f"{label}.")
            found: Record = None if record is None else {}
            features = self._embed(label, inputs, mixture, noise, known, found)
            if record is not None and found is not None:
                record.update({f"{label}.{name}": value for name, value in found.items()})
            return features

        return combine(gate, [partial(embed, label) for label in self.rounding.labels])

    def _embed(
        self,
        rounding: str,
        inputs: Tensor,
        mixture: Mixture,
        noise: Mapping[str, Tensor] | None,
        statistics: Statistics,
        record: Record,
    ) -> Tensor:
        """The features where pooling rounds as it is told."""
        gate, places = mixture[self.depth.name], self.sizes[rounding]
        wanted = set(self.depths) if gate.index is None else {self.depths[gate.index]}
        read: dict[int, Tensor] = {}
        for depth, layer in enumerate(self.layers[: max(wanted)], start=1):
            pooled = places[depth - 1] != places[depth]
            inputs = layer(inputs, mixture, noise, statistics, record, pooled, rounding == "up")
            if depth in wanted:
                read[depth] = self._read(inputs, mixture)
        return combine(gate, [partial(read.__getitem__, depth) for depth in self.depths])

    def _read(self, inputs: Tensor, mixture: Mixture) -> Tensor:
        """The features of a last map, shape ``(n, features)``."""
        by_label: dict[str, Callable[[], Tensor]] = {
            "average": lambda: self._padded(inputs.mean((2, 3))),
            "flat": lambda: self._padded(inputs.flatten(1)),
        }
        if self.readout is None:
            return by_label["average"]()
        return combine(mixture[self.readout.name], [by_label[label] for label in self.readout.labels])

    def _padded(self, features: Tensor) -> Tensor:
        return F.pad(features, (0, self.features - features.shape[1]))

    def draw_noise(self, examples: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Uniform numbers of shape ``(examples, width)`` for each block that may drop channels."""
        return {
            f"{layer.key}.dropout": torch.rand(examples, layer.width, generator=generator).to(layer.scale.device)
            for layer in self._layers()
            if max(layer.rates) > 0
        }

    def flops(self, mixture: Mixture) -> int:
        """Forward multiply-adds that one input costs under ``mixture``."""
        gate, rounding = mixture[self.depth.name], mixture.get(self.rounding.name, _ALONE)
        deepest = max(self.depths) if gate.index is None else self.depths[gate.index]
        labels = self.rounding.labels if rounding.index is None else [self.rounding.labels[rounding.index]]
        total = 0
        for label in labels:
            channels = self.shape.channels
            for layer, (height, width) in zip(self._layers()[:deepest], self.sizes[label], strict=False):
                cost, channels = layer.flops(mixture, channels=channels, pixels=height * width)
                total += cost
        return total

    def _channels_last(self) -> bool:
        kernel = next(iter(self._layers()[-1].kernels.values()))
        return kernel.shape[1] == 1 or kernel.stride(1) == 1

    def _layers(self) -> list[SuperBlock]:
        return [layer for layer in self.layers if isinstance(layer, SuperBlock)]


def _convolve(inputs: Tensor, kernel: Tensor) -> Tensor:
    return F.conv2d(inputs, kernel, padding=kernel.shape[-1] // 2)


def _within(statistics: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in statistics.items() if name.startswith(prefix)}
