"""Cells of DARTS and MetaNAS."""

from lit_metanas.spaces.cells.cell_spaces import DARTSCell, MetaNASCell

__all__ = ["DARTSCell", "MetaNASCell"]
