"""Rows of a numeric table: how they are made inputs, and tasks of them."""

from lit_metanas.tasks.tabular.row_tasks import TableTask
from lit_metanas.tasks.tabular.standardised_columns import QuantileColumns, StandardisedColumns

__all__ = ["QuantileColumns", "StandardisedColumns", "TableTask"]
