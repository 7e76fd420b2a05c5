"""An exported network, run operation by operation from a list of names, so that its file can do nothing else."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import blank_inputs
from lit_metanas.inputs.shapes import Shape, TextRowShape, TokenShape, as_shape, describe_shape
from lit_metanas.records.record import grouped

# What is computed of sizes, by Python's operators.
ARITHMETIC = ("_operator.add", "_operator.sub", "_operator.mul", "_operator.floordiv", "_operator.mod")

_CHILDREN = """
    add.Tensor amax argmax avg_pool1d avg_pool2d batch_norm bitwise_not cat clamp conv1d conv2d cumsum div.Tensor
    dropout elu embedding eq.Scalar expand feature_dropout flatten.using_ints gather gelu glu group_norm gru.input
    gt.Scalar layer_norm leaky_relu linear masked_fill.Scalar matmul max_pool1d max_pool2d mean.dim mul.Tensor ne.Scalar
    ones_like pad relu relu6 remainder.Scalar reshape select.int sigmoid silu slice.Tensor softmax.int sub.Tensor
    sum.dim_IntList tanh transpose.int unflatten.int unsqueeze zeros_like
"""

# What networks of other spaces are taken apart into. Left out of torch's core set are operations that
#
# - give as many numbers as their inputs happen to say: `nonzero`, `masked_scatter`, `_local_scalar_dense`;
# - draw random numbers: `rand`, `randn`, `randperm`, `native_dropout`;
# - look at memory instead of numbers: `as_strided`, `empty_strided`, `sym_stride`, `sym_storage_offset`, outputs that
#   are given as arguments, statistics that are changed (`_native_batch_norm_legit`);
# - give complex numbers (`_fft_r2c`, `_fft_c2r`), gradients (all whose names end in `_backward`), or distances of pairs
#   and bags (`_pdist_forward`, `_embedding_bag`).
_CORE = """
    abs acos acosh alias asin asinh atan atanh bitwise_not ceil clone cos cosh erf exp expm1 floor isinf isnan log log10
    log1p log2 logical_not neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc any
    atan2 bitwise_and.Tensor bitwise_or.Tensor bitwise_xor.Tensor div.Tensor eq.Tensor fmod.Tensor ge.Tensor gt.Tensor
    le.Tensor logical_and logical_or logical_xor lt.Tensor maximum minimum mul.Tensor ne.Tensor remainder.Tensor
    bitwise_and.Scalar bitwise_or.Scalar bitwise_xor.Scalar div.Scalar eq.Scalar fmod.Scalar ge.Scalar gt.Scalar
    le.Scalar lt.Scalar mul.Scalar ne.Scalar remainder.Scalar
    add.Tensor sub.Tensor add.Scalar sub.Scalar div.Tensor_mode div.Scalar_mode pow.Tensor_Tensor pow.Tensor_Scalar
    pow.Scalar clamp clamp.Tensor elu gelu hardtanh leaky_relu where.self _softmax _log_softmax
    _to_copy copy fill.Scalar full full_like empty.memory_format scalar_tensor arange.start_step
    amax amin any.dims any.dim max.dim min.dim argmax argmin mean prod mean.dim sum.dim_IntList prod.dim_int cumsum
    var.dim var.correction linalg_vector_norm sort topk
    view expand repeat permute flip squeeze.dim unsqueeze squeeze.dims cat split_with_sizes select.int select_scatter
    slice.Tensor slice_scatter diagonal constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d
    replication_pad2d replication_pad3d
    embedding gather index_select index.Tensor index_put scatter.value scatter.src scatter_add scatter_reduce.two
    mm bmm addmm _cdist_forward convolution _native_batch_norm_legit_no_training _native_batch_norm_legit.no_stats
    native_group_norm native_layer_norm
    avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices _adaptive_avg_pool2d
    _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d upsample_nearest2d.vec
    upsample_bilinear2d.vec grid_sampler_2d col2im sym_size.int sym_numel
"""


def _named(names: str) -> frozenset[str]:
    return frozenset(name if "." in name else f"{name}.default" for name in names.split())


# Three more are among them: `linalg_vector_norm`, which nothing takes apart, and two adaptive pools, one of which would
# be taken apart into `as_strided`.
CORE_OPERATIONS = _named(_CORE) | {*ARITHMETIC}

PROGRAM_OPERATIONS = _named(_CHILDREN) | CORE_OPERATIONS
"""All operations that are run: those of the children of this package's spaces, and torch's core operations."""

# Inputs that are run at once, which bounds the memory.
AT_ONCE = 64

# Numbers of a tensor in a program's check, which has up to three inputs.
LARGEST_TENSOR = 1 << 28

# Operations without inputs, which are given the device.
_MAKERS = frozenset({"arange.start_step", "empty.memory_format", "full.default", "scalar_tensor.default"})

# Arguments on where and how numbers are kept, which are left out.
_LAYOUT = frozenset({"device", "layout", "memory_format", "non_blocking", "pin_memory"})

Node = tuple[str, dict[str, Any], tuple[str, ...]]
"""An operation, its arguments (tensors and sizes as ``Reference``), and the names of its outputs."""


class Reference(str):
    """The name of a tensor, or of a size."""


class PlainProgram(nn.Module):
    """A network as a list of operations, without a line of code from its file."""

    # `torch.export.load` is no reader for files of others: it unpickles what an archive declares as pickled, evaluates
    # texts, and calls whatever operation a graph names, some of which read and write files or memory of their choice.

    def __init__(
        self,
        nodes: Sequence[Node],
        *,
        tensors: Mapping[str, Tensor],
        inputs: str,
        output: str,
        traced_on: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.traced_on = traced_on  # the sizes of the inputs, 0 for an open one
        made = [name for *_, names in nodes for name in names]
        if len({*tensors, inputs, *made}) < len(tensors) + 1 + len(made):
            raise ValueError("gives two tensors the same name")
        self.nodes, self.inputs, self.output = list(nodes), inputs, output
        self.shape: Shape | None = None
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)
        last = {name: place for place, (*_, names) in enumerate(nodes) for name in names}
        last |= {
            name: place for place, (_, arguments, _) in enumerate(nodes) for name in _references([*arguments.values()])
        }
        self._unused_after = grouped((place, name) for name, place in last.items() if name != output)

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of inputs, shape ``(n, *shape)``, some at once."""
        if self.shape is not None:
            _check_inputs(inputs, self.shape)
        if torch.compiler.is_compiling():  # it becomes a part of another program
            return self._run(inputs)
        return torch.cat([self._run(part) for part in inputs.split(AT_ONCE)])

    @torch.no_grad()
    def check(self, shape: Shape, outputs: int, *, each_step: bool = False) -> None:
        """Run the operations on a few inputs; raises ValueError, or what torch raises, where they do not fit."""
        self.shape = shape
        for examples in (2, 3):
            scores = self._run(blank_inputs(examples, shape), LARGEST_TENSOR)
            size = tuple(scores.shape)
            if (size[0], size[-1], len(size)) != (examples, outputs, 2 + each_step):
                raise ValueError(f"gives {size} scores for {examples} inputs")
        if not scores.isfinite().all():
            raise ValueError("gives scores that are not numbers")

    def _run(self, inputs: Tensor, largest: int | None = None) -> Tensor:
        """The output for some inputs; what is no longer needed is let go."""
        found: dict[str, Any] = {**dict(self.named_buffers(remove_duplicate=False)), self.inputs: inputs}
        for place, (operation, arguments, names) in enumerate(self.nodes):
            given = {key: _resolve(argument, found) for key, argument in arguments.items() if key not in _LAYOUT}
            made = _outputs(operation, given, inputs.device)
            if largest is not None and any(isinstance(own, Tensor) and own.numel() > largest for own in made):
                raise ValueError("takes too much memory (take smaller inputs, or fewer layers)")
            found.update(zip(names, made, strict=True))
            for other in self._unused_after.get(place, ()):
                found.pop(other, None)
        return cast(Tensor, found[self.output])


def _outputs(operation: str, given: dict[str, Any], device: torch.device) -> Sequence[Any]:
    if operation in ARITHMETIC:
        return [getattr(operator, operation.removeprefix("_operator."))(given["a"], given["b"])]
    if operation.startswith(("_native_batch_norm", "native_group_norm")):
        _check_channels(given)
    if operation in _MAKERS:
        given["device"] = device
    if operation == "view.default":  # whose strides need not be those of the trace
        return [given["self"].reshape(given["size"])]
    if operation == "empty.memory_format":  # memory is never given as it is found
        return [torch.ops.aten.zeros.default(**given)]
    overload, _, kind = operation.partition(".")
    made = getattr(getattr(torch.ops.aten, overload), kind)(**given)
    if isinstance(made, tuple | list):
        return made
    return [made]


def _check_channels(given: Mapping[str, Any]) -> None:
    """Refuse sizes at which PyTorch would read outside of a tensor."""
    inputs, channels = given["input"], given["input"].shape[1]
    own = [given[name] for name in ("weight", "bias", "running_mean", "running_var") if given.get(name) is not None]
    if any(tensor.shape != (channels,) or tensor.dtype != inputs.dtype for tensor in own):
        raise ValueError("normalises by other channels than its inputs have")
    if "group" in given and (
        given["N"] != inputs.shape[0]
        or given["C"] != channels
        or given["HxW"] != inputs.shape[2:].numel()
        or channels % given["group"]
    ):
        raise ValueError("normalises groups of other sizes than its inputs have")


def _check_inputs(inputs: Tensor, shape: Shape) -> None:
    """Refuse inputs of another shape, and tokens that a network does not know."""
    known = as_shape(shape)
    blank = blank_inputs(0, known)
    size = tuple(blank.shape[1:])
    if tuple(inputs.shape[1:]) != size or inputs.is_floating_point() != blank.is_floating_point():
        raise ValueError(
            f"Inputs of shape {tuple(inputs.shape)} do not fit a network for {describe_shape(shape)}: give the shape "
            f"(n, {', '.join(map(str, size))})."
        )
    tokens = known.split(inputs)[1] if isinstance(known, TextRowShape) else inputs
    if isinstance(known, TokenShape | TextRowShape) and tokens.numel():
        for token in map(int, tokens.aminmax()):
            if not 0 <= token < known.vocabulary:
                raise ValueError(
                    f"There is a token {token}, and the network knows 0 to {known.vocabulary - 1}: use the "
                    "preprocessing that it was trained with."
                )


def _references(argument: object) -> Iterator[str]:
    if isinstance(argument, Reference):
        yield argument
    elif isinstance(argument, list):
        for inner in argument:
            yield from _references(inner)


def _resolve(argument: object, found: Mapping[str, Any]) -> object:
    match argument:
        case list():
            return [_resolve(entry, found) for entry in argument]
        case Reference():
            return found[argument]
    return argument
