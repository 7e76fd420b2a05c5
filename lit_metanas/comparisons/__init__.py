"""Many methods compared on many tasks."""

from lit_metanas.comparisons.source_search import SourceSearch
from lit_metanas.comparisons.table_search import TableSearch
from lit_metanas.comparisons.target_search import TargetSearch

__all__ = ["SourceSearch", "TableSearch", "TargetSearch"]
