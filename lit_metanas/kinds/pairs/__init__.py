"""Translation: from an input to a text."""

from lit_metanas.kinds.pairs.number_words import NumberWords
from lit_metanas.kinds.pairs.parallel_texts import ParallelTask

__all__ = ["NumberWords", "ParallelTask"]
