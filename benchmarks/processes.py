"""Two processes against one: episodes a second of the same fit.

Run: ``python benchmarks/processes.py --output processes.json``. Glyphs, 8 episodes a step, one thread a process,
gloo; the first five steps do not count. The target is for tasks of equal cost, with the whole mixture in each; children
that are sampled for each task differ in cost, so that one process waits for the other: evenly drawn ones allow 1.8 at
most. Two fits of one process each, side by side, which share nothing, show what the machine allows. It needs two idle
cores.

All guards of several processes are on, as in ``lit-metanas fit``. The time that their comparisons of what they hold
take, with waiting for each other, is also given as a share of the whole, at the default of one in 50 steps.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from figure import Figure, of_pairs, one_thread, parser_of, report
from fitting import fit, glyphs, sampled, soft
from lightning.pytorch import Callback, LightningModule, Trainer

from lit_metanas.callbacks import ReplicaCheck
from lit_metanas.io.text import hardware
from lit_metanas.training import Preemption

TARGETS = {"soft": 2 * 0.9, "sampled": None}
SEARCHES = {"soft": soft, "sampled": sampled}
TASKS, SKIPPED = 8, 5


class Clock(Callback):
    """Takes the time from one step's end to the last step's."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock."""
        self.times.append(time.perf_counter())

    @property
    def seconds(self) -> float:
        """Of the steps that count."""
        return self.times[-1] - self.times[SKIPPED - 1]

    @property
    def episodes_per_second(self) -> float:
        """Over all processes."""
        return TASKS * (len(self.times) - SKIPPED) / self.seconds


class TimedCheck(ReplicaCheck):
    """Takes the time of each comparison."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def compare(self, trainer: Trainer, module: LightningModule) -> None:
        """Compare, and look at the clock."""
        begin = time.perf_counter()
        super().compare(trainer, module)
        self.times.append(time.perf_counter() - begin)

    @property
    def seconds_a_step(self) -> float:
        """The median comparison, shared by the steps from one to the next."""
        return median(self.times) / self.every_n_steps


def train(search: str, processes: int, steps: int, file: Path) -> None:
    """Fit in this process and its siblings; the first one writes the speed."""
    one_thread()
    clock, check = Clock(), TimedCheck()
    fit(
        SEARCHES[search],
        glyphs(way=5, tasks_per_step=TASKS, steps=steps + SKIPPED),
        callbacks=[check, Preemption(), clock],
        devices=processes,
        strategy="ddp" if processes > 1 else "auto",
    )
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        share = check.seconds_a_step * steps / clock.seconds
        file.write_text(json.dumps([clock.episodes_per_second, share]))


def speed(search: str, processes: int, steps: int, folder: Path) -> tuple[float, float]:
    """Episodes a second of a fit on some processes, and the comparisons' share of its time."""
    file = folder / f"{processes}.txt"
    command = [sys.executable, __file__, "--steps", str(steps), "--worker", search, str(processes), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    episodes, share = json.loads(file.read_text())
    return episodes, share


def side_by_side(search: str, steps: int, folder: Path) -> float:
    """Episodes a second of two fits of one process each, together."""
    files = [folder / f"together{place}.txt" for place in range(2)]
    command = [sys.executable, __file__, "--steps", str(steps), "--worker", search, "1"]
    run_together([[*command, str(file)] for file in files])
    return sum(json.loads(file.read_text())[0] for file in files)


def run_together(commands: Sequence[Sequence[str]]) -> None:
    """Run commands side by side, and wait for all of them.

    Raises:
        SystemExit: one has failed; it says how that one's errors end.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in commands]
        begun = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
            for command, file in zip(commands, files, strict=True)
        ]
        codes = [process.wait() for process in begun]
        for code, file in zip(codes, files, strict=True):
            if code:
                file.seek(0)
                raise SystemExit(f"A fit next to another one ended with {code}:\n{file.read()[-2000:]}")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of fits (default 3)")
    parser.add_argument("--steps", type=int, default=60, help="outer steps of 8 episodes that count (default 60)")
    parser.add_argument(
        "--worker", nargs=3, metavar=("SEARCH", "PROCESSES", "FILE"), help="only fit, on so many processes"
    )
    options = parser.parse_args()
    if options.worker:
        search, processes, file = options.worker
        train(search, int(processes), options.steps, Path(file))
        return
    glyphs(way=5, tasks_per_step=TASKS, steps=1).prepare_data()
    print(f"Fits of {options.steps} steps, {TASKS} episodes each, one thread a process; {hardware()}")
    figures = []
    for search, target in TARGETS.items():
        with tempfile.TemporaryDirectory() as name:
            runs, together = [], []
            for _ in range(options.repeats):
                runs.append([speed(search, n, options.steps, Path(name)) for n in (1, 2)])
                together.append(side_by_side(search, options.steps, Path(name)))
        alone = [one for (one, _), _ in runs]
        figures += [
            Figure(f"{search}, one process", median(alone), "episodes/s"),
            Figure(f"{search}, two processes", median(two for _, (two, _) in runs), "episodes/s"),
            of_pairs(f"{search}, two, times as fast", [two / one for (one, _), (two, _) in runs], target),
            of_pairs(
                f"{search}, two fits side by side",
                [both / one for both, one in zip(together, alone, strict=True)],
                None,
            ),
            Figure(
                f"{search}, two, comparisons",
                median(100 * share for _, (_, share) in runs),
                "%",
                target=1.0,
                wanted="at most",
            ),
        ]
    report(figures, options.output, "processes")


if __name__ == "__main__":
    main()
