"""Task sources of text."""

from lit_metanas.kinds.texts.byte_pairs import BytePairs
from lit_metanas.kinds.texts.docstrings import Docstrings
from lit_metanas.kinds.texts.ngrams import NGrams
from lit_metanas.kinds.texts.pretrained_tokens import PretrainedTokens
from lit_metanas.kinds.texts.text_source import TextSource, TextTable
from lit_metanas.kinds.texts.text_task import TextTask, task_from_texts
from lit_metanas.kinds.texts.vocabularies import Characters, Words

__all__ = [
    "BytePairs",
    "Characters",
    "Docstrings",
    "NGrams",
    "PretrainedTokens",
    "TextSource",
    "TextTable",
    "TextTask",
    "Words",
    "task_from_texts",
]
