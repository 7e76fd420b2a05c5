"""One rung of eight candidates in one process, in two, and in two with bf16: the time on the clock.

Run: ``python benchmarks/workers.py --output workers.json``. The candidates are the networks that a search of images
begins with; each is trained for the same FLOPs on colour images of 32 x 32, with one thread. The scores and weights of
one worker and of two are checked to be equal. The ways go in turn, and each ratio is of one round. It needs two idle
cores, and bf16 units for the last figure.
"""

from __future__ import annotations

import time
from functools import partial

import torch
from figure import Figure, of_pairs, one_thread, parser_of, report

from lit_metanas.estimators import TrainingEstimator
from lit_metanas.estimators.estimator import Query
from lit_metanas.io.text import hardware
from lit_metanas.kinds import task_from_arrays
from lit_metanas.kinds.images.image_kind import ImageKind
from lit_metanas.records import Budget, SearchOutcome
from lit_metanas.searchers import EvolvingHalving
from lit_metanas.spaces import GridSpace
from lit_metanas.spaces.choice_space import complete
from lit_metanas.training.precision import BF16, FLOAT32
from lit_metanas.training.workers import worker_processes

CANDIDATES, CLASSES, IMAGES = 8, 12, 480
WAYS = {"one worker": (1, FLOAT32), "two workers": (2, FLOAT32), "two workers, bf16": (2, BF16)}
TARGETS = {"two workers": 1.85, "two workers, bf16": 3.0}


def rung(flops: float, workers: int, precision: str) -> tuple[float, SearchOutcome]:
    """Train the candidates; returns the seconds and the outcome."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(IMAGES) % CLASSES
    images = torch.rand(CLASSES, 3, 32, 32, generator=generator)[labels]
    images = (images + torch.rand(IMAGES, 3, 32, 32, generator=generator)) / 2
    task, space = task_from_arrays(images, labels), GridSpace()
    chosen = [Query.of(complete(space, space.by_choice(labels)), {}) for labels in ImageKind.first]
    while len(chosen) < CANDIDATES:
        chosen.append(Query.of(space.sample(generator), {}))
    method = EvolvingHalving(first=chosen, candidates=(CANDIDATES,), rungs=(1.0,), finish=False)
    estimator = TrainingEstimator(task, space, seed=0, precision=precision)
    begin = time.perf_counter()
    with worker_processes(workers):
        found = method.run(estimator, space, Budget(flops=flops), 0, problem=task.id)
    return time.perf_counter() - begin, found


def check_equal(one: SearchOutcome, other: SearchOutcome) -> None:
    """Two outcomes have the same scores, and the best networks the same weights."""
    assert [trial.value for trial in one.record.trials] == [trial.value for trial in other.record.trials]
    assert len(one.record.trials) == CANDIDATES
    assert one.weights is not None
    assert other.weights is not None
    assert all(torch.equal(tensor, other.weights[name]) for name, tensor in one.weights.items())


def main() -> None:
    """Measure, print and write."""
    parser = parser_of(__doc__)
    parser.add_argument("--flops", type=float, default=2e11, help="training FLOPs of the rung (default 2e11)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all ways (default 5)")
    options = parser.parse_args()
    one_thread()
    print(f"{CANDIDATES} candidates, {options.flops:g} FLOPs, {options.rounds} rounds; {hardware()}")
    train = partial(rung, options.flops)
    check_equal(train(*WAYS["one worker"])[1], train(*WAYS["two workers"])[1])
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(options.rounds):
        for name in list(WAYS)[:: 1 if number % 2 else -1]:
            seconds[name].append(train(*WAYS[name])[0])
    base = seconds["one worker"]
    figures = [Figure("one worker", sum(base) / len(base), "s", spread=(min(base), max(base)))]
    for name, target in TARGETS.items():
        ratios = [one / other for one, other in zip(base, seconds[name], strict=True)]
        figures.append(of_pairs(f"{name}: times as fast", ratios, target))
    report(figures, options.output, "workers")


if __name__ == "__main__":
    main()
