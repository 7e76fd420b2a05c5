"""Tasks of glyphs that want different networks: twelve sources, and four targets of other scripts."""

from __future__ import annotations

from dataclasses import dataclass

from altered_images import AlteredImages

from lit_metanas.tasks import Glyphs, Subset, Task, draw_task

VAL = TEST = 40
"""Images a class."""


@dataclass(frozen=True)
class Kind:
    """What sort of task.

    Attributes:
        name: its name, the first part of its tasks' ids.
        way: number of classes.
        train: training images a class.
        negative: whether the letters are black on white.
        noise: standard deviation of what is added to each pixel.
        halved: whether the images have half the side.
    """

    name: str
    way: int = 10
    train: int = 20
    negative: bool = False
    noise: float = 0.0
    halved: bool = False


KINDS = {
    kind.name: kind
    for kind in (
        Kind("glyphs"),
        Kind("small", halved=True),
        Kind("few", train=8, halved=True),
        Kind("ways", way=20, train=10, halved=True),
        Kind("noisy", noise=0.5, halved=True),
        Kind("negative", negative=True, halved=True),
        Kind("negative-noisy", negative=True, noise=0.5, halved=True),
    )
}


@dataclass(frozen=True)
class Problem:
    """A task to be drawn.

    Attributes:
        kind: name of its kind.
        subset: ``train`` for sources; ``test``, of other scripts, for targets.
        index: which task of that kind.
    """

    kind: str
    subset: Subset
    index: int

    @property
    def id(self) -> str:
        """The id of the drawn task."""
        return f"{self.kind}/{self.subset}/{self.index}"

    def draw(self) -> Task:
        """Draw the task; test images are of faces that no other image shows."""
        kind = KINDS[self.kind]
        # Instances that only target tasks need are rendered when asked for.
        images = AlteredImages(Glyphs(pool=1), self.kind, kind.negative, kind.noise, kind.halved)
        return draw_task(
            images, self.subset, seed=0, index=self.index, way=kind.way, train=kind.train, val=VAL, test=TEST
        )


SOURCES = tuple(
    Problem(kind, "train", index)
    for kind in ("glyphs", "small", "few", "ways", "noisy", "negative")
    for index in range(2)
)
TARGETS = tuple(Problem(kind, "test", 0) for kind in ("glyphs", "few", "ways", "negative-noisy"))
"""The last one's kind has no source: it combines what two kinds of sources have."""
REPEATED = (SOURCES[2], SOURCES[8], TARGETS[1], TARGETS[2])
"""Trained with a second seed, too: how well the rankings of two seeds agree is what a prediction can reach."""
