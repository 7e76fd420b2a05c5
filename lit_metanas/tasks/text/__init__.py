"""Task sources of text."""

from lit_metanas.tasks.text.byte_pairs import BytePairs
from lit_metanas.tasks.text.characters import Characters
from lit_metanas.tasks.text.docstrings import Docstrings
from lit_metanas.tasks.text.phrases import Phrases
from lit_metanas.tasks.text.static_vectors import StaticVectors
from lit_metanas.tasks.text.text_folders import TextDataset, TextFolder
from lit_metanas.tasks.text.text_source import SentenceSource, TextSource
from lit_metanas.tasks.text.text_tables import TextTable
from lit_metanas.tasks.text.text_task import TextTask, task_from_texts
from lit_metanas.tasks.text.words import TextPreprocessing, Words

__all__ = [
    "BytePairs",
    "Characters",
    "Docstrings",
    "Phrases",
    "SentenceSource",
    "StaticVectors",
    "TextDataset",
    "TextFolder",
    "TextPreprocessing",
    "TextSource",
    "TextTable",
    "TextTask",
    "Words",
    "task_from_texts",
]
