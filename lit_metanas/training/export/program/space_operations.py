"""The operations of the children of this package's spaces, and what each argument may be.

What programs of these operations alone take grows with the number of inputs, so that a few numbers of them are tried.
"""

from __future__ import annotations

from collections.abc import Mapping

from lit_metanas.training.export.program.argument_checks import (
    Check,
    is_factor,
    is_flag,
    is_matrices,
    is_maybe_tensor,
    is_number,
    is_series,
    is_share,
    is_tensor,
    is_tensors,
    just,
    whole,
    wholes,
)

_SELF = {"self": is_tensor}
_SIZE, _STRIDE, _MARGIN = wholes(1, 255, 2), wholes(1, 255, 0, 2), wholes(0, 255, 2)
_POOL = {**_SELF, "kernel_size": _SIZE, "stride": _STRIDE, "padding": _MARGIN, "ceil_mode": is_flag}
_STEP_SIZE, _STEP_MARGIN = wholes(1, 255, 1), wholes(0, 255, 1)
_STEP_POOL = {
    **_SELF,
    "kernel_size": _STEP_SIZE,
    "stride": _STEP_SIZE,
    "padding": _STEP_MARGIN,
    "ceil_mode": is_flag,
}
_KERNEL = {"input": is_tensor, "weight": is_tensor, "bias": is_maybe_tensor}
_NORM = {"input": is_tensor, "weight": is_maybe_tensor, "bias": is_maybe_tensor, "eps": is_share}
_LARGEST = 1 << 16
_COUNT, _BEYOND_BATCH, _AXES = whole(1, _LARGEST), whole(1, 3), wholes(1, 2, 1)

ATEN_OPERATIONS: Mapping[str, Mapping[str, Check]] = {
    "add.Tensor": {"self": is_tensor, "other": is_tensor},
    "amax.default": {**_SELF, "dim": _AXES},
    "argmax.default": {**_SELF, "dim": whole(2, 2)},
    "avg_pool1d.default": _STEP_POOL,
    "avg_pool2d.default": {**_POOL, "count_include_pad": is_flag},
    "batch_norm.default": {
        **_NORM,
        "cudnn_enabled": is_flag,
        "running_mean": is_tensor,
        "running_var": is_tensor,
        "training": just(False),
        "momentum": is_share,
    },
    "bitwise_not.default": _SELF,
    "cat.default": {"tensors": is_tensors, "dim": _BEYOND_BATCH},
    "clamp.default": {**_SELF, "min": is_number},
    "conv1d.default": {
        **_KERNEL,
        "stride": _STEP_SIZE,
        "padding": _STEP_MARGIN,
        "dilation": _STEP_SIZE,
        "groups": _COUNT,
    },
    "conv2d.default": {**_KERNEL, "stride": _SIZE, "padding": _MARGIN, "dilation": _SIZE, "groups": _COUNT},
    "cumsum.default": {**_SELF, "dim": whole(1, 2)},
    "div.Tensor": {"self": is_tensor, "other": is_tensor},
    "dropout.default": {"input": is_tensor, "p": is_share, "train": just(False)},
    "elu.default": {**_SELF, "alpha": is_share},
    "embedding.default": {"weight": is_tensor, "indices": is_tensor},
    "eq.Scalar": {**_SELF, "other": whole(0, 0)},
    "expand.default": {**_SELF, "size": wholes(-1, _LARGEST, 3)},
    "feature_dropout.default": {"input": is_tensor, "p": is_share, "train": just(False)},
    "flatten.using_ints": {**_SELF, "start_dim": _BEYOND_BATCH},
    "gather.default": {**_SELF, "dim": whole(1, 1), "index": is_tensor},
    "gelu.default": _SELF,
    "glu.default": {**_SELF, "dim": whole(1, 1)},
    "group_norm.default": {**_NORM, "cudnn_enabled": is_flag, "num_groups": _COUNT},
    "gru.input": {
        "input": is_series,
        "hx": is_tensor,
        "params": is_tensors,
        "has_biases": just(True),
        "num_layers": whole(1, 1),
        "dropout": is_share,
        "train": just(False),
        "bidirectional": just(False),
        "batch_first": just(True),
    },
    "gt.Scalar": {**_SELF, "other": whole(0, 0)},
    "layer_norm.default": {**_NORM, "normalized_shape": wholes(1, _LARGEST, 1), "cudnn_enable": is_flag},
    "leaky_relu.default": _SELF,
    "linear.default": _KERNEL,
    "masked_fill.Scalar": {**_SELF, "mask": is_tensor, "value": is_number},
    "matmul.default": {"self": is_matrices, "other": is_matrices},
    "max_pool1d.default": {**_STEP_POOL, "dilation": _STEP_SIZE},
    "max_pool2d.default": {**_POOL, "dilation": _SIZE},
    "mean.dim": {**_SELF, "dim": wholes(2, 3, 2)},
    "mul.Tensor": {**_SELF, "other": is_factor},
    "ne.Scalar": {**_SELF, "other": whole(0, 0)},
    "ones_like.default": {**_SELF, "pin_memory": just(False)},
    "pad.default": {**_SELF, "pad": wholes(0, 255, 2, 4)},
    "relu.default": _SELF,
    "relu6.default": _SELF,
    "remainder.Scalar": {**_SELF, "other": whole(1, 1 << 31)},
    "select.int": {**_SELF, "dim": _BEYOND_BATCH, "index": whole(-1, 255)},
    "sigmoid.default": _SELF,
    "silu.default": _SELF,
    "slice.Tensor": {
        **_SELF,
        "dim": whole(0, 3),
        "start": whole(0, 255),
        "end": whole(1, 2**63 - 1),
        "step": whole(1, 255),
    },
    "softmax.int": {**_SELF, "dim": _BEYOND_BATCH},
    "sub.Tensor": {"self": is_tensor, "other": is_tensor},
    "sum.dim_IntList": {**_SELF, "dim": _AXES, "keepdim": is_flag},
    "tanh.default": _SELF,
    "transpose.int": {**_SELF, "dim0": _BEYOND_BATCH, "dim1": _BEYOND_BATCH},
    "unflatten.int": {**_SELF, "dim": whole(2, 2), "sizes": wholes(1, _LARGEST, 2, 3)},
    "unsqueeze.default": {**_SELF, "dim": whole(0, 2)},
    "zeros_like.default": {**_SELF, "pin_memory": just(False)},
}
"""The operations of the children of this package's spaces, and what each argument may be."""
