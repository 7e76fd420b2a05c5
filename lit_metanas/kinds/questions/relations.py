"""Made-up stories of how things stand to each other: on a map, by size, by kind."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from lit_metanas.kinds.questions.story_cast import ANIMALS, DIRECTIONS, ORDINALS, SIDES, Cast
from lit_metanas.kinds.questions.whereabouts import Story

Point = tuple[int, int]


def deduction(cast: Cast, draw: Random) -> Story:
    """What one of a kind fears, as all of it do."""
    kinds = draw.sample(cast.animals, draw.randint(3, 4))
    fears = dict(zip(kinds, kinds[1:] + kinds[:1], strict=True))
    animals = {name: draw.choice(kinds) for name in draw.sample(cast.people, 3)}
    sentences = [f"{ANIMALS[kind]} fear {ANIMALS[feared]}." for kind, feared in fears.items()]
    sentences += [f"{name} is {_one(kind)}." for name, kind in animals.items()]
    draw.shuffle(sentences)
    name = draw.choice(sorted(animals))
    return Story(sentences, f"what does {name} fear?", fears[animals[name]])


def induction(cast: Cast, draw: Random) -> Story:
    """Which colour one has, as the other one of its kind."""
    kinds = draw.sample(cast.animals, 3)
    colours = dict(zip(kinds, draw.sample(cast.colours, 3), strict=True))
    first, *others = draw.sample(cast.people, 4)
    seen = dict(zip(others, kinds, strict=True))
    kind = draw.choice(kinds)
    sentences = [f"{name} is {_one(its)}." for name, its in [*seen.items(), (first, kind)]]
    sentences += [f"{name} is {colours[its]}." for name, its in seen.items()]
    draw.shuffle(sentences)
    return Story(sentences, f"what colour is {first}?", colours[kind])


def neighbour(cast: Cast, draw: Random) -> Story:
    """What lies on one side of a place."""
    facts = _map(cast, draw)
    place, other, direction = draw.choice(facts)
    if draw.random() < 0.5:  # asked from the other side
        place, other, direction = other, place, _opposite(direction)
    return Story(_sentences(facts, draw), f"what is {direction} of the {other}?", place)


def way_to(cast: Cast, draw: Random) -> Story | None:
    """Which way to go, in two steps."""
    facts = _map(cast, draw)
    begin, end = draw.sample(sorted({place for relation in facts for place in relation[:2]}), 2)
    steps = _ways(facts, begin).get(end, [])
    if len(steps) != 2:
        return None
    return Story(_sentences(facts, draw), f"how do you go from the {begin} to the {end}?", ",".join(steps))


def side_of(cast: Cast, draw: Random) -> Story | None:
    """Whether one thing lies on one side of another, which only a third one connects."""
    names = [f"{colour} {thing}" for colour in cast.colours[:3] for thing in cast.things[:3]]
    one, middle, other = draw.sample(names, 3)
    spots: dict[str, Point] = {middle: (0, 0)}
    sentences = []
    for name in (one, other):
        side = draw.choice(list(SIDES))
        spots[name] = SIDES[side]
        sentences.append(f"the {name} is {side} the {middle}.")
    if spots[one] == spots[other]:
        return None
    draw.shuffle(sentences)
    side = draw.choice(list(SIDES))
    (x, y), (along, up) = _plus(spots[one], spots[other], -1), SIDES[side]
    return Story(sentences, f"is the {one} {side} the {other}?", "yes" if x * along + y * up > 0 else "no")


def bigger_one(cast: Cast, draw: Random) -> Story:
    """Which of two things is bigger, where a third one may connect them."""
    things = draw.sample(cast.things, draw.randint(3, 4))  # the biggest first
    sentences = [f"the {big} is bigger than the {small}." for big, small in pairwise(things)]
    draw.shuffle(sentences)
    pair = draw.sample(range(len(things)), 2)
    asked = " or the ".join(things[at] for at in pair)
    return Story(sentences, f"which is bigger, the {asked}?", things[min(pair)])


def place_in_row(cast: Cast, draw: Random) -> Story:
    """Who is at a place of a row, of which each sentence names two neighbours."""
    people = draw.sample(cast.people, 4)
    sentences = [f"{first} is before {second}." for first, second in pairwise(people)]
    draw.shuffle(sentences)
    place = draw.randrange(3)
    return Story(sentences, f"who is the {ORDINALS[place]}?", people[place])


def _one(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


Relation = tuple[str, str, str]  # a place, another one, and in which direction of that the first one lies


def _map(cast: Cast, draw: Random) -> list[Relation]:
    """Places on a grid, each described by its direction from an earlier one; no two are on one spot."""
    places = draw.sample(cast.places, min(len(cast.places), max(4, draw.randint(*cast.sentences))))
    spots: dict[str, Point] = {places[0]: (0, 0)}
    facts: list[Relation] = []
    for place in places[1:]:
        free = [
            (other, direction)
            for other in spots
            for direction, step in DIRECTIONS.items()
            if _plus(spots[other], step) not in spots.values()
        ]
        other, direction = draw.choice(free)
        spots[place] = _plus(spots[other], DIRECTIONS[direction])
        facts.append((place, other, direction))
    return facts


def _sentences(facts: list[Relation], draw: Random) -> list[str]:
    """Each relation from one of its two sides, in any order."""
    sides = [
        (place, direction, other) if draw.random() < 0.5 else (other, _opposite(direction), place)
        for place, other, direction in facts
    ]
    draw.shuffle(sides)
    return [f"the {place} is {direction} of the {other}." for place, direction, other in sides]


def _ways(facts: list[Relation], begin: str) -> dict[str, list[str]]:
    """The steps from one place to each other one, along the facts."""
    ways: dict[str, list[str]] = {begin: []}
    steps = [*facts, *((other, place, _opposite(direction)) for place, other, direction in facts)]
    for _ in facts:
        ways |= {to: [*ways[of], direction] for to, of, direction in steps if of in ways and to not in ways}
    return ways


def _opposite(direction: str) -> str:
    return {"north": "south", "south": "north", "east": "west", "west": "east"}[direction]


def _plus(one: Point, other: Point, sign: int = 1) -> Point:
    return one[0] + sign * other[0], one[1] + sign * other[1]
