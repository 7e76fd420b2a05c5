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
MOVES = ("drives", "goes", "heads", "hurries", "rides", "runs", "strolls", "walks")
TAKES = ("grabs", "lifts", "seizes", "takes")
DROPS = ("abandons", "drops", "leaves", "releases")
GIVES = ("gives", "hands", "lends", "passes")
MOTIVES = {  # where people go who feel so
    "hungry": "bakery", "thirsty": "well", "tired": "inn", "curious": "library", "bored": "theatre", "cold": "forge",
    "merry": "tavern", "pious": "chapel",
}  # fmt: skip
COUNTS = ("none", "one", "two", "three", "four")

FUNCTION_WORDS = _pool(  # of sentences and questions, apart from the pools
    "carry did does feels from gave give go got how in is longer many no not the things to what where who why will "
    ", . ?"
)


@dataclass(frozen=True)
class Cast:
    """What the stories of one task are made of."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]
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
    return tuple(sorted({*pools, *COUNTS, *FUNCTION_WORDS}))
