"""One task searched by one method, and many methods compared on many tasks."""

from lit_metanas.comparisons.comparison import TableSearch
from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.comparisons.source_search import SourceSearch
from lit_metanas.comparisons.target_search import TargetSearch

__all__ = ["SearchResult", "SourceSearch", "TableSearch", "TargetSearch", "search"]
