"""Rows of a numeric table: how they are made inputs, and tasks of them."""

from lit_metanas.kinds.rows.row_tasks import TableTask
from lit_metanas.kinds.rows.standardised_columns import QuantileColumns, StandardisedColumns

__all__ = ["QuantileColumns", "StandardisedColumns", "TableTask"]
