"""Tasks of questions: about stories, answered by one of some words, and about passages, answered by a part of them."""
