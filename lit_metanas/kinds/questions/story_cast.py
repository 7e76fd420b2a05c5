"""Who and what the made-up stories are about: pools of words, and the few of them that one task has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random


def _pool(words: str) -> tuple[str, ...]:
    return tuple(words.split())


WOMEN = _pool("ada bea cleo dora edith fay gwen hanna ines judy kira lena mona nora olga paula rosa sofia tess vera")
MEN = _pool("abel boris carl dan eli finn gus hugo ivan jonas karl leo max niels otto peter ravi sam tom viktor")
PLACES = _pool(
    "attic bakery barn cellar chapel farm forge harbour inn library market meadow mill museum orchard palace pier "
    "quarry school shed stable station studio tavern temple theatre tower valley village well"
)
THINGS = _pool(
    "apple axe ball basket bell book bottle brush bucket candle chair clock coin comb cup drum fan flute glove hammer "
    "hat jar kettle key ladder lamp letter map mirror needle pipe plate ring rope spoon stone"
)
ANIMALS = {  # with their plurals
    "badger": "badgers", "bear": "bears", "crow": "crows", "deer": "deer", "duck": "ducks", "eagle": "eagles",
    "fox": "foxes", "goat": "goats", "hare": "hares", "lynx": "lynxes", "otter": "otters", "owl": "owls",
    "seal": "seals", "snake": "snakes", "toad": "toads", "weasel": "weasels",
}  # fmt: skip
PAINTS = ("black", "blue", "brown", "golden", "grey", "orange", "pink", "purple", "red", "silver", "white", "yellow")
MOVES = ("drives", "goes", "heads", "hurries", "rides", "runs", "strolls", "walks")
TAKES = ("grabs", "lifts", "seizes", "takes")
DROPS = ("abandons", "drops", "leaves", "releases")
GIVES = ("gives", "hands", "lends", "passes")
TIMES = ("at dawn", "in the morning", "at noon", "in the afternoon", "in the evening", "at midnight")
MOTIVES = {  # where people go who feel so
    "hungry": "bakery", "thirsty": "well", "tired": "inn", "curious": "library", "bored": "theatre", "cold": "forge",
    "merry": "tavern", "pious": "chapel",
}  # fmt: skip
DIRECTIONS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
SIDES = {"left of": (-1, 0), "right of": (1, 0), "above": (0, 1), "below": (0, -1)}
COUNTS = ("none", "one", "two", "three", "four")
NO_THING = "nothing"

ORDINALS = ("first", "second", "third")
FUNCTION_WORDS = _pool(  # of sentences and questions, apart from the pools
    "a an and before bigger both carry colour did do does either fear feels from gave give go got he how in is longer "
    "many no not of or she than the then they things to was what where which who why will you , . ?"
)


@dataclass(frozen=True)
class Cast:
    """What the stories of one task are made of."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]
    animals: tuple[str, ...]
    colours: tuple[str, ...]
    moods: tuple[str, ...]
    moves: tuple[str, ...]
    takes: tuple[str, ...]
    drops: tuple[str, ...]
    gives: tuple[str, ...]
    sentences: tuple[int, int]  # of a story, at least and at most, roughly

    @property
    def people(self) -> tuple[str, ...]:
        """All names."""
        return self.women + self.men

    def length(self, draw: Random) -> int:
        """The sentences of one story."""
        return draw.randint(*self.sentences)


_POOLS: dict[str, tuple[Sequence[str], int, int]] = {  # of each field of a cast; how many words of it one has
    "women": (WOMEN, 2, 3),
    "men": (MEN, 2, 3),
    "places": (PLACES, 5, 7),
    "things": (THINGS, 4, 6),
    "animals": (tuple(ANIMALS), 4, 6),
    "colours": (PAINTS, 4, 6),
    "moods": (tuple(MOTIVES), 4, 6),
    "moves": (MOVES, 2, 4),
    "takes": (TAKES, 1, 3),
    "drops": (DROPS, 1, 3),
    "gives": (GIVES, 1, 3),
}


def draw_cast(draw: Random) -> Cast:
    """The words and the length of the stories of one task."""
    drawn = {name: tuple(draw.sample(list(pool), draw.randint(*most))) for name, (pool, *most) in _POOLS.items()}
    shortest = draw.randint(3, 5)
    return Cast(**drawn, sentences=(shortest, shortest + draw.randint(1, 4)))


def story_vocabulary() -> tuple[str, ...]:
    """All words of all stories, in alphabetical order."""
    pools = [word for pool, *_ in _POOLS.values() for word in pool]
    more = [*ANIMALS.values(), *DIRECTIONS, *" ".join([*TIMES, *SIDES]).split(), *COUNTS, *ORDINALS]
    return tuple(sorted({*pools, *more, *FUNCTION_WORDS}))
