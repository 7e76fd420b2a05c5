"""Tasks of questions: about stories, answered by one of some words, and about passages, answered by a part of them."""

from lit_metanas.kinds.questions.question_words import QuestionWords
from lit_metanas.kinds.questions.squad import SquadTask
from lit_metanas.kinds.questions.stories import Stories

__all__ = ["QuestionWords", "SquadTask", "Stories"]
