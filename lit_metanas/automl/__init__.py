"""One call: data in, a searched and trained network out."""

from typing import TYPE_CHECKING, Any

from lit_metanas.automl.auto import auto

if TYPE_CHECKING:
    from lit_metanas.automl.auto_classifier import AutoClassifier
    from lit_metanas.automl.auto_writers import AutoAnswerer, AutoTranscriber, AutoTranslator

__all__ = ["AutoAnswerer", "AutoClassifier", "AutoTranscriber", "AutoTranslator", "auto"]

_WRITERS = {"AutoAnswerer", "AutoTranscriber", "AutoTranslator"}


def __getattr__(name: str) -> Any:
    """Import an estimator, and scikit-learn with it, when first asked for."""
    if name == "AutoClassifier":
        from lit_metanas.automl.auto_classifier import AutoClassifier

        return AutoClassifier
    if name in _WRITERS:
        from lit_metanas.automl import auto_writers

        return getattr(auto_writers, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
