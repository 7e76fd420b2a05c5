"""Random search and regularised evolution as plain loops over lists, to compare the searchers with.

They share no code with the package: a candidate is a tuple of label numbers, a table a dictionary, and candidates of
one ``identity`` are one architecture, which is evaluated and counted once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Candidate = tuple[int, ...]


def random_search(
    labels: Sequence[int], identity: Callable[[Candidate], int], queries: int, draw: random.Random
) -> list[int]:
    """Draw uniformly.

    Args:
        labels: number of labels of each choice.
        identity: the architecture of a candidate.
        queries: how many different architectures to try.
        draw: all randomness.

    Returns:
        The architectures in the order in which they were tried.
    """
    tried: list[int] = []
    while len(tried) < queries:
        architecture = identity(tuple(draw.randrange(number) for number in labels))
        if architecture not in tried:
            tried.append(architecture)
    return tried


def regularised_evolution(
    labels: Sequence[int],
    identity: Callable[[Candidate], int],
    value: Callable[[int], float],
    queries: int,
    draw: random.Random,
    *,
    population: int,
    sample: int,
) -> list[int]:
    """Mutate the best of a sample of the youngest; what was tried already is drawn anew (Real et al. 2019).

    Arguments and result as of ``random_search``; ``value`` scores an architecture, the higher the better.
    """
    tried: list[int] = []
    members: list[tuple[float, Candidate]] = []
    while len(tried) < queries:
        if len(tried) < population:
            candidate = [draw.randrange(number) for number in labels]
        else:
            candidate = list(max((draw.choice(members) for _ in range(sample)), key=lambda member: member[0])[1])
            place = draw.randrange(len(labels))
            candidate[place] = draw.choice([label for label in range(labels[place]) if label != candidate[place]])
        architecture = identity(tuple(candidate))
        if architecture in tried:
            continue
        tried.append(architecture)
        members = [*members, (value(architecture), tuple(candidate))][-population:]
    return tried
