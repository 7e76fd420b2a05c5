"""Questions about stories as a task: each answer that is given is a class."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lit_metanas.inputs.shapes import vocabulary_of
from lit_metanas.io.text import number_of, printable
from lit_metanas.kinds.questions.question_words import Asked, QuestionPreprocessing
from lit_metanas.tasks.task import Split, Task, warn_of_data


def story_task(
    id: str,
    parts: tuple[Sequence[Asked], Sequence[Asked], Sequence[Asked]],
    preprocessing: QuestionPreprocessing,
    place: str,
) -> Task:
    """Questions about stories as a task; its classes are all answers, in alphabetical order."""
    answers = sorted({asked.answer for part in parts for asked in part})
    if len(answers) < 2:
        raise ValueError(
            f"All questions of {place} have the answer '{printable(answers[0], 80)}': give such with two or more."
        )
    labels = {answer: label for label, answer in enumerate(answers)}
    splits, cut = [], 0
    for part in parts:
        inputs, incomplete = preprocessing.encode_stories(part)
        splits.append(Split(inputs, torch.tensor([labels[asked.answer] for asked in part], dtype=torch.int64)))
        cut += incomplete
    if cut:
        warn_of_data(
            f"{number_of(cut, 'question')} of {place} and their stories do not fit into {preprocessing.room}: what is "
            "too long is cut. Give a preprocessing with room for more."
        )
    train, val, test = splits
    return Task(
        id=id,
        way=len(answers),
        train=train,
        val=val if len(val) else None,
        test=test,
        classes=tuple(answers),
        vocabulary=vocabulary_of(preprocessing.shape),
        preprocessing=preprocessing,
    )


def vocabulary_texts(asked: Sequence[Asked]) -> list[str]:
    """Each question, and each sentence of a story as often as the story is told, to count a vocabulary on."""
    stories: dict[int, Asked] = {}
    for one in asked:
        if one.seen >= (stories[id(one.story)].seen if id(one.story) in stories else 0):
            stories[id(one.story)] = one
    told = [text for one in stories.values() for text in one.story[: one.seen]]
    return [*told, *(one.question for one in asked)]
