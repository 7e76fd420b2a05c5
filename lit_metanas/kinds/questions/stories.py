"""The embedded tasks of questions: made-up stories of several kinds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from random import Random

from lit_metanas.inputs.shapes import Shape
from lit_metanas.inputs.tokens import check_range
from lit_metanas.io.text import hint
from lit_metanas.kinds.questions import whereabouts
from lit_metanas.kinds.questions.question_words import Asked, QuestionWords, story_task
from lit_metanas.kinds.questions.story_cast import Cast, draw_cast, story_vocabulary
from lit_metanas.kinds.questions.whereabouts import Story
from lit_metanas.tasks.task import Task, TaskCollection

QUESTION_TYPES: Mapping[str, Callable[[Cast, Random], Story | None]] = {
    "two-facts": whereabouts.two_facts,
    "counting": whereabouts.carried_count,
    "yes-or-no": whereabouts.yes_or_no,
    "gifts": whereabouts.gift,
    "motives": whereabouts.motive,
}
"""What makes a story with a question of each type, or None if nothing can be asked."""

MOST_STORY_TASKS, MOST_STORIES = 1_000_000, 100_000  # tasks of a collection, and stories of a task
_CHOSEN_AMONG, _TRIES = 3, 500


class Stories(TaskCollection):
    """Made-up stories, each with a question of one type: where a thing is, how many are carried, who gave what.

    A task has one question type, and people, places, things, verbs and lengths of stories of its own; it is a function
    of the arguments and its number. Answers are words of the story, or such as ``yes`` and ``two``, and are nearly
    equally frequent. No story stands twice in a task. Nothing is read from files. The types are some of those
    that Weston et al. (2015) propose, in other words and with other worlds.

    All tasks share one vocabulary, that of the whole generator, so that a network of one question type can start with
    the weights of another one.

    Args:
        types: the names of the question types that the tasks are of, in turn; None takes all.
        tasks: number of tasks, at least 1.
        train: questions to learn from, at least 2.
        val: questions to choose architectures by; 0 leaves the tasks without a validation part.
        test: questions to report accuracy on, at least 1.
        seed: of the tasks, at least 0.

    Raises:
        ValueError: a question type does not exist or stands twice, or an argument is out of its range.

    Example:
        >>> stories = lm.kinds.Stories(types=["two-facts", "counting"], tasks=4, train=20, val=5, test=10)
        >>> task = stories[1]
        >>> task.id, task.classes, len(task.train), stories[0].shape == task.shape
        ('stories/counting/1', ('four', 'none', 'one', 'three', 'two'), 20, True)
        >>> asked = stories.questions(0)[0][0]
        >>> asked.story[:2], asked.question, asked.answer
        (['nora strolls to the pier.', 'nora strolls to the valley.'], 'where is the jar?', 'station')
    """

    def __init__(
        self,
        types: list[str] | None = None,
        tasks: int = 20,
        train: int = 200,
        val: int = 50,
        test: int = 100,
        seed: int = 0,
    ) -> None:
        sizes = {"train": (train, 2, MOST_STORIES), "val": (val, 0, MOST_STORIES), "test": (test, 1, MOST_STORIES)}
        check_range("Stories", tasks=(tasks, 1, MOST_STORY_TASKS), seed=(seed, 0, 2**63), **sizes)
        self.types = tuple(QUESTION_TYPES if types is None else types)
        for name in self.types:
            if name not in QUESTION_TYPES:
                fix = hint(name, QUESTION_TYPES, f"use {', '.join(QUESTION_TYPES)}.")
                raise ValueError(f"Stories has no question type '{name}': {fix}")
        if not self.types or len(set(self.types)) < len(self.types):
            raise ValueError("Stories: there is no question type, or one stands twice: name one or more, each once.")
        self.tasks = tasks
        self.train = train
        self.val = val
        self.test = test
        self.seed = seed
        self.preprocessing = QuestionWords().fitted(story_vocabulary())

    @property
    def shape(self) -> Shape:
        """Of one input: the same for all tasks."""
        return self.preprocessing.shape

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self.tasks

    def __getitem__(self, index: int) -> Task:
        """Make the stories of one task."""
        if not 0 <= index < self.tasks:
            raise IndexError(f"task {index} of {self.tasks}")
        id = f"stories/{self.types[index % len(self.types)]}/{index}"
        return story_task(id, self.questions(index), self.preprocessing)

    def questions(self, index: int) -> tuple[list[Asked], list[Asked], list[Asked]]:
        """The questions of the train, val and test parts of one task, with their stories.

        Raises:
            ValueError: there are not as many different ones.
        """
        name = self.types[index % len(self.types)]
        draw = Random(f"{self.seed} {index} {name}")  # noqa: S311 (stories are no secrets)
        cast, known = draw_cast(draw), set[str]()
        train, val, test = (_ask(name, cast, number, draw, known) for number in (self.train, self.val, self.test))
        return train, val, test


def _ask(name: str, cast: Cast, number: int, draw: Random, known: set[str]) -> list[Asked]:
    """New questions: of a few that could come next, each time the one whose answer was given least often."""
    counts: Counter[str] = Counter()
    found: list[Asked] = []
    for _ in range(number):
        tries = (QUESTION_TYPES[name](cast, draw) for _ in range(_TRIES))
        fresh = (one for one in tries if one is not None and " ".join([*one.sentences, one.question]) not in known)
        new = list(islice(fresh, _CHOSEN_AMONG))
        if not new:
            raise ValueError(
                f"Stories: there are only about {len(known)} different questions of the type '{name}': lower train, "
                "val or test."
            )
        chosen = min(new, key=lambda one: counts[one.answer])
        counts[chosen.answer] += 1
        known.add(" ".join([*chosen.sentences, chosen.question]))
        found.append(Asked(chosen.question, chosen.sentences, chosen.answer))
    return found
