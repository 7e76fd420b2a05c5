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

from collections.abc import Mapping

from lit_metanas.training.export.program.argument_checks import (
    Check,
    is_factor,
    is_flag,
    is_kind,
    is_maybe_tensor,
    is_moderate,
    is_places,
    is_scalar,
    is_scalars,
    is_tensor,
    is_tensors,
    just,
    maybe,
    one_of,
    whole,
    wholes,
)

ARITHMETIC = ("_operator.add", "_operator.sub", "_operator.mul", "_operator.floordiv", "_operator.mod")
"""What is computed of sizes, by Python's operators."""

_RANKS = range(13)
"""Numbers of dimensions."""

_AXIS, _ANYWHERE, _COUNT = whole(-12, 12), whole(-(2**63), 2**63 - 1), whole(0, 1 << 31)
_AXES, _SIZES, _COUNTS = wholes(-12, 12, *_RANKS), wholes(-1, 1 << 31, *_RANKS), wholes(0, 1 << 31, *_RANKS)
_TAPS, _STEPS, _MARGINS = wholes(1, 4096, 1, 2, 3), wholes(1, 4096, 0, 1, 2, 3), wholes(0, 4096, 1, 2, 3)

_SELF: Mapping[str, Check] = {"self": is_factor}
_OTHER, _NUMBER = {**_SELF, "other": is_factor}, {**_SELF, "other": is_scalar}
_KIND: Mapping[str, Check] = {"dtype": maybe(is_kind)}
_ALONG, _OVER = {**_SELF, "dim": _AXIS}, {**_SELF, "dim": maybe(_AXES), "keepdim": is_flag}
_ALONG_KEPT = {**_ALONG, "keepdim": is_flag}
_AT = {**_ALONG, "index": is_tensor}
_PART = {"dim": _AXIS, "start": maybe(_ANYWHERE), "end": maybe(_ANYWHERE), "step": _COUNT}
_NORM = {"input": is_tensor, "weight": is_maybe_tensor, "bias": is_maybe_tensor, "eps": is_scalar}
_SCALED = {"input": is_tensor, "output_size": maybe(_COUNTS), "scale_factors": maybe(is_scalars)}
_ROUNDED = {"rounding_mode": maybe(one_of("trunc", "floor"))}
_AVERAGED = {"count_include_pad": is_flag, "divisor_override": maybe(whole(1, 1 << 31))}


def _pool(dimensions: int) -> Mapping[str, Check]:
    """Arguments of a pool, whose kernel has a size for each dimension, so that its cost is known."""
    size, steps = wholes(1, 4096, dimensions), {"stride": _STEPS, "padding": _MARGINS}
    return {**_SELF, "kernel_size": size, **steps, "ceil_mode": is_flag}


_FAMILIES: Mapping[str, Mapping[str, Check]] = {
    "abs acos acosh alias asin asinh atan atanh bitwise_not ceil clone cos cosh erf exp expm1 floor isinf isnan log "
    "log10 log1p log2 logical_not neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc any": _SELF,
    "atan2 bitwise_and.Tensor bitwise_or.Tensor bitwise_xor.Tensor div.Tensor eq.Tensor fmod.Tensor ge.Tensor "
    "gt.Tensor le.Tensor logical_and logical_or logical_xor lt.Tensor maximum minimum mul.Tensor ne.Tensor "
    "remainder.Tensor": _OTHER,
    "bitwise_and.Scalar bitwise_or.Scalar bitwise_xor.Scalar div.Scalar eq.Scalar fmod.Scalar ge.Scalar gt.Scalar "
    "le.Scalar lt.Scalar mul.Scalar ne.Scalar remainder.Scalar": _NUMBER,
    "add.Tensor sub.Tensor": {**_OTHER, "alpha": is_scalar},
    "add.Scalar sub.Scalar": {**_NUMBER, "alpha": is_scalar},
    "div.Tensor_mode": {**_OTHER, **_ROUNDED},
    "div.Scalar_mode": {**_NUMBER, **_ROUNDED},
    "pow.Tensor_Tensor": {**_SELF, "exponent": is_factor},
    "pow.Tensor_Scalar": {**_SELF, "exponent": is_scalar},
    "pow.Scalar": {"self": is_scalar, "exponent": is_tensor},
    "clamp": {**_SELF, "min": maybe(is_scalar), "max": maybe(is_scalar)},
    "clamp.Tensor": {**_SELF, "min": is_maybe_tensor, "max": is_maybe_tensor},
    "elu": {**_SELF, "alpha": is_scalar, "scale": is_scalar, "input_scale": is_scalar},
    "gelu": {**_SELF, "approximate": one_of("none", "tanh")},
    "hardtanh": {**_SELF, "min_val": is_scalar, "max_val": is_scalar},
    "leaky_relu": {**_SELF, "negative_slope": is_scalar},
    "where.self": {"condition": is_tensor, **_OTHER},
    "_softmax _log_softmax": {**_ALONG, "half_to_float": just(False)},
    # New tensors.
    "_to_copy": {**_SELF, **_KIND},
    "copy": {**_SELF, "src": is_tensor},
    "fill.Scalar": {**_SELF, "value": is_scalar},
    "full": {"size": _COUNTS, "fill_value": is_scalar, **_KIND},
    "full_like": {**_SELF, "fill_value": is_scalar, **_KIND},
    "empty.memory_format": {"size": _COUNTS, **_KIND},
    "scalar_tensor": {"s": is_scalar, **_KIND},
    "arange.start_step": {"start": is_moderate, "end": is_moderate, "step": is_moderate, **_KIND},
    # Reductions.
    "amax amin any.dims": _OVER,
    "any.dim max.dim min.dim": _ALONG_KEPT,
    "argmax argmin": {**_SELF, "dim": maybe(_AXIS), "keepdim": is_flag},
    "mean prod": {**_SELF, **_KIND},
    "mean.dim sum.dim_IntList": {**_OVER, **_KIND},
    "prod.dim_int": {**_ALONG_KEPT, **_KIND},
    "cumsum": {**_ALONG, **_KIND},
    "var.dim": {**_OVER, "unbiased": is_flag},
    "var.correction": {**_OVER, "correction": maybe(is_scalar)},
    "linalg_vector_norm": {**_OVER, "ord": is_scalar, **_KIND},
    "sort": {**_ALONG, "descending": is_flag},
    "topk": {**_ALONG, "k": _COUNT, "largest": is_flag, "sorted": is_flag},
    # Other shapes, and parts.
    "view expand": {**_SELF, "size": _SIZES},
    "repeat": {**_SELF, "repeats": _COUNTS},
    "permute flip": {**_SELF, "dims": _AXES},
    "squeeze.dim unsqueeze": _ALONG,
    "squeeze.dims": {**_SELF, "dim": _AXES},
    "cat": {"tensors": is_tensors, "dim": _AXIS},
    "split_with_sizes": {**_ALONG, "split_sizes": wholes(0, 1 << 31, *range(1, 1001))},
    "select.int": {**_ALONG, "index": _ANYWHERE},
    "select_scatter": {**_ALONG, "src": is_tensor, "index": _ANYWHERE},
    "slice.Tensor": {**_SELF, **_PART},
    "slice_scatter": {**_SELF, "src": is_tensor, **_PART},
    "diagonal": {**_SELF, "offset": _ANYWHERE, "dim1": _AXIS, "dim2": _AXIS},
    "constant_pad_nd": {**_SELF, "pad": wholes(-4096, 4096, *range(0, 13, 2)), "value": is_scalar},
    "reflection_pad1d reflection_pad2d reflection_pad3d replication_pad2d replication_pad3d": {
        **_SELF,
        "padding": wholes(-4096, 4096, 2, 4, 6),
    },
    # Look-ups.
    "embedding": {
        "weight": is_tensor,
        "indices": is_tensor,
        "padding_idx": _ANYWHERE,
        "scale_grad_by_freq": is_flag,
        "sparse": just(False),
    },
    "gather": {**_AT, "sparse_grad": just(False)},
    "index_select": _AT,
    "index.Tensor": {**_SELF, "indices": is_places},
    "index_put": {**_SELF, "indices": is_places, "values": is_tensor, "accumulate": is_flag},
    "scatter.value": {**_AT, "value": is_scalar},
    "scatter.src scatter_add": {**_AT, "src": is_tensor},
    "scatter_reduce.two": {
        **_AT,
        "src": is_tensor,
        "reduce": one_of("sum", "prod", "mean", "amax", "amin"),
        "include_self": is_flag,
    },
    # Products, distances and norms.
    "mm bmm": {"self": is_tensor, "mat2": is_tensor},
    "addmm": {**_SELF, "mat1": is_tensor, "mat2": is_tensor, "beta": is_scalar, "alpha": is_scalar},
    "_cdist_forward": {"x1": is_tensor, "x2": is_tensor, "p": is_scalar, "compute_mode": maybe(whole(0, 2))},
    "convolution": {
        "input": is_tensor,
        "weight": is_tensor,
        "bias": is_maybe_tensor,
        "stride": wholes(1, 255, 1, 2, 3),
        "padding": wholes(0, 255, 1, 2, 3),
        "dilation": wholes(1, 255, 1, 2, 3),
        "transposed": is_flag,
        "output_padding": wholes(0, 255, 1, 2, 3),
        "groups": whole(1, 1 << 16),
    },
    "_native_batch_norm_legit_no_training": {
        **_NORM,
        "running_mean": is_tensor,
        "running_var": is_tensor,
        "momentum": is_scalar,
    },
    "_native_batch_norm_legit.no_stats": {**_NORM, "training": just(True), "momentum": is_scalar},
    "native_group_norm": {**_NORM, "N": _COUNT, "C": _COUNT, "HxW": _COUNT, "group": whole(1, 1 << 16)},
    "native_layer_norm": {**_NORM, "normalized_shape": _COUNTS},
    # Pools, and images of another size.
    "avg_pool1d": {**_pool(1), "count_include_pad": is_flag},
    "avg_pool2d": {**_pool(2), **_AVERAGED},
    "avg_pool3d": {**_pool(3), **_AVERAGED},
    "max_pool2d_with_indices": {**_pool(2), "dilation": _STEPS},
    "max_pool3d_with_indices": {**_pool(3), "dilation": _STEPS},
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d": {
        **_SELF,
        "output_size": wholes(1, 4096, 1, 2, 3),
    },
    "upsample_nearest2d.vec": _SCALED,
    "upsample_bilinear2d.vec": {**_SCALED, "align_corners": is_flag},
    "grid_sampler_2d": {
        "input": is_tensor,
        "grid": is_tensor,
        "interpolation_mode": whole(0, 2),
        "padding_mode": whole(0, 2),
        "align_corners": is_flag,
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
}

CORE_OPERATIONS: Mapping[str, Mapping[str, Check]] = {
    name if "." in name else f"{name}.default": arguments
    for names, arguments in _FAMILIES.items()
    for name in names.split()
}
"""The core operations that exported networks may have, and what each argument may be.

Three more are among them: ``linalg_vector_norm``, which nothing takes apart, and two adaptive pools, one of which would
be taken apart into ``as_strided``.
"""
