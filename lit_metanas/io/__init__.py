"""Files: atomic writes, locks, arrays, checkpoints; and the process's memory."""

from lit_metanas.io.allocator import tune_allocator

__all__ = ["tune_allocator"]
