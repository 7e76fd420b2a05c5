"""Command lines in processes of their own, and a small meta-training for several of them."""

import os
import sys
from pathlib import Path

from tiny import of_class

ROOT = Path(__file__).parents[3]
SPACE = of_class("LayeredSpace", kernels=[1, 3], depths=[2], widths=[4, 6], pools=["max"])
SIZES = {"way": 3, "shot": 2, "query": 3, "tasks_per_step": 2, "steps_per_epoch": 4, "val_episodes": 4}
SOURCE = of_class("meta_toys.Patterns")
DATA = of_class("EpisodeDataModule", source=SOURCE, test_episodes=12, **SIZES)
MODEL = of_class("MetaSearch", space=SPACE, shape=[1, 8, 8])


def command(*words: str, seconds: int = 0) -> list[str]:
    """A command line; with ``seconds`` one that ends in time, even if processes hang, which then ignore SIGTERM."""
    own = [sys.executable, "-m", "lit_metanas", *words]
    return ["timeout", "-k", "5", str(seconds), *own] if seconds else own


def environment() -> dict[str, str]:
    """One in which this package and the toys can be imported."""
    paths = [ROOT, *ROOT.glob("tests/*/toys"), *filter(None, sys.path)]
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    return {**os.environ, **own}
