"""A cost model of time: the work of a training step by kinds, and the seconds of each kind on a machine.

The operations of a forward pass are recorded once, on two blank inputs: multiply-adds, values that pass through, calls.
The backward pass and the optimizer do work in proportion, so that only the forward pass is looked at. Rates are fitted
to measured steps by non-negative least squares of relative errors. Justus et al. (2018) predict the times of layers by
a neural network; sums of work that have a meaning need fewer measurements.

1. Justus, Brennan, Bonner, McGough. Predicting the computational cost of deep learning models. IEEE Big Data 2018.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, plain_shape
from lit_metanas.io.yaml_files import parse_yaml
from lit_metanas.spaces.architecture import Architecture
from lit_metanas.spaces.operations import without_fast_paths
from lit_metanas.spaces.space import SearchSpace
from lit_metanas.training.precision import FLOAT32

LANES = 16  # channels that a processor computes at once: fewer take as long

FEW_CHANNELS = 4
"""Channels up to which an input is an image, for whose convolutions libraries have kernels without ``LANES``."""

LARGE_KERNEL = 5
"""Size from which on convolutions of single channels are slow: in bf16, 10 times as slow as those of 3x3."""

_KINDS: Mapping[str, str] = {
    **dict.fromkeys(("elu", "gelu", "glu", "silu"), "curved"),
    **dict.fromkeys(("exp", "sigmoid", "sigmoid_", "tanh", "tanh_"), "saturating"),
    **dict.fromkeys(("pow", "rsqrt", "sqrt"), "power"),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), "pool"),
    **dict.fromkeys(("mean", "sum", "amax"), "reduction"),
    **dict.fromkeys(("embedding", "gather", "index"), "lookup"),
    **dict.fromkeys(("cat", "clone", "constant_pad_nd", "stack"), "copy"),
    "native_batch_norm": "batch norm",
    "native_layer_norm": "layer norm",
    "bernoulli_": "dropout",
    "_softmax": "softmax",
}
"""Kinds of operations that pass over values, by PyTorch's names; see ``_plain_kind`` for others."""

_FREE = ("detach", "empty", "empty_like", "lift_fresh", "new_empty", "ones", "zeros", "_local_scalar_dense")
"""Operations that take next to no time."""


@dataclass(frozen=True)
class StepWork:
    """The work of a training step by kinds."""

    once: Mapping[str, float]  # what each step does, whatever its number of examples
    each: Mapping[str, float]  # for each example

    def total(self, batch_size: int) -> dict[str, float]:
        """The work of a step of so many examples."""
        return {
            kind: self.once.get(kind, 0.0) + batch_size * self.each.get(kind, 0.0)
            for kind in sorted({*self.once, *self.each})
        }


def step_work(space: SearchSpace, architecture: Mapping[str, str], shape: Shape, way: int) -> StepWork:
    """The work of a training step of an architecture, recorded once for each shape and number of outputs."""
    own = space.canonical(architecture)
    known, key = _found.setdefault(space, {}), (own, tuple(plain_shape(shape)), way)
    if key not in known:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            # Two inputs, as batch norm refuses to train on one.
            child, inputs = space.child(own, shape, way), blank_inputs(2, shape)
        targets = torch.ones(2, getattr(child, "steps", 1), dtype=torch.int64)  # which networks that write read, too
        known[key] = record_work(child, partial(space.training_scores, child), inputs, targets)
    return known[key]


_Key = tuple[Architecture, tuple[int | str, ...], int]
_found: WeakKeyDictionary[SearchSpace, dict[_Key, StepWork]] = WeakKeyDictionary()


def record_work(network: nn.Module, forward: Callable[..., object], *batch: Tensor) -> StepWork:
    """The work of a step of training a network, whose forward pass over a batch, ``forward(*batch)``, is done once."""
    network.train()
    recorder = _Recorder(batch)
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),
        without_fast_paths(),
        recorder,
    ):
        forward(*batch)
    trained = [each for each in network.parameters() if each.requires_grad]
    kernels = sum(each.numel() for each in trained if each.dim() > 2)
    others = sum(each.numel() for each in trained) - kernels
    once = {**recorder.once, "steps": 1, "kernels": kernels, "parameters": others, "tensors": len(trained)}
    return StepWork(once, {kind: work / len(batch[0]) for kind, work in recorder.all.items()})


class _Recorder(TorchDispatchMode):
    """Adds up the work of operations: for ``all`` examples where it depends on them, else ``once``."""

    def __init__(self, batch: Sequence[Tensor]) -> None:
        super().__init__()
        self.once: Counter[str] = Counter()
        self.all: Counter[str] = Counter()
        self._fed = set(batch)

    def __torch_dispatch__(
        self, operation: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        outputs = operation(*args, **(kwargs or {}))
        made, taken = _tensors(outputs), [each for arg in args for each in _tensors(arg)]
        fed = not self._fed.isdisjoint(taken)
        if fed:
            self._fed.update(made)
        name = operation.overloadpacket.__name__
        if made and not operation.is_view and name not in _FREE:
            call, work = _work(name, args, taken, made[0])
            self.once[f"{call} calls"] += 1
            if fed:
                self.all.update(work)
            else:
                self.once["weight values"] += made[0].numel()
        return outputs


def _tensors(value: object) -> list[Tensor]:
    several = value if isinstance(value, tuple | list) else (value,)
    return [each for each in several if isinstance(each, Tensor)]


def _work(name: str, args: Sequence[Any], taken: Sequence[Tensor], made: Tensor) -> tuple[str, Mapping[str, float]]:
    """The kind of an operation's call, and its amounts of work by kinds."""
    match name:
        case "convolution":
            return _convolution_work(taken[0], taken[1], made, stride=max(args[3]), groups=args[8])
        case "mm" | "addmm" | "bmm":
            factor = taken[-2]
            multiply_adds = factor.numel() * _lanes(made.shape[-1])
            return "product", {"product multiply-adds": multiply_adds, "product values": factor.numel() + made.numel()}
        case "native_group_norm":
            # Of several groups, that of bf16 takes six times as long as of one.
            kind = "group norm" if args[6] > 1 else "layer norm"
        case _:
            kind = _KINDS.get(name) or _plain_kind(taken, made)
    passed = max(each.numel() for each in (made, *taken) if each.shape[:1] == made.shape[:1])
    return "other", {f"{kind} values": passed}


def _plain_kind(taken: Sequence[Tensor], made: Tensor) -> str:
    """Whether an operation has a backward pass, and one that adds up the gradient of what was broadcast."""
    learned = [each for each in taken if each.requires_grad]
    if not learned:
        return "fixed"
    if min(each.numel() for each in learned) < made.numel():
        return "broadcast"
    return "plain"


def _convolution_work(
    inputs: Tensor, kernel: Tensor, made: Tensor, *, stride: int, groups: int
) -> tuple[str, Mapping[str, float]]:
    width, channels, *sides = kernel.shape
    call, taps = f"{len(sides)}d", prod(sides)
    if groups > 1:
        # The gradient of the inputs is computed with margins, which are more than the inputs of small maps.
        margins = prod((one + side - 1) / one for one, side in zip(inputs.shape[2:], sides, strict=True))
        size = "large" if max(sides) >= LARGE_KERNEL else "small"
        if stride > 1:
            size = "strided"
        kind = f"{call} {size} depthwise"
        return call, {
            f"{kind} multiply-adds": made.numel() * channels * taps,
            f"{kind} values": inputs.numel() * margins,
        }
    kind, inner = "convolution", _lanes(channels)
    if taps == 1:
        kind = "pointwise"
    if channels <= FEW_CHANNELS:
        # One channel has no layout, and what is behind it is computed with the channels first.
        kind, inner = "colour", channels
    if channels == 1:
        kind = "grey"
    multiply_adds = made.numel() / width * _lanes(width) * inner * taps
    values = made.numel() + inputs.numel()
    if not inputs.requires_grad:  # no gradient of a network's inputs is computed
        multiply_adds, values = multiply_adds * 2 / 3, made.numel()
    work = {f"{call} {kind} multiply-adds": multiply_adds, f"{call} {kind} values": values}
    if stride > 1:
        work[f"{call} strided values"] = inputs.numel()
    return call, work


def _lanes(channels: int) -> int:
    return -(-channels // LANES) * LANES


@cache
def nominal_rates(precision: str = FLOAT32) -> Mapping[str, float]:
    """The seconds of one thread of a certain machine for a unit of each kind of work."""
    # Of one machine for all, so that what is decided by them repeats on every machine.
    tables = parse_yaml(files(__package__).joinpath("step_rates.yaml").read_text(encoding="utf-8"))
    if precision not in tables:
        raise ValueError(f"Times of steps are known for {' and '.join(tables)}, and the precision is '{precision}'.")
    return dict(tables[precision]["rates"])


def predicted_seconds(work: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """The predicted seconds for some work; kinds without a rate take none."""
    return sum(amount * rates.get(kind, 0.0) for kind, amount in work.items())


def step_seconds(
    space: SearchSpace,
    architecture: Mapping[str, str],
    shape: Shape,
    way: int,
    *,
    batch_size: int,
    precision: str = FLOAT32,
) -> float:
    """The predicted seconds of a training step of an architecture: forward pass, loss, backward pass, AdamW."""
    return predicted_seconds(step_work(space, architecture, shape, way).total(batch_size), nominal_rates(precision))
