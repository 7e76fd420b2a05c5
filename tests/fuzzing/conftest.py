"""The fixture that all fuzzers share."""

from fuzz_tools import canary

__all__ = ["canary"]
