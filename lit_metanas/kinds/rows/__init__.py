"""Rows of a table: what their columns hold, how they are made inputs, and tasks of them."""
