"""Made-up stories of people who go to places, carry things and give them to each other."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from lit_metanas.kinds.questions.story_cast import COUNTS, MOTIVES, Cast


class Story(NamedTuple):
    """A story with a question."""

    sentences: list[str]  # the oldest first
    question: str
    answer: str  # one word


class _World:
    """Where people and things are while a story goes on."""

    def __init__(self, cast: Cast, draw: Random) -> None:
        self.cast, self.draw = cast, draw
        self.sentences: list[str] = []
        self.at: dict[str, str] = {}
        self.holder: dict[str, str] = {}
        self.ways: dict[str, list[str]] = {}  # the places of each thing that was ever taken, in order

    def move(self, person: str) -> None:
        """One goes to another place, with all that they carry."""
        place = self.draw.choice([place for place in self.cast.places if place != self.at.get(person)])
        self.sentences.append(f"{person} {self.draw.choice(self.cast.moves)} to the {place}.")
        self.at[person] = place
        for thing in self.carried(person):
            self.ways[thing].append(place)

    def take_or_drop(self, person: str) -> None:
        """One takes what nobody holds and may be where they are, or drops something; or goes on."""
        here = self.at.get(person)
        free = [t for t in self.cast.things if t not in self.holder and self.ways.get(t, [here])[-1:] == [here]]
        carried = self.carried(person)
        if here is not None and free and (not carried or self.draw.random() < 0.7):
            thing = self.draw.choice(free)
            self.sentences.append(f"{person} {self.draw.choice(self.cast.takes)} the {thing}.")
            self.holder[thing] = person
            self.ways.setdefault(thing, [here])
        elif carried:
            thing = self.draw.choice(carried)
            self.sentences.append(f"{person} {self.draw.choice(self.cast.drops)} the {thing}.")
            del self.holder[thing]
        else:
            self.move(person)

    def carried(self, person: str) -> list[str]:
        """The things that one holds, in alphabetical order."""
        return sorted(thing for thing, holder in self.holder.items() if holder == person)

    def play(self, sentences: int, moves: float) -> _World:
        """Go on for so many sentences, of which about so large a share are moves."""
        people = self.draw.sample(self.cast.people, 3)
        for _ in range(sentences):
            person = self.draw.choice(people)
            self.move(person) if self.draw.random() < moves else self.take_or_drop(person)
        return self


def two_facts(cast: Cast, draw: Random) -> Story | None:
    """Where a thing is: who has it, or where they dropped it."""
    world = _World(cast, draw).play(2 + cast.length(draw), moves=0.6)
    if not world.ways:
        return None
    thing = draw.choice(sorted(world.ways))
    return Story(world.sentences, f"where is the {thing}?", world.ways[thing][-1])


def carried_count(cast: Cast, draw: Random) -> Story | None:
    """How many things somebody carries."""
    world = _World(cast, draw).play(3 + cast.length(draw), moves=0.25)
    person = draw.choice(sorted(world.at))
    carried = world.carried(person)
    if len(carried) >= len(COUNTS):
        return None
    return Story(world.sentences, f"how many things does {person} carry?", COUNTS[len(carried)])


def yes_or_no(cast: Cast, draw: Random) -> Story:
    """Whether somebody is at a place."""
    world = _World(cast, draw).play(cast.length(draw), moves=1.0)
    person = draw.choice(sorted(world.at))
    place = draw.choice([world.at[person], draw.choice(cast.places)])
    return Story(world.sentences, f"is {person} in the {place}?", "yes" if world.at[person] == place else "no")


def gift(cast: Cast, draw: Random) -> Story | None:
    """Who gave what to whom."""
    people = draw.sample(cast.people, 4)
    holder = dict(zip(draw.sample(cast.things, 3), draw.choices(people, k=3), strict=True))
    sentences = [f"{person} {draw.choice(cast.takes)} the {thing}." for thing, person in holder.items()]
    given: list[tuple[str, str, str]] = []
    for _ in range(cast.length(draw) - 1):
        thing, giver = draw.choice(list(holder.items()))
        getter = draw.choice([person for person in people if person != giver])
        sentences.append(f"{giver} {draw.choice(cast.gives)} the {thing} to {getter}.")
        holder[thing] = getter
        given.append((giver, thing, getter))
    one = draw.choice(given)
    asked = draw.randrange(3)
    if sum(other[:asked] + other[asked + 1 :] == one[:asked] + one[asked + 1 :] for other in given) > 1:
        return None
    giver, thing, getter = one
    question = (
        f"who gave the {thing} to {getter}?",
        f"what did {giver} give to {getter}?",
        f"who got the {thing} from {giver}?",
    )[asked]
    return Story(sentences, question, one[asked])


def motive(cast: Cast, draw: Random) -> Story:
    """Where somebody will go, or why they went there, which only the other stories say."""
    people = draw.sample(cast.people, min(len(cast.people), max(3, cast.length(draw) - 1)))
    moods = [draw.choice(cast.moods) for _ in people]
    sentences, gone = [], []
    for person, mood in zip(people, moods, strict=True):
        sentences.append(f"{person} feels {mood}.")
        gone.append(draw.random() < 0.5)
        if gone[-1]:
            sentences.append(f"{person} {draw.choice(cast.moves)} to the {MOTIVES[mood]}.")
    asked = draw.randrange(len(people))
    if gone[asked]:
        return Story(sentences, f"why did {people[asked]} go to the {MOTIVES[moods[asked]]}?", moods[asked])
    return Story(sentences, f"where will {people[asked]} go?", MOTIVES[moods[asked]])
