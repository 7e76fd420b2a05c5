"""Pools of networks with their recipes, each trained on small tasks: from what is found the package ships its records.

One pool each is for series and tokens; their networks are also of the spaces of a search that is given none. Trainings
are written as they finish, one a line, so that an interrupted run goes on:

    python benchmarks/shipped_pools.py --data FOLDER --series FOLDER
    python benchmarks/shipped_pools.py --data FOLDER --pools series

The folders are those of ``mixed_tasks.py``; series need the second one, too.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from figure import one_thread
from mixed_tasks import (
    ARCHIVES,
    Folders,
    Problem,
    archive,
    clinc,
    fsdd,
    hwu,
    languages,
    problems_of,
    snips_intents,
    spellings,
    spoken,
    wake_words,
    xsid,
)
from pair_pool import PairPool

import lit_metanas as lm

RESULTS = Path(__file__).parent / "results" / "shipped"
NETWORKS = {"series": 24, "tokens": 48}
"""In the pool of each kind."""

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
PROBLEMS: Mapping[str, Sequence[Problem]] = {"series": SERIES, "tokens": TOKENS}
USUAL = {
    "operations": ("conv_3", "conv_5", "sep_conv_7", "gated_linear", "attention_4", "gru"),
    "activations": ("ReLU", "GELU"),
    "dropouts": (0.0, 0.2),
    "widths": (32, 64),
    "shared": True,
}
SPACES: Mapping[str, lm.SearchSpace] = {
    "series": lm.SequenceSpace(pools=("max", "avg"), **USUAL),
    "tokens": lm.SequenceSpace(**USUAL),
}
"""Of the pools' networks. The default space of texts has grown since, and holds them."""


def pool_of(kind: str, results: Path = RESULTS) -> PairPool:
    """The pool of a kind of input."""
    return PairPool(results / f"{kind}.jsonl", NETWORKS[kind], SPACES[kind])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--series", type=Path, default=Path(), help="folder of the archives of series")
    parser.add_argument("--pools", nargs="+", choices=[*PROBLEMS], default=[*PROBLEMS])
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the pools")
    options = parser.parse_args(arguments)
    one_thread()
    for kind in options.pools:
        pool_of(kind, options.results).fill(PROBLEMS[kind], Folders(options.data, options.series))


if __name__ == "__main__":
    main()
