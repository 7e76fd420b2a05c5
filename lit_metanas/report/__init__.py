"""From result files to tables with confidence intervals, figures and a Markdown report."""

from lit_metanas.report.logged_search import log_search
from lit_metanas.report.report_verb import write_report
from lit_metanas.report.table import paired_difference, tables
from lit_metanas.report.table_text import to_markdown, to_rich

__all__ = [
    "log_search",
    "paired_difference",
    "tables",
    "to_markdown",
    "to_rich",
    "write_report",
]
