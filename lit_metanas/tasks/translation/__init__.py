"""Translation: from an input to a text."""

from lit_metanas.tasks.translation.number_words import NumberWords
from lit_metanas.tasks.translation.parallel_tables import ParallelFolder, ParallelTable
from lit_metanas.tasks.translation.parallel_task import ParallelTask
from lit_metanas.tasks.translation.phrase_pairs import PhrasePairs
from lit_metanas.tasks.translation.translation_objective import Translation

__all__ = ["NumberWords", "ParallelFolder", "ParallelTable", "ParallelTask", "PhrasePairs", "Translation"]
