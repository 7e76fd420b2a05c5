"""The program of an exported network: traced, written, and read without executing code of its file."""

from lit_metanas.training.export.program.program_archive import LARGEST_PROGRAM, read_program, trace_program

__all__ = ["LARGEST_PROGRAM", "read_program", "trace_program"]
