"""The share of its time that the trainer waits for episodes.

Run: ``python benchmarks/pipeline.py --output pipeline.json``. A fit of the default meta-search on glyphs, docstrings or
synthesised words, one thread; the waiting is what Lightning's own profiler measures around the next batch.
"""

from __future__ import annotations

from figure import Figure, one_thread, parser_of, report
from fitting import episodes, fit, sampled, sampled_sequences
from lightning.pytorch.profilers import SimpleProfiler

from lit_metanas.io.text import hardware
from lit_metanas.kinds import Docstrings, Glyphs, SpokenWords
from lit_metanas.tasks import TaskSource

TARGET = 5.0
SOURCES: dict[str, type[TaskSource]] = {"glyphs": Glyphs, "docstrings": Docstrings, "words": SpokenWords}
SETTINGS = {"5-way": (5, 0), "20-way": (20, 0), "5-way, one worker": (5, 1)}
"""Classes an episode, and processes that draw ahead."""


def waiting(source: TaskSource, way: int, num_workers: int, steps: int) -> tuple[float, float]:
    """The share of waiting in percent, and seconds a step."""
    profiler = SimpleProfiler()
    data = episodes(source, way=way, tasks_per_step=4, steps=steps, num_workers=num_workers)
    fit(sampled if isinstance(source, Glyphs) else sampled_sequences, data, devices=1, profiler=profiler)
    total = sum(profiler.recorded_durations["run_training_epoch"])
    waits = [
        duration
        for name, durations in profiler.recorded_durations.items()
        if name.endswith("train_dataloader_next")
        for duration in durations
    ]
    assert len(waits) >= steps, "Lightning's profiler has renamed the entry of the next batch"
    return 100 * sum(waits) / total, total / steps


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=100, help="outer steps of 4 episodes (default 100)")
    parser.add_argument("--sources", nargs="+", choices=list(SOURCES), default=["glyphs"], help="(default glyphs)")
    options = parser.parse_args()
    one_thread()
    print(f"Fit of {options.steps} steps, 4 episodes each, one thread; {hardware()}")
    figures = []
    for chosen in options.sources:
        source = SOURCES[chosen]()
        source.prepare()
        for setting, (way, num_workers) in SETTINGS.items():
            share, seconds = waiting(source, way, num_workers, options.steps)
            target = None if num_workers else TARGET
            name = f"{chosen}, {setting}"
            figures.append(Figure(f"{name}, waiting for episodes", share, "%", target, "at most"))
            figures.append(Figure(f"{name}, step", 1e3 * seconds, "ms"))
    report(figures, options.output, "pipeline")


if __name__ == "__main__":
    main()
