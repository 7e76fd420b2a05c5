"""The embedded tasks of questions: made-up stories of people who go to places, carry things and have moods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from random import Random

import torch

from lit_metanas.inputs.preprocessing import check_range
from lit_metanas.inputs.shapes import Shape, vocabulary_of
from lit_metanas.io.text import hint
from lit_metanas.kinds.questions.question_words import Asked, QuestionWords
from lit_metanas.tasks.task import Split, Task, TaskCollection

MOTIVES = {  # where people go who feel so
    "hungry": "bakery", "thirsty": "well", "tired": "inn", "curious": "library", "bored": "theatre", "cold": "forge",
    "merry": "tavern", "pious": "chapel",
}  # fmt: skip
COUNTS = ("none", "one", "two", "three", "four")  # of things that one person carries

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
        5,
        7,
    ),
    "things": (
        "apple axe ball basket bell book bottle brush bucket candle chair clock coin comb cup drum fan flute glove "
        "hammer hat jar kettle key ladder lamp letter map mirror needle pipe plate ring rope spoon stone",
        4,
        6,
    ),
    "moods": (" ".join(MOTIVES), 4, 6),
    "moves": ("drives goes heads hurries rides runs strolls walks", 2, 4),
    "takes": ("grabs lifts seizes takes", 1, 3),
    "drops": ("abandons drops leaves releases", 1, 3),
}
FUNCTION_WORDS = "carry did does feels go how in is many no the things to where why will yes . ?"

MOST_STORY_TASKS, MOST_STORIES = 1_000_000, 100_000  # tasks of a collection, and stories of a task
_CHOSEN_AMONG, _TRIES = 3, 500


class Stories(TaskCollection):
    """Made-up stories, each with a question of one type: how many things one carries, where one is, what moves people.

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
        >>> stories = lm.kinds.Stories(types=["motives", "counting"], tasks=4, train=20, val=5, test=10)
        >>> task = stories[1]
        >>> task.id, task.classes, len(task.train), stories[0].shape == task.shape
        ('stories/counting/1', ('none', 'one', 'three', 'two'), 20, True)
        >>> asked = stories.questions(0)[0][0]
        >>> asked.story[:2], asked.question, asked.answer
        (('judy feels cold.', 'judy heads to the forge.'), 'why did judy go to the forge?', 'cold')
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
        self.sizes = train, val, test
        self.seed = seed
        words = " ".join([*(pool for pool, *_ in STORY_WORDS.values()), *COUNTS, FUNCTION_WORDS])
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
                self.preprocessing.encode_stories(part)[0],
                torch.tensor([answers.index(asked.answer) for asked in part], dtype=torch.int64),
            )
            for part in parts
        )
        return Task(
            id=f"stories/{self.types[index % len(self.types)]}/{index}",
            way=len(answers),
            train=train,
            val=val,
            test=test,
            classes=tuple(answers),
            vocabulary=vocabulary_of(self.shape),
            preprocessing=self.preprocessing,
        )

    def questions(self, index: int) -> list[list[Asked]]:
        """The questions of the train, val and test parts of one task, with their stories.

        Raises:
            ValueError: there are not as many different ones.
        """
        name = self.types[index % len(self.types)]
        # Of a text `Random` takes a digest, the same on each machine; Python's own hashes differ between processes.
        draw = Random(f"{self.seed} {index} {name}")  # noqa: S311 (stories are no secrets)
        words = {name: draw.sample(pool.split(), draw.randint(*most)) for name, (pool, *most) in STORY_WORDS.items()}
        shortest = draw.randint(3, 5)
        lengths = range(shortest, shortest + draw.randint(2, 5))
        known: set[Asked] = set()
        parts = []
        for number in self.sizes:
            counts: Counter[str] = Counter()
            parts.append(list[Asked]())
            for _ in range(number):
                tries = (QUESTION_TYPES[name](_World(words, draw), draw.choice(lengths)) for _ in range(_TRIES))
                new = list(islice((one for one in tries if one not in known), _CHOSEN_AMONG))
                if not new:
                    raise ValueError(
                        f"Stories: there are only about {len(known)} different questions of the type '{name}': lower "
                        "train, val or test."
                    )
                # Of a few that could come next, the one whose answer was given least often.
                chosen = min(new, key=lambda one: counts[one.answer])
                counts[chosen.answer] += 1
                known.add(chosen)
                parts[-1].append(chosen)
        return parts


class _World:
    """Where people and things are while a story goes on."""

    def __init__(self, words: Mapping[str, Sequence[str]], draw: Random) -> None:
        self.words, self.draw = words, draw
        self.sentences: list[str] = []
        self.at: dict[str, str] = {}  # by person
        self.holder: dict[str, str] = {}  # by thing
        self.left: dict[str, str] = {}  # by thing that was dropped, the place

    def any_of(self, pool: str) -> str:
        """A word of a pool."""
        return self.draw.choice(self.words[pool])

    def move(self, person: str) -> None:
        """One goes to another place, with all that they carry."""
        place = self.draw.choice([place for place in self.words["places"] if place != self.at.get(person)])
        self.sentences.append(f"{person} {self.any_of('moves')} to the {place}.")
        self.at[person] = place

    def take_or_drop(self, person: str) -> None:
        """One takes what nobody holds and may be where they are, or drops something; or goes on."""
        here, carried = self.at.get(person), self.carried(person)
        free = [each for each in self.words["things"] if each not in self.holder and self.left.get(each, here) == here]
        few = len(carried) < len(COUNTS) - 1
        if here is not None and free and few and (not carried or self.draw.random() < 0.7):
            thing = self.draw.choice(free)
            self.sentences.append(f"{person} {self.any_of('takes')} the {thing}.")
            self.holder[thing] = person
        elif here is not None and carried:
            thing = self.draw.choice(carried)
            self.sentences.append(f"{person} {self.any_of('drops')} the {thing}.")
            del self.holder[thing]
            self.left[thing] = here
        else:
            self.move(person)

    def carried(self, person: str) -> list[str]:
        """The things that one holds."""
        return [thing for thing, holder in self.holder.items() if holder == person]

    def play(self, sentences: int, moves: float) -> str:
        """Go on for so many sentences, of which about so large a share are moves; somebody who was in one."""
        people = self.draw.sample(self.words["people"], 3)
        for _ in range(sentences):
            person = self.draw.choice(people)
            self.move(person) if self.draw.random() < moves else self.take_or_drop(person)
        return self.draw.choice([*self.at])


def _counting(world: _World, length: int) -> Asked:
    person = world.play(3 + length, moves=0.25)
    return Asked(f"how many things does {person} carry?", tuple(world.sentences), COUNTS[len(world.carried(person))])


def _yes_or_no(world: _World, length: int) -> Asked:
    person = world.play(length, moves=1.0)
    place = world.draw.choice([world.at[person], world.any_of("places")])
    answer = ("no", "yes")[world.at[person] == place]
    return Asked(f"is {person} in the {place}?", tuple(world.sentences), answer)


def _motive(world: _World, length: int) -> Asked:
    """Where somebody will go, or why they went there, which only the other stories say."""
    people = world.words["people"]
    chosen = world.draw.sample(people, min(len(people), max(3, length - 1)))
    moods = {person: world.any_of("moods") for person in chosen}
    gone = {person for person in chosen if world.draw.random() < 0.5}
    for person, mood in moods.items():
        world.sentences.append(f"{person} feels {mood}.")
        if person in gone:
            world.sentences.append(f"{person} {world.any_of('moves')} to the {MOTIVES[mood]}.")
    asked = world.draw.choice(chosen)
    place = MOTIVES[moods[asked]]
    if asked in gone:
        return Asked(f"why did {asked} go to the {place}?", tuple(world.sentences), moods[asked])
    return Asked(f"where will {asked} go?", tuple(world.sentences), place)


# What makes a story with a question of each type, of about so many sentences.
QUESTION_TYPES: dict[str, Callable[[_World, int], Asked]] = {
    "counting": _counting,
    "yes-or-no": _yes_or_no,
    "motives": _motive,
}
