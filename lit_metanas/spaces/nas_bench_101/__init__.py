"""NAS-Bench-101."""

from lit_metanas.spaces.nas_bench_101.nas_bench_101_space import NASBench101

__all__ = ["NASBench101"]
