"""The operations of the children of this package's spaces, and what each argument may be.

What programs of these operations alone take grows with the number of inputs, so that a few numbers of them are tried.
"""

from __future__ import annotations

from torch import Tensor

from lit_metanas.training.export.program.argument_checks import (
    MAYBE_TENSOR,
    TENSOR_OR_NUMBER,
    TENSORS,
    AllowedArguments,
    Listed,
    is_matrices,
    is_number,
    is_series,
    is_share,
    table,
)

_LARGEST = 1 << 16
_COUNT, _BEYOND_BATCH, _AXES = range(1, _LARGEST + 1), range(1, 4), Listed(range(1, 3), (1,))
_TAPS, _MARGIN = range(1, 256), range(256)

_SELF: AllowedArguments = {"self": Tensor}
_BOTH: AllowedArguments = {**_SELF, "other": Tensor}
_DROPOUT: AllowedArguments = {"input": Tensor, "p": is_share, "train": False}
_NORM: AllowedArguments = {"input": Tensor, "weight": MAYBE_TENSOR, "bias": MAYBE_TENSOR, "eps": is_share}
_KERNEL: AllowedArguments = {"input": Tensor, "weight": Tensor, "bias": MAYBE_TENSOR}


def _pool(dimensions: int, *strides: int) -> AllowedArguments:
    """AllowedArguments of a pool, whose strides are a list of one of some lengths."""
    size = {"kernel_size": Listed(_TAPS, (dimensions,)), "stride": Listed(_TAPS, strides)}
    return {**_SELF, **size, "padding": Listed(_MARGIN, (dimensions,)), "ceil_mode": bool}


def _convolution(dimensions: int) -> AllowedArguments:
    """AllowedArguments of a convolution."""
    taps = Listed(_TAPS, (dimensions,))
    return {**_KERNEL, "stride": taps, "padding": Listed(_MARGIN, (dimensions,)), "dilation": taps, "groups": _COUNT}


ATEN_OPERATIONS = table({
    "bitwise_not gelu leaky_relu relu relu6 sigmoid silu tanh": _SELF,
    "add.Tensor div.Tensor sub.Tensor": _BOTH,
    "amax": {**_SELF, "dim": _AXES},
    "argmax": {**_SELF, "dim": range(2, 3)},
    "avg_pool1d": _pool(1, 1),
    "avg_pool2d": {**_pool(2, 0, 2), "count_include_pad": bool},
    "batch_norm": {
        **_NORM,
        "cudnn_enabled": bool,
        "running_mean": Tensor,
        "running_var": Tensor,
        "training": False,
        "momentum": is_share,
    },
    "cat": {"tensors": TENSORS, "dim": _BEYOND_BATCH},
    "clamp": {**_SELF, "min": is_number},
    "conv1d": _convolution(1),
    "conv2d": _convolution(2),
    "cumsum": {**_SELF, "dim": range(1, 3)},
    "dropout feature_dropout": _DROPOUT,
    "elu": {**_SELF, "alpha": is_share},
    "embedding": {"weight": Tensor, "indices": Tensor},
    "eq.Scalar gt.Scalar ne.Scalar": {**_SELF, "other": range(1)},
    "expand": {**_SELF, "size": Listed(range(-1, _LARGEST + 1), (3,))},
    "flatten.using_ints": {**_SELF, "start_dim": _BEYOND_BATCH},
    "gather": {**_SELF, "dim": range(1, 2), "index": Tensor},
    "glu": {**_SELF, "dim": range(1, 2)},
    "group_norm": {**_NORM, "cudnn_enabled": bool, "num_groups": _COUNT},
    "gru.input": {
        "input": is_series,
        "hx": Tensor,
        "params": TENSORS,
        "has_biases": True,
        "num_layers": range(1, 2),
        "dropout": is_share,
        "train": False,
        "bidirectional": False,
        "batch_first": True,
    },
    "layer_norm": {**_NORM, "normalized_shape": Listed(_COUNT, (1,)), "cudnn_enable": bool},
    "linear": _KERNEL,
    "masked_fill.Scalar": {**_SELF, "mask": Tensor, "value": is_number},
    "matmul": {"self": is_matrices, "other": is_matrices},
    "max_pool1d": {**_pool(1, 1), "dilation": Listed(_TAPS, (1,))},
    "max_pool2d": {**_pool(2, 0, 2), "dilation": Listed(_TAPS, (2,))},
    "mean.dim": {**_SELF, "dim": Listed(range(2, 4), (2,))},
    "mul.Tensor": {**_SELF, "other": TENSOR_OR_NUMBER},
    "ones_like zeros_like": {**_SELF, "pin_memory": False},
    "pad": {**_SELF, "pad": Listed(_MARGIN, (2, 4))},
    "remainder.Scalar": {**_SELF, "other": range(1, (1 << 31) + 1)},
    "select.int": {**_SELF, "dim": _BEYOND_BATCH, "index": range(-1, 256)},
    "slice.Tensor": {**_SELF, "dim": range(4), "start": _MARGIN, "end": range(1, 1 << 63), "step": _TAPS},
    "softmax.int": {**_SELF, "dim": _BEYOND_BATCH},
    "sum.dim_IntList": {**_SELF, "dim": _AXES, "keepdim": bool},
    "transpose.int": {**_SELF, "dim0": _BEYOND_BATCH, "dim1": _BEYOND_BATCH},
    "unflatten.int": {**_SELF, "dim": range(2, 3), "sizes": Listed(_COUNT, (2, 3))},
    "unsqueeze": {**_SELF, "dim": range(3)},
})  # fmt: skip
"""The operations of the children of this package's spaces, and what each argument may be."""
