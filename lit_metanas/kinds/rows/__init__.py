"""Rows of a table: what their columns hold, how they are made inputs, and tasks of them."""

from lit_metanas.kinds.rows.columns import Columns
from lit_metanas.kinds.rows.row_tasks import TableTask
from lit_metanas.kinds.rows.text_rows import TextRows

__all__ = ["Columns", "TableTask", "TextRows"]
