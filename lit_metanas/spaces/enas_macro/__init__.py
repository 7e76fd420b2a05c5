"""ENAS's macro space."""

from lit_metanas.spaces.enas_macro.enas_macro_space import ENASMacro

__all__ = ["ENASMacro"]
