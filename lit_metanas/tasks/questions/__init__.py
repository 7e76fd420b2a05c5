"""Tasks of questions: about stories, answered by one of some words, and about passages, answered by a part of them."""

from lit_metanas.tasks.questions.babi import BabiFolder, BabiTask
from lit_metanas.tasks.questions.question_sentences import QuestionSentences
from lit_metanas.tasks.questions.question_words import QuestionWords
from lit_metanas.tasks.questions.span import Span
from lit_metanas.tasks.questions.squad import SquadTask
from lit_metanas.tasks.questions.stories import Stories

__all__ = ["BabiFolder", "BabiTask", "QuestionSentences", "QuestionWords", "Span", "SquadTask", "Stories"]
