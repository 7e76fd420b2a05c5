"""One call: data in, a searched and trained network out."""

from typing import TYPE_CHECKING, Any

from lit_metanas.automl.auto import auto

if TYPE_CHECKING:
    from lit_metanas.automl.auto_classifier import AutoClassifier

__all__ = ["AutoClassifier", "auto"]


def __getattr__(name: str) -> Any:
    """Import the classifier, and scikit-learn with it, when first asked for."""
    if name == "AutoClassifier":
        from lit_metanas.automl.auto_classifier import AutoClassifier

        return AutoClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
