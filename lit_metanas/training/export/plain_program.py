"""An exported network, run operation by operation from a short list, so that its file can do nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_metanas.tasks.inputs import Shape

LARGEST_MEMORY = 1 << 26
"""Numbers that are held at once for one image."""

LARGEST_WORK = 1 << 36
"""Multiply-adds for one image; a number that is not multiplied counts as 16, as it takes as long."""

_TRIALS = (2, 1021)
"""Numbers of images: a prime beyond all sizes that an argument may have, so that none depends on it."""


def _tensor(argument: object) -> bool:
    return isinstance(argument, Tensor)


def _maybe_tensor(argument: object) -> bool:
    return argument is None or isinstance(argument, Tensor)


def _tensors(argument: object) -> bool:
    return isinstance(argument, list) and 0 < len(argument) <= 1000 and all(map(_tensor, argument))


def _share(argument: object) -> bool:
    return isinstance(argument, float) and 0 <= argument <= 1


def _whole(lowest: int, highest: int) -> Callable[[object], bool]:
    def check(argument: object) -> bool:
        return type(argument) is int and lowest <= argument <= highest

    return check


def _pair(lowest: int, highest: int, *lengths: int) -> Callable[[object], bool]:
    def check(argument: object) -> bool:
        return (
            isinstance(argument, list)
            and len(argument) in (lengths or (2,))
            and all(type(entry) is int and lowest <= entry <= highest for entry in argument)
        )

    return check


def _flag(argument: object) -> bool:
    return type(argument) is bool


def _off(argument: object) -> bool:
    return argument is False


_SIZE, _STRIDE, _MARGIN = _pair(1, 255), _pair(1, 255, 0, 2), _pair(0, 255)
_IMAGES = {"self": _tensor}
_POOL = {**_IMAGES, "kernel_size": _SIZE, "stride": _STRIDE, "padding": _MARGIN, "ceil_mode": _flag}
_KERNEL = {"input": _tensor, "weight": _tensor, "bias": _maybe_tensor}
_NORM = {"input": _tensor, "weight": _maybe_tensor, "bias": _maybe_tensor, "eps": _share, "cudnn_enabled": _flag}
_COUNT, _TO_THE_END = _whole(1, 1 << 16), _whole(2**63 - 1, 2**63 - 1)

ATEN_OPERATIONS: Mapping[str, Mapping[str, Callable[[object], bool]]] = {
    "add.Tensor": {"self": _tensor, "other": _tensor},
    "avg_pool2d.default": {**_POOL, "count_include_pad": _flag},
    "batch_norm.default": {
        **_NORM,
        "running_mean": _tensor,
        "running_var": _tensor,
        "training": _off,
        "momentum": _share,
    },
    "cat.default": {"tensors": _tensors, "dim": _whole(1, 1)},
    "conv2d.default": {**_KERNEL, "stride": _SIZE, "padding": _MARGIN, "dilation": _SIZE, "groups": _COUNT},
    "elu.default": {**_IMAGES, "alpha": _share},
    "feature_dropout.default": {"input": _tensor, "p": _share, "train": _off},
    "gelu.default": _IMAGES,
    "group_norm.default": {**_NORM, "num_groups": _COUNT},
    "leaky_relu.default": _IMAGES,
    "linear.default": _KERNEL,
    "max_pool2d.default": {**_POOL, "dilation": _SIZE},
    "mean.dim": {**_IMAGES, "dim": _pair(2, 3)},
    "pad.default": {**_IMAGES, "pad": _pair(0, 255, 4)},
    "relu.default": _IMAGES,
    "relu6.default": _IMAGES,
    "sigmoid.default": _IMAGES,
    "silu.default": _IMAGES,
    "slice.Tensor": {
        **_IMAGES,
        "dim": _whole(0, 3),
        "start": _whole(0, 255),
        "end": _TO_THE_END,
        "step": _whole(1, 255),
    },
    "tanh.default": _IMAGES,
    "zeros_like.default": {**_IMAGES, "pin_memory": _off},
}
"""The operations of the children of this package's spaces, and what each argument may be."""

Node = tuple[str, dict[str, Any], str]
"""An operation, its arguments (tensors as ``Reference``), and the name of its output."""


class Reference(str):
    """The name of a tensor."""


class PlainProgram(nn.Module):
    """A network as a list of operations, without a line of code from its file.

    ``torch.export.load`` is no reader for files of others: it unpickles what an archive declares as pickled, evaluates
    texts, and calls whatever operation a graph names, some of which read and write files or memory of their choice.
    Here only ``ATEN_OPERATIONS`` are called, with checked arguments, after a trial without numbers (on torch's device
    ``meta``) has shown that they fit each other and how much memory and work an image takes.

    Args:
        nodes: the operations in order; each uses the images, the tensors and outputs of those before it.
        tensors: weights and statistics by name.
        images: the name of the input.
        output: the name of what is returned.

    Attributes:
        memory: numbers that are held at once for one image, once ``check`` has run.

    Example:
        >>> nodes = [("relu.default", {"self": Reference("images")}, "relu")]
        >>> PlainProgram(nodes, tensors={}, images="images", output="relu")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def __init__(self, nodes: Sequence[Node], *, tensors: Mapping[str, Tensor], images: str, output: str) -> None:
        super().__init__()
        self.nodes, self.images, self.output = list(nodes), images, output
        self.memory = 0
        self._names = list(tensors)
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        last = {name: place for place, (_, arguments, _) in enumerate(nodes) for name in _references(arguments)}
        self._unused_after: list[list[str]] = [[] for _ in nodes]
        for name, place in last.items():
            if name != output:
                self._unused_after[place].append(name)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of images, shape ``(n, channels, height, width)``; of some after the others where memory is short."""
        tensors = {name: self.get_buffer(name) for name in self._names}
        scores: list[Tensor] = []
        for part in images.split(max(1, LARGEST_MEMORY // self.memory) if self.memory else len(images)):
            *_, (found, _) = self._steps(part, tensors)
            scores.append(found[self.output])
        return torch.cat(scores) if len(scores) > 1 else scores[0]

    @torch.no_grad()
    def check(self, shape: Shape, classes: int) -> None:
        """Try the operations without numbers, then once with them.

        Args:
            shape: channels, height and width of an image.
            classes: how many scores there are to be.

        Raises:
            ValueError: it takes too much memory or work, or has another output than ``(n, classes)``.
            Exception: of any kind, by torch, for operations that do not fit each other.
        """
        tensors = {name: self.get_buffer(name).to("meta") for name in self._names}
        for images in _TRIALS:
            memory = work = 0
            found: dict[str, Tensor] = {}
            for found, cost in self._steps(torch.empty(images, *shape, device="meta"), tensors):
                own = sum(tensor.numel() for name, tensor in found.items() if name not in tensors)
                memory, work = max(memory, own + cost.memory), work + cost.work
                if memory > LARGEST_MEMORY * images or work > LARGEST_WORK * images:
                    raise ValueError("takes too much memory or time for one image")
            if found[self.output].shape != (images, classes):
                raise ValueError(f"gives {tuple(found[self.output].shape)} scores for {images} images")
            self.memory = math.ceil(memory / images)
        if not self(torch.zeros(1, *shape)).isfinite().all():
            raise ValueError("gives scores that are not numbers")

    def _steps(self, images: Tensor, tensors: Mapping[str, Tensor]) -> Iterator[tuple[dict[str, Tensor], _StepCost]]:
        """All tensors that are held after each operation, and what it took; the last are the output's."""
        found = {**tensors, self.images: images}
        for (operation, arguments, name), unused in zip(self.nodes, self._unused_after, strict=True):
            given = {key: _resolve(argument, found) for key, argument in arguments.items()}
            checks = ATEN_OPERATIONS[operation]
            if not all(key in checks and checks[key](argument) for key, argument in given.items()):
                raise ValueError(f"calls {operation} with other arguments than an exported network does")
            overload, _, kind = operation.partition(".")
            found[name] = getattr(getattr(torch.ops.aten, overload), kind)(**given)
            yield found, _cost(operation, given, found[name])
            for other in unused:
                found.pop(other, None)


class _StepCost(NamedTuple):
    """Of one operation: numbers that it holds for itself, and multiply-adds."""

    memory: int
    work: int


def _cost(operation: str, given: Mapping[str, Any], output: Tensor) -> _StepCost:
    if operation == "conv2d.default":
        kernel = given["weight"].shape[1:].numel()
        return _StepCost(kernel * output.shape[0] * output.shape[2:].numel(), kernel * output.numel())  # unfolded
    if operation == "linear.default":
        return _StepCost(0, output.numel() * given["weight"].shape[-1])
    return _StepCost(0, 16 * output.numel() * math.prod(given.get("kernel_size", ())))


def _references(argument: object) -> Iterator[str]:
    if isinstance(argument, Reference):
        yield argument
    elif isinstance(argument, dict | list):
        for inner in argument.values() if isinstance(argument, dict) else argument:
            yield from _references(inner)


def _resolve(argument: object, found: Mapping[str, Tensor]) -> object:
    if isinstance(argument, list):
        return [_resolve(entry, found) for entry in argument]
    return found[argument] if isinstance(argument, Reference) else argument
