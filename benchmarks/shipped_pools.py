"""Pools of networks with their recipes, each trained on small tasks: from what is found the package ships its records.

One pool each is for images, series and tokens; their spaces are those of a search that is given none. Trainings are
written as they finish, one a line, so that an interrupted run goes on:

    python benchmarks/shipped_pools.py --data FOLDER --series FOLDER
    python benchmarks/shipped_pools.py --data FOLDER --pools images

The folders are those of ``mixed_tasks.py``; series need the second one, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import torch
from mixed_tasks import (
    ARCHIVES,
    Folders,
    Problem,
    archive,
    caltech,
    clinc,
    divide,
    fsdd,
    hwu,
    languages,
    omniglot,
    problems_of,
    snips_intents,
    spellings,
    spoken,
    task_of,
    wake_words,
    xsid,
)
from pair_pool import PairPool

import lit_metanas as lm

RESULTS = Path(__file__).parent / "results" / "shipped"
NETWORKS = {"images": 24, "series": 24, "tokens": 48}
"""In the pool of each kind."""
ALPHABETS = ("Greek", "Korean", "Gujarati", "Japanese_(hiragana)", "Latin", "Tibetan")


def letters(index: int, folders: Folders) -> lm.Task:
    """Ten letters of the package's own source; the test part is of faces that no other part shows."""
    del folders
    return lm.draw_task(_glyphs(), "train", index=index, way=10, train=20, val=10, test=30)


@cache
def _glyphs() -> lm.Glyphs:
    return lm.Glyphs(pool=1)


def digits(folders: Folders) -> lm.Task:
    """Handwritten digits of 8 times 8 pixels, which scikit-learn ships."""
    from sklearn.datasets import load_digits  # an extra, for this one task

    del folders
    found = load_digits()
    images = torch.from_numpy(found.images / 16).float()[:, None]
    return task_of("digits/all", images, found.target.tolist(), divide(found.target.tolist(), (20, 10, 60)))


IMAGES = (
    *problems_of("omniglot", omniglot, ALPHABETS),
    *(Problem("glyphs", f"train/{place}", partial(letters, place)) for place in range(4)),
    *problems_of("caltech", caltech, range(0, 8, 2)),
    Problem("digits", "all", digits),
)
SERIES = (
    *problems_of("fsdd", fsdd, (0, 1)),
    *problems_of("wake", wake_words, ("Picovoice", "OpenVoiceOS")),
    *problems_of("spoken", spoken, ("train", "test")),
    *(
        Problem(name, "all", partial(archive, name=name, every=every, sizes=sizes))
        for name, (every, sizes) in ARCHIVES.items()
    ),
)
TOKENS = (
    *problems_of("clinc", clinc, ("banking",)),
    *problems_of("hwu64", hwu, (0,)),
    *problems_of("xsid", xsid, ("de",)),
    *problems_of("tatoeba", languages, (0,)),
    Problem("snips", "intents", snips_intents),
    Problem("g2p", "spellings", spellings),
    *problems_of("clinc", clinc, ("travel", "work")),
    *problems_of("hwu64", hwu, (16,)),
    *problems_of("xsid", xsid, ("it",)),
)
PROBLEMS: Mapping[str, Sequence[Problem]] = {"images": IMAGES, "series": SERIES, "tokens": TOKENS}
SHAPES: Mapping[str, lm.Shape] = {
    "images": lm.ImageShape(1, 28, 28), "series": lm.SeriesShape(6, 40), "tokens": lm.TokenShape(100, 20),
}  # fmt: skip


def pool_of(kind: str, results: Path = RESULTS) -> PairPool:
    """The pool of a kind of input."""
    return PairPool(results / f"{kind}.jsonl", NETWORKS[kind], lm.default_space(SHAPES[kind]))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--series", type=Path, default=Path(), help="folder of the archives of series")
    parser.add_argument("--pools", nargs="+", choices=[*PROBLEMS], default=[*PROBLEMS])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pools")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.io.tune_allocator()
    for kind in options.pools:
        pool_of(kind, options.results).fill(PROBLEMS[kind], Folders(options.data, options.series))


if __name__ == "__main__":
    main()
