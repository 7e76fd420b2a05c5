"""Translation: from an input to a text."""

from lit_metanas.tasks.translation.translation_objective import Translation

__all__ = ["Translation"]
