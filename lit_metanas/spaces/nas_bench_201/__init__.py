"""NAS-Bench-201."""

from lit_metanas.spaces.nas_bench_201.nas_bench_201_space import NASBench201, NASBench201Encoding

__all__ = ["NASBench201", "NASBench201Encoding"]
