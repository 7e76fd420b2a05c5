"""Budgets, records of searches, results and their files."""

from lit_metanas.records.record import Budget, Cost, Exhausted, SearchOutcome, SearchRecord, TaskScores, Trial
from lit_metanas.records.record_lines import merge_record_lines, read_record_lines, write_record_lines
from lit_metanas.records.result_files import (
    read_architectures,
    read_example_rows,
    read_results,
    write_architectures,
    write_results,
)
from lit_metanas.records.rows import ArchitectureRow, ExampleRow, Protocol, ResultRow, ShownPrediction

__all__ = [
    "ArchitectureRow",
    "Budget",
    "Cost",
    "ExampleRow",
    "Exhausted",
    "Protocol",
    "ResultRow",
    "SearchOutcome",
    "SearchRecord",
    "ShownPrediction",
    "TaskScores",
    "Trial",
    "merge_record_lines",
    "read_architectures",
    "read_example_rows",
    "read_record_lines",
    "read_results",
    "write_architectures",
    "write_record_lines",
    "write_results",
]
