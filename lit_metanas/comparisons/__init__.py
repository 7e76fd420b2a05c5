"""One task searched by one method, and many methods compared on many tasks."""

from typing import TYPE_CHECKING, Any

from lit_metanas.comparisons.search_result import SearchResult
from lit_metanas.comparisons.single_task import search
from lit_metanas.comparisons.source_search import SourceSearch
from lit_metanas.comparisons.table_search import TableSearch
from lit_metanas.comparisons.target_search import TargetSearch

if TYPE_CHECKING:
    from lit_metanas.comparisons.auto_classifier import AutoClassifier

__all__ = ["AutoClassifier", "SearchResult", "SourceSearch", "TableSearch", "TargetSearch", "search"]


def __getattr__(name: str) -> Any:
    """Import the classifier, and scikit-learn with it, when first asked for."""
    if name == "AutoClassifier":
        from lit_metanas.comparisons.auto_classifier import AutoClassifier

        return AutoClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
