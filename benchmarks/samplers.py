"""What samplers cost a trial once a study has 1,000.

Run: ``python benchmarks/samplers.py --output samplers.json``. Studies in memory of six choices with five labels, as in
NAS-Bench-201, and an objective that costs nothing. The time is the processor's for asking, suggesting and telling, of
which other processes take nothing but caches. ``copied``: the sampler is copied for each trial, as query searches do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from statistics import median

import numpy as np
import optuna
from figure import Figure, show, write
from optuna.samplers import BaseSampler

from lit_metanas.io.text import hardware
from lit_metanas.searchers import MetaSampler, RegularisedEvolution
from lit_metanas.spaces import NASBench201

TARGET = 5.0
MODEL_TARGET = 100.0
"""Of the sampler that weighs all 15,625 cells for each proposal."""
SPACE = NASBench201()
MODEL = "MetaSampler without sources"
OURS: dict[str, Callable[[], BaseSampler]] = {
    "regularised evolution": lambda: RegularisedEvolution(seed=0),
    "regularised evolution, isomorphs known": lambda: RegularisedEvolution(seed=0, space=SPACE),
    MODEL: lambda: MetaSampler(seed=0, space=SPACE),
}
OPTUNAS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: optuna.samplers.RandomSampler(seed=0),
    "TPE": lambda: optuna.samplers.TPESampler(seed=0),
    "NSGA-II": lambda: optuna.samplers.NSGAIISampler(seed=0),
}


def value_of_cells() -> Callable[[dict[str, str]], float]:
    """A function of cells with many local optima: a term for each edge and for each pair of edges."""
    generator = np.random.default_rng(0)
    number = len(SPACE.choices)
    single, pair = generator.normal(size=(number, 5)), generator.normal(size=(number, number, 5, 5))

    def value(labels: dict[str, str]) -> float:
        places = [choice.labels.index(labels[choice.name]) for choice in SPACE.choices]
        pairs = sum(pair[i, j, a, b] for i, a in enumerate(places) for j, b in enumerate(places[:i]))
        return float(sum(single[i, a] for i, a in enumerate(places)) + pairs)

    return value


def milliseconds(make: Callable[[], BaseSampler], *, trials: int, measured: int, copied: bool) -> list[float]:
    """Times of the last ``measured`` trials, the objective left out."""
    sampler, value, times = make(), value_of_cells(), []
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for _ in range(trials + measured):
        start = time.process_time()
        if copied:
            study.sampler = deepcopy(sampler)
        trial = study.ask()
        labels = {c.name: trial.suggest_categorical(f"arch.{c.name}", c.labels) for c in SPACE.choices}
        asked = time.process_time()
        found = value(labels)
        begin = time.process_time()
        study.tell(trial, found)
        times.append(1e3 * (asked - start + time.process_time() - begin))
    return times[-measured:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="trials that the study has (default 1000)")
    parser.add_argument("--measured", type=int, default=100, help="further trials that are measured (default 100)")
    parser.add_argument("--samplers", nargs="+", default=[*OURS, *OPTUNAS], choices=[*OURS, *OPTUNAS], metavar="NAME")
    parser.add_argument("--output", type=Path, help="JSON file to write")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(f"Processor time of a trial in a study of {options.trials}, median and range; {hardware()}")
    figures = []
    for name in options.samplers:
        make = (OURS | OPTUNAS)[name]
        for copied in (False, True) if name in OURS else (False,):
            times = milliseconds(make, trials=options.trials, measured=options.measured, copied=copied)
            figures.append(
                Figure(
                    f"{name}, copied" if copied else name,
                    median(times),
                    "ms",
                    target=(MODEL_TARGET if name == MODEL else TARGET) if name in OURS else None,
                    wanted="at most",
                    spread=(min(times), max(times)),
                )
            )
    show(figures)
    if options.output:
        write(options.output, title="samplers", figures=figures)


if __name__ == "__main__":
    main()
