"""The embedded tasks of questions: made-up stories of people who go to places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from random import Random

import torch

from lit_metanas.inputs.preprocessing import check_range
from lit_metanas.inputs.shapes import Shape, vocabulary_of
from lit_metanas.kinds.questions.question_words import Asked, QuestionWords
from lit_metanas.tasks.task import Split, Task, TaskCollection

STORY_WORDS: Mapping[str, tuple[str, int, int]] = {  # words, and how many of them one task has, at least and at most
    "people": (
        "abel ada bea boris carl cleo dan dora edith eli fay finn gus gwen hanna hugo ines ivan jonas judy karl kira "
        "lena leo max mona niels nora olga otto paula peter ravi rosa sam sofia tess tom vera viktor",
        4,
        6,
    ),
    "places": (
        "attic bakery barn cellar chapel farm forge harbour inn library market meadow mill museum orchard palace pier "
        "quarry school shed stable station studio tavern temple theatre tower valley village well",
        4,
        6,
    ),
    "moves": ("drives goes heads hurries rides runs strolls walks", 2, 3),
}
FUNCTION_WORDS = "is the to where . ?"
SHORTEST_STORY, LONGEST_STORY = 2, 4  # sentences

MOST_STORY_TASKS, MOST_STORIES = 1_000_000, 100_000  # tasks of a collection, and stories of a task


class Stories(TaskCollection):
    """Made-up stories of people who go to places, each with a question: where one of them is.

    A task has people, places and verbs of its own; it is a function of the arguments and its number. Answers are words
    of the story, the place that somebody went to last. No story stands twice in a task. Nothing is read from files. The
    questions are those of the first type that Weston et al. (2015) propose, in other words and with other worlds.

    All tasks share one vocabulary, that of the whole generator, so that a network of one task can start with the
    weights of another one.

    Args:
        tasks: number of tasks, at least 1.
        train: questions to learn from, at least 2.
        val: questions to choose architectures by; 0 leaves the tasks without a validation part.
        test: questions to report accuracy on, at least 1.
        seed: of the tasks, at least 0.

    Raises:
        ValueError: an argument is out of its range.

    Example:
        >>> stories = lm.kinds.Stories(tasks=4, train=20, val=5, test=10)
        >>> task = stories[1]
        >>> task.id, len(task.train), stories[0].shape == task.shape
        ('stories/1', 20, True)
        >>> asked = stories.questions(0)[0][0]
        >>> asked.story[-1], asked.question, asked.answer
        ('fay strolls to the theatre.', 'where is fay?', 'theatre')
    """

    def __init__(self, tasks: int = 20, train: int = 200, val: int = 50, test: int = 100, seed: int = 0) -> None:
        sizes = {"train": (train, 2, MOST_STORIES), "val": (val, 0, MOST_STORIES), "test": (test, 1, MOST_STORIES)}
        check_range("Stories", tasks=(tasks, 1, MOST_STORY_TASKS), seed=(seed, 0, 2**63), **sizes)
        self.tasks = tasks
        self.sizes = train, val, test
        self.seed = seed
        words = " ".join([*(pool for pool, *_ in STORY_WORDS.values()), FUNCTION_WORDS])
        self.preprocessing = QuestionWords().fitted(sorted({*words.split()}))

    @property
    def shape(self) -> Shape:
        """Of one input: the same for all tasks."""
        return self.preprocessing.shape

    def __len__(self) -> int:
        return self.tasks

    def __getitem__(self, index: int) -> Task:
        """Make the stories of one task; its classes are all answers, in alphabetical order."""
        if not 0 <= index < self.tasks:
            raise IndexError(f"task {index} of {self.tasks}")
        parts = self.questions(index)
        answers = sorted({asked.answer for asked in chain(*parts)})
        train, val, test = (
            Split(
                self.preprocessing.encode_stories(part),
                torch.tensor([answers.index(asked.answer) for asked in part], dtype=torch.int64),
            )
            for part in parts
        )
        return Task(
            id=f"stories/{index}",
            way=len(answers),
            train=train,
            val=val,
            test=test,
            classes=tuple(answers),
            vocabulary=vocabulary_of(self.shape),
            preprocessing=self.preprocessing,
        )

    def questions(self, index: int) -> list[list[Asked]]:
        """The questions of the train, val and test parts of one task, with their stories."""
        # Of a text `Random` takes a digest, the same on each machine; Python's own hashes differ between processes.
        draw = Random(f"{self.seed} {index}")  # noqa: S311 (stories are no secrets)
        words = {name: draw.sample(pool.split(), draw.randint(*most)) for name, (pool, *most) in STORY_WORDS.items()}
        found = dict[Asked, None]()
        while len(found) < sum(self.sizes):
            found[_story(words, draw)] = None
        whole = iter(found)
        return [[next(whole) for _ in range(number)] for number in self.sizes]


def _story(words: Mapping[str, Sequence[str]], draw: Random) -> Asked:
    """People go to places, and one of them is asked for."""
    sentences, at = list[str](), dict[str, str]()
    for _ in range(draw.randint(SHORTEST_STORY, LONGEST_STORY)):
        person = draw.choice(words["people"])
        at[person] = draw.choice(words["places"])
        sentences.append(f"{person} {draw.choice(words['moves'])} to the {at[person]}.")
    asked = draw.choice([*at])
    return Asked(f"where is {asked}?", tuple(sentences), at[asked])
