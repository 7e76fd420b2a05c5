"""One call: data in, a searched and trained network out."""

from lit_metanas.automl.auto import auto

__all__ = ["auto"]
