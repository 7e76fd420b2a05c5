"""Torch's core operations, which networks of other spaces than this package's are taken apart into, and their bounds.

Left out of the core set are operations that

- give as many numbers as their inputs happen to say: ``nonzero``, ``masked_scatter``, ``_local_scalar_dense``;
- draw random numbers: ``rand``, ``randn``, ``randperm``, ``native_dropout``;
- look at memory instead of numbers: ``as_strided``, ``empty_strided``, ``sym_stride``, ``sym_storage_offset``, outputs
  that are given as arguments, statistics that are changed (``_native_batch_norm_legit``);
- give complex numbers (``_fft_r2c``, ``_fft_c2r``), gradients (all whose names end in ``_backward``), or distances of
  pairs and bags, which need bounds of their own (``_pdist_forward``, ``_embedding_bag``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lit_metanas.training.export.program.argument_checks import (
    MAYBE_TENSOR,
    SCALAR,
    TENSOR_OR_NUMBER,
    TENSORS,
    AllowedArguments,
    Listed,
    is_moderate,
    is_positive,
    table,
)

ARITHMETIC = ("_operator.add", "_operator.sub", "_operator.mul", "_operator.floordiv", "_operator.mod")
"""What is computed of sizes, by Python's operators."""

_RANKS = range(13)
"""Numbers of dimensions."""

_AXIS, _ANYWHERE, _COUNT = range(-12, 13), range(-(1 << 63), 1 << 63), range((1 << 31) + 1)
_AXES, _SIZES, _COUNTS = Listed(_AXIS, _RANKS), Listed(range(-1, (1 << 31) + 1), _RANKS), Listed(_COUNT, _RANKS)
_LARGEST_WINDOW = 4096
_WINDOW = range(1, _LARGEST_WINDOW + 1)
_TAPS, _STEPS = Listed(_WINDOW, (1, 2, 3)), Listed(_WINDOW, (0, 1, 2, 3))
_MARGINS = Listed(range(_LARGEST_WINDOW + 1), (1, 2, 3))
_PADDING = range(-_LARGEST_WINDOW, _LARGEST_WINDOW + 1)
_SMALL = Listed(range(1, 256), (1, 2, 3))
_SMALL_MARGINS = Listed(range(256), (1, 2, 3))
_GROUPS = range(1, (1 << 16) + 1)

_SELF: AllowedArguments = {"self": TENSOR_OR_NUMBER}
_OTHER: AllowedArguments = {**_SELF, "other": TENSOR_OR_NUMBER}
_NUMBER: AllowedArguments = {**_SELF, "other": SCALAR}
_KIND: AllowedArguments = {"dtype": (torch.dtype, None)}
_ALONG: AllowedArguments = {**_SELF, "dim": _AXIS}
_OVER: AllowedArguments = {**_SELF, "dim": (_AXES, None), "keepdim": bool}
_ALONG_KEPT: AllowedArguments = {**_ALONG, "keepdim": bool}
_AT: AllowedArguments = {**_ALONG, "index": Tensor}
_PART: AllowedArguments = {"dim": _AXIS, "start": (_ANYWHERE, None), "end": (_ANYWHERE, None), "step": _COUNT}
_NORM: AllowedArguments = {"input": Tensor, "weight": MAYBE_TENSOR, "bias": MAYBE_TENSOR, "eps": SCALAR}
_SCALED: AllowedArguments = {
    "input": Tensor,
    "output_size": (_COUNTS, None),
    "scale_factors": (Listed(is_positive, (1, 2, 3)), None),
}
_ROUNDED: AllowedArguments = {"rounding_mode": (frozenset({"trunc", "floor"}), None)}
_AVERAGED: AllowedArguments = {"count_include_pad": bool, "divisor_override": (range(1, (1 << 31) + 1), None)}
_PLACES = Listed(MAYBE_TENSOR, range(1, 13))


def _pool(dimensions: int) -> AllowedArguments:
    """AllowedArguments of a pool, whose kernel has a size for each dimension, so that its cost is known."""
    size = Listed(_WINDOW, (dimensions,))
    return {**_SELF, "kernel_size": size, "stride": _STEPS, "padding": _MARGINS, "ceil_mode": bool}


CORE_OPERATIONS = table({
    "abs acos acosh alias asin asinh atan atanh bitwise_not ceil clone cos cosh erf exp expm1 floor isinf isnan log "
    "log10 log1p log2 logical_not neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc any": _SELF,
    "atan2 bitwise_and.Tensor bitwise_or.Tensor bitwise_xor.Tensor div.Tensor eq.Tensor fmod.Tensor ge.Tensor "
    "gt.Tensor le.Tensor logical_and logical_or logical_xor lt.Tensor maximum minimum mul.Tensor ne.Tensor "
    "remainder.Tensor": _OTHER,
    "bitwise_and.Scalar bitwise_or.Scalar bitwise_xor.Scalar div.Scalar eq.Scalar fmod.Scalar ge.Scalar gt.Scalar "
    "le.Scalar lt.Scalar mul.Scalar ne.Scalar remainder.Scalar": _NUMBER,
    "add.Tensor sub.Tensor": {**_OTHER, "alpha": SCALAR},
    "add.Scalar sub.Scalar": {**_NUMBER, "alpha": SCALAR},
    "div.Tensor_mode": {**_OTHER, **_ROUNDED},
    "div.Scalar_mode": {**_NUMBER, **_ROUNDED},
    "pow.Tensor_Tensor": {**_SELF, "exponent": TENSOR_OR_NUMBER},
    "pow.Tensor_Scalar": {**_SELF, "exponent": SCALAR},
    "pow.Scalar": {"self": SCALAR, "exponent": Tensor},
    "clamp": {**_SELF, "min": (int, float, None), "max": (int, float, None)},
    "clamp.Tensor": {**_SELF, "min": MAYBE_TENSOR, "max": MAYBE_TENSOR},
    "elu": {**_SELF, "alpha": SCALAR, "scale": SCALAR, "input_scale": SCALAR},
    "gelu": {**_SELF, "approximate": frozenset({"none", "tanh"})},
    "hardtanh": {**_SELF, "min_val": SCALAR, "max_val": SCALAR},
    "leaky_relu": {**_SELF, "negative_slope": SCALAR},
    "where.self": {"condition": Tensor, **_OTHER},
    "_softmax _log_softmax": {**_ALONG, "half_to_float": False},
    # New tensors.
    "_to_copy": {**_SELF, **_KIND},
    "copy": {**_SELF, "src": Tensor},
    "fill.Scalar": {**_SELF, "value": SCALAR},
    "full": {"size": _COUNTS, "fill_value": SCALAR, **_KIND},
    "full_like": {**_SELF, "fill_value": SCALAR, **_KIND},
    "empty.memory_format": {"size": _COUNTS, **_KIND},
    "scalar_tensor": {"s": SCALAR, **_KIND},
    "arange.start_step": {"start": is_moderate, "end": is_moderate, "step": is_moderate, **_KIND},
    # Reductions.
    "amax amin any.dims": _OVER,
    "any.dim max.dim min.dim": _ALONG_KEPT,
    "argmax argmin": {**_SELF, "dim": (_AXIS, None), "keepdim": bool},
    "mean prod": {**_SELF, **_KIND},
    "mean.dim sum.dim_IntList": {**_OVER, **_KIND},
    "prod.dim_int": {**_ALONG_KEPT, **_KIND},
    "cumsum": {**_ALONG, **_KIND},
    "var.dim": {**_OVER, "unbiased": bool},
    "var.correction": {**_OVER, "correction": (int, float, None)},
    "linalg_vector_norm": {**_OVER, "ord": SCALAR, **_KIND},
    "sort": {**_ALONG, "descending": bool},
    "topk": {**_ALONG, "k": _COUNT, "largest": bool, "sorted": bool},
    # Other shapes, and parts.
    "view expand": {**_SELF, "size": _SIZES},
    "repeat": {**_SELF, "repeats": _COUNTS},
    "permute flip": {**_SELF, "dims": _AXES},
    "squeeze.dim unsqueeze": _ALONG,
    "squeeze.dims": {**_SELF, "dim": _AXES},
    "cat": {"tensors": TENSORS, "dim": _AXIS},
    "split_with_sizes": {**_ALONG, "split_sizes": Listed(_COUNT, range(1, 1001))},
    "select.int": {**_ALONG, "index": _ANYWHERE},
    "select_scatter": {**_ALONG, "src": Tensor, "index": _ANYWHERE},
    "slice.Tensor": {**_SELF, **_PART},
    "slice_scatter": {**_SELF, "src": Tensor, **_PART},
    "diagonal": {**_SELF, "offset": _ANYWHERE, "dim1": _AXIS, "dim2": _AXIS},
    "constant_pad_nd": {**_SELF, "pad": Listed(_PADDING, range(0, 13, 2)), "value": SCALAR},
    "reflection_pad1d reflection_pad2d reflection_pad3d replication_pad2d replication_pad3d": {
        **_SELF,
        "padding": Listed(_PADDING, (2, 4, 6)),
    },
    # Look-ups.
    "embedding": {
        "weight": Tensor,
        "indices": Tensor,
        "padding_idx": _ANYWHERE,
        "scale_grad_by_freq": bool,
        "sparse": False,
    },
    "gather": {**_AT, "sparse_grad": False},
    "index_select": _AT,
    "index.Tensor": {**_SELF, "indices": _PLACES},
    "index_put": {**_SELF, "indices": _PLACES, "values": Tensor, "accumulate": bool},
    "scatter.value": {**_AT, "value": SCALAR},
    "scatter.src scatter_add": {**_AT, "src": Tensor},
    "scatter_reduce.two": {
        **_AT,
        "src": Tensor,
        "reduce": frozenset({"sum", "prod", "mean", "amax", "amin"}),
        "include_self": bool,
    },
    # Products, distances and norms.
    "mm bmm": {"self": Tensor, "mat2": Tensor},
    "addmm": {**_SELF, "mat1": Tensor, "mat2": Tensor, "beta": SCALAR, "alpha": SCALAR},
    "_cdist_forward": {"x1": Tensor, "x2": Tensor, "p": SCALAR, "compute_mode": (range(3), None)},
    "convolution": {
        "input": Tensor,
        "weight": Tensor,
        "bias": MAYBE_TENSOR,
        "stride": _SMALL,
        "padding": _SMALL_MARGINS,
        "dilation": _SMALL,
        "transposed": bool,
        "output_padding": _SMALL_MARGINS,
        "groups": _GROUPS,
    },
    "_native_batch_norm_legit_no_training": {
        **_NORM,
        "running_mean": Tensor,
        "running_var": Tensor,
        "momentum": SCALAR,
    },
    "_native_batch_norm_legit.no_stats": {**_NORM, "training": True, "momentum": SCALAR},
    "native_group_norm": {**_NORM, "N": _COUNT, "C": _COUNT, "HxW": _COUNT, "group": _GROUPS},
    "native_layer_norm": {**_NORM, "normalized_shape": _COUNTS},
    # Pools, and images of another size.
    "avg_pool1d": {**_pool(1), "count_include_pad": bool},
    "avg_pool2d": {**_pool(2), **_AVERAGED},
    "avg_pool3d": {**_pool(3), **_AVERAGED},
    "max_pool2d_with_indices": {**_pool(2), "dilation": _STEPS},
    "max_pool3d_with_indices": {**_pool(3), "dilation": _STEPS},
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d": {
        **_SELF,
        "output_size": _TAPS,
    },
    "upsample_nearest2d.vec": _SCALED,
    "upsample_bilinear2d.vec": {**_SCALED, "align_corners": bool},
    "grid_sampler_2d": {
        "input": Tensor,
        "grid": Tensor,
        "interpolation_mode": range(3),
        "padding_mode": range(3),
        "align_corners": bool,
    },
    "col2im": {
        **_SELF,
        "output_size": _COUNTS,
        "kernel_size": _TAPS,
        "dilation": _TAPS,
        "padding": _MARGINS,
        "stride": _TAPS,
    },
    # Sizes.
    "sym_size.int": _ALONG,
    "sym_numel": _SELF,
    " ".join(ARITHMETIC): {"a": _ANYWHERE, "b": _ANYWHERE},
})  # fmt: skip
"""The core operations that exported networks may have, and what each argument may be.

Three more are among them: ``linalg_vector_norm``, which nothing takes apart, and two adaptive pools, one of which would
be taken apart into ``as_strided``.
"""
