"""A frozen network that turns inputs into features, and the features that it has computed, kept in a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lit_metanas.inputs.batches import as_floats, blank_inputs, has_steps, step_mask
from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.inputs.shapes import Shape, plain_shape
from lit_metanas.io.arrays import DAMAGED
from lit_metanas.io.checkpoints import finite_tensor, load_plain, write_weights
from lit_metanas.io.files import cache_folder
from lit_metanas.io.settings import tensor_digest
from lit_metanas.io.text import duration, number_of
from lit_metanas.kinds.sounds.log_mel import LogMel
from lit_metanas.spaces.supernet import NetworkCost

UNKNOWN_SOURCE = "unknown: see its source"  # the licence of an encoder of which nobody has said it

ENCODED_AT_ONCE = 64  # examples of a batch

LARGEST_CACHE = 1 << 28  # bytes of the file of an encoder's features, the newest; others are computed again

NAME_BYTES = 16  # of the digest of an example


def multiply_adds(network: nn.Module, shape: Shape) -> int:
    """Those of a network for an input of a shape, as torch counts them; also of an exported program."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(blank_inputs(2, shape))
    return counter.get_total_flops() // 4  # a flop is half of one, and there are two inputs


@dataclass(frozen=True, eq=False)
class Encoder:
    """A frozen pretrained network, cut in front of its classifier.

    Attributes:
        name: what it is called in results.
        network: inputs ``(n, *shape)``, images in [0, 1], to features ``(n, numbers)``; it normalises its inputs.
        shape: of one input.
        about: what it was taken for, and what was assumed, in words.
        preprocessing: makes its inputs of raw examples; None for images.
        license: in words, for model cards.
        numbers: features of an input.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        >>> encoder = lm.training.Encoder("averages", network, lm.ImageShape(3, 8, 8))
        >>> encoder.features(torch.rand(5, 3, 8, 8)).shape, encoder.numbers
        (torch.Size([5, 12]), 12)
    """

    name: str
    network: nn.Module
    shape: Shape
    about: str = ""
    preprocessing: Preprocessing | None = None
    license: str = UNKNOWN_SOURCE
    numbers: int = field(init=False)

    def __post_init__(self) -> None:
        """Freeze the network, and look at its features.

        Raises:
            ValueError: it cannot take such inputs, or gives no vector for each.
        """
        self.network.eval().requires_grad_(False)
        try:
            with torch.no_grad():
                found = self.network(blank_inputs(2, self.shape))
        except Exception as error:  # of many kinds, by the operations of somebody's network
            raise ValueError(
                f"The encoder '{self.name}' cannot take inputs of shape {plain_shape(self.shape)} "
                f"({' '.join(str(error).split())[:160]}): give the 'shape' that it was made for."
            ) from None
        if found.dim() != 2 or len(found) != 2 or not found.is_floating_point():
            raise ValueError(
                f"The encoder '{self.name}' gives {tuple(found.shape)} for two inputs: give a network with a vector of "
                "features for each."
            )
        object.__setattr__(self, "numbers", found.shape[1])

    @cached_property
    def cost(self) -> NetworkCost:
        """Its weights, and its multiply-adds for one input."""
        return NetworkCost(sum(one.numel() for one in self._weights), multiply_adds(self.network, self.shape))

    @property
    def size(self) -> int:
        """Bytes of its weights, some of which may have 8 bits."""
        return sum(one.nbytes for one in self._weights)

    @property
    def _weights(self) -> list[Tensor]:
        # A program that was read has its weights as buffers; whole numbers of 64 bits count batches.
        return [one for one in self.network.state_dict().values() if one.dtype != torch.int64]

    def heard_as(self, heard: Preprocessing | None) -> Encoder:
        """The same for sounds of the length that another preprocessing hears; other encoders as they are."""
        own = self.preprocessing
        if not isinstance(own, LogMel) or not isinstance(heard, LogMel):
            return self
        longer = replace(own, steps=max(own.steps, own.steps_of(round(heard.longest / heard.rate * own.rate))))
        return replace(self, preprocessing=longer, shape=longer.shape)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of data that it is for, by name."""
        if self.preprocessing is None:
            return ("images",)
        return (self.preprocessing.noun,)

    @cached_property
    def digest(self) -> str:
        """Of its weights, of what it is, and of its inputs."""
        made = "" if self.preprocessing is None else self.preprocessing.digest
        what = [self.about, str(self.network), plain_shape(self.shape), made]
        weights = tensor_digest(*self.network.state_dict().values())
        return hashlib.sha256(f"{weights} {what}".encode()).hexdigest()

    def describe(self) -> str:
        """What a model card says of it."""
        weights, flops = self.cost.parameters, self.cost.flops
        about = f", {self.about}," if self.about else ""
        return (
            f"{self.name}{about} with {weights:,} frozen weights, {flops:,} multiply-adds for one input; its licence "
            f"is {self.license}"
        )

    def features(self, inputs: Tensor, *, seconds: float = inf) -> Tensor:
        """Features of inputs, shape ``(n, numbers)``, float32; those of earlier calls are read from the cache folder.

        Args:
            inputs: shape ``(n, *shape)``.
            seconds: the most that it may take, as the first batches promise.

        Raises:
            ValueError: it would take longer, or a feature is not finite.
        """
        raw = np.ascontiguousarray(inputs.cpu().numpy())
        names = [hashlib.sha256(row.data).digest()[:NAME_BYTES] for row in raw]
        known = self._read()
        lacking = [*{name: place for place, name in enumerate(names) if name not in known}.values()]
        if lacking:
            made = self._computed(inputs[torch.tensor(lacking)], seconds)
            if not bool(made.isfinite().all()):
                raise ValueError(f"The encoder '{self.name}' gives features that are not finite: give another one.")
            known |= {names[place]: row for place, row in zip(lacking, made, strict=True)}
            self._write(known)
        return torch.stack([known[name] for name in names]).to(inputs.device)

    @torch.no_grad()
    def _computed(self, inputs: Tensor, seconds: float) -> Tensor:
        """Features of inputs, some at once, on the CPU."""
        found, begin, order = list[Tensor](), perf_counter(), torch.arange(len(inputs))
        if has_steps(inputs):  # the longest last: a network leaves out the steps behind the end of a batch
            order = step_mask(inputs).sum(1).argsort(stable=True).cpu()
            inputs = inputs[order]
        device = next(iter(self.network.state_dict().values()), torch.empty(0)).device
        for part in inputs.split(ENCODED_AT_ONCE):
            found.append(self.network(as_floats(part).to(device)).float().cpu())
            whole = (perf_counter() - begin) * len(inputs) / (len(part) + ENCODED_AT_ONCE * (len(found) - 1))
            if whole > seconds:
                raise ValueError(
                    f"The encoder '{self.name}' takes about {duration(whole)} for the features of "
                    f"{number_of(len(inputs), 'example')}, and has {duration(seconds)}: give more minutes, or for "
                    "images a smaller 'shape'."
                )
        return torch.cat(found)[order.argsort()]

    @property
    def _file(self) -> Path:
        return cache_folder() / "features" / f"{self.digest}.pt"

    def _read(self) -> dict[bytes, Tensor]:
        """The features in the cache by the digests of their examples; a damaged file counts as absent."""
        with suppress(*DAMAGED):
            kept = load_plain(self._file)
            names, features = kept["names"].numpy(), finite_tensor(kept["features"], len(kept["names"]), self.numbers)
            return {name.tobytes(): row for name, row in zip(names, features, strict=True)}
        return {}

    def _write(self, known: Mapping[bytes, Tensor]) -> None:
        """Keep features; a full disk loses no more than the time to compute them again."""
        most = LARGEST_CACHE // (NAME_BYTES + 4 * self.numbers)
        kept = dict([*known.items()][-most:])
        names = np.frombuffer(b"".join(kept), np.uint8).reshape(-1, NAME_BYTES).copy()
        with suppress(OSError):
            write_weights(self._file, {"names": torch.from_numpy(names), "features": torch.stack([*kept.values()])})
