"""Cells of DARTS and MetaNAS, and ENAS's macro space, which has the same operations."""

from lit_metanas.spaces.cells.cell_spaces import DARTSCell, MetaNASCell
from lit_metanas.spaces.cells.enas_macro_space import ENASMacro

__all__ = ["DARTSCell", "ENASMacro", "MetaNASCell"]
