"""Cells of DARTS and MetaNAS."""

from lit_metanas.spaces.cells.darts_cell import DARTSCell
from lit_metanas.spaces.cells.metanas_cell import MetaNASCell

__all__ = ["DARTSCell", "MetaNASCell"]
