"""The operations that the program of an exported network may have.

They are those of the children of this package's spaces, and torch's core operations, which networks of other spaces are
taken apart into. Left out of the core set are operations that

- give as many numbers as their inputs happen to say: ``nonzero``, ``masked_scatter``, ``_local_scalar_dense``;
- draw random numbers: ``rand``, ``randn``, ``randperm``, ``native_dropout``;
- look at memory instead of numbers: ``as_strided``, ``empty_strided``, ``sym_stride``, ``sym_storage_offset``, outputs
  that are given as arguments, statistics that are changed (``_native_batch_norm_legit``);
- give complex numbers (``_fft_r2c``, ``_fft_c2r``), gradients (all whose names end in ``_backward``), or distances of
  pairs and bags (``_pdist_forward``, ``_embedding_bag``).
"""

from __future__ import annotations

ARITHMETIC = ("_operator.add", "_operator.sub", "_operator.mul", "_operator.floordiv", "_operator.mod")
"""What is computed of sizes, by Python's operators."""

_CHILDREN = """
    add.Tensor amax argmax avg_pool1d avg_pool2d batch_norm bitwise_not cat clamp conv1d conv2d cumsum div.Tensor
    dropout elu embedding eq.Scalar expand feature_dropout flatten.using_ints gather gelu glu group_norm gru.input
    gt.Scalar layer_norm leaky_relu linear masked_fill.Scalar matmul max_pool1d max_pool2d mean.dim mul.Tensor ne.Scalar
    ones_like pad relu relu6 remainder.Scalar reshape select.int sigmoid silu slice.Tensor softmax.int sub.Tensor
    sum.dim_IntList tanh transpose.int unflatten.int unsqueeze zeros_like
"""

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


CORE_OPERATIONS = _named(_CORE) | {*ARITHMETIC}
"""The core operations.

Three more are among them: ``linalg_vector_norm``, which nothing takes apart, and two adaptive pools, one of which would
be taken apart into ``as_strided``.
"""

PROGRAM_OPERATIONS = _named(_CHILDREN) | CORE_OPERATIONS
"""All operations that are run."""
