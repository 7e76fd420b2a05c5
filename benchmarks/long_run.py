"""Whether a long training stays as it is: memory, open files and logs over many outer steps.

Run: ``python benchmarks/long_run.py --output long_run.json``. A tiny network on noise, 100 steps an epoch, with the
callbacks, the CSV logger and the checkpoint after each epoch that ``lit-metanas fit`` has. Memory is what the process
holds in RAM. Its slope is a least-squares line through the means of 20 equal parts of the run, the first tenth left
out; the interval is Student's of 95 %. The target is for its upper end: 100 bytes a step are 10 MB in 100,000 steps.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from figure import Figure, one_thread, parser_of, report
from lightning.pytorch import Callback, LightningModule, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from lit_metanas.callbacks import ArchitectureFile, ArchitectureLogger
from lit_metanas.meta import PrototypeLoss
from lit_metanas.relaxations import SampledChild
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import EpisodeDataModule, TaskSource
from lit_metanas.training import MetaSearch, Trainer

STEPS, EPOCH, EVERY, PARTS = 10_000, 100, 10, 20
STUDENT = 2.101
"""Quantile of Student's distribution for an interval of 95 % of a slope through 20 points."""


class Noise(TaskSource):
    """Six classes of images that are noise.

    Attributes:
        shape: of an image.
    """

    shape = (1, 8, 8)

    def __init__(self) -> None:
        self.pixels = torch.randint(0, 256, (6, 8, *self.shape), generator=torch.Generator().manual_seed(0))

    def classes(self, subset: str) -> tuple[str, ...]:
        """The same in all subsets."""
        return tuple("abcdef")

    def groups(self, subset: str) -> tuple[str, ...]:
        """One group."""
        return ("noise",) * 6

    def instances(self, subset: str, class_index: int, held_out: bool = False) -> int:
        """Eight."""
        return 0 if held_out else 8

    def inputs(self, subset: str, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """Bytes, shape ``(n, 1, 8, 8)``."""
        return self.pixels[class_index, list(instances)].to(torch.uint8)


@dataclass
class Meter(Callback):
    """Looks at the process every few steps.

    Attributes:
        steps: when.
        memory: bytes in RAM.
        files: open files.
    """

    steps: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look."""
        step = trainer.fit_loop.total_batch_idx + 1
        if step % EVERY == 0:
            self.steps.append(step)
            self.memory.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
            self.files.append(len(os.listdir("/proc/self/fd")))


def train(folder: Path, steps: int, meter: Callback) -> None:
    """Train as ``lit-metanas fit`` does."""
    for name in ("lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    seed_everything(0, verbose=False)
    space = LayeredSpace(shared=True, kernels=(3, 5), activations=("ReLU",), widths=(4,), depths=(1,))
    model = MetaSearch(space=space, shape=Noise.shape, meta_gradient=PrototypeLoss(), relaxation=SampledChild())
    data = EpisodeDataModule(
        source=Noise(),
        way=2,
        query=2,
        steps_per_epoch=EPOCH,
        eval_way=2,
        eval_query=2,
        val_episodes=2,
        tasks_per_step=1,
    )
    last = ModelCheckpoint(folder / "checkpoints", filename="last", enable_version_counter=False)
    Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=steps // EPOCH,
        default_root_dir=folder,
        logger=CSVLogger(folder, name="logs", version="fit"),
        callbacks=[ArchitectureLogger(), ArchitectureFile(), last, meter],
        enable_progress_bar=False,
    ).fit(model, data)


def slope(steps: Sequence[int], values: Sequence[float]) -> tuple[float, float]:
    """Growth a step with half its interval: a line through the means of equal parts, the first tenth left out."""
    points = list(zip(steps, values, strict=True))[len(steps) // 10 :]
    size = len(points) // PARTS
    parts = [points[size * part : size * (part + 1)] for part in range(PARTS)]
    x, y = ([fmean(point[axis] for point in part) for part in parts] for axis in (0, 1))
    middle, level = fmean(x), fmean(y)
    width = sum((one - middle) ** 2 for one in x)
    growth = sum((one - middle) * (other - level) for one, other in zip(x, y, strict=True)) / width
    rest = sum((other - level - growth * (one - middle)) ** 2 for one, other in zip(x, y, strict=True))
    return growth, STUDENT * sqrt(rest / (PARTS - 2) / width)


def measured(folder: Path, steps: int) -> list[Figure]:
    """Train, and report what grew."""
    meter = Meter()
    train(folder, steps, meter)
    growth, half = slope(meter.steps, meter.memory)
    kept = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    settled = meter.files[len(meter.files) // 10 :]
    return [
        Figure("memory a step, upper end", growth + half, "B", 100, "at most", (growth - half, growth + half)),
        Figure("memory at the end", meter.memory[-1] / 2**20, "MB"),
        Figure("more open files at the end", settled[-1] - settled[0], "", 0, "at most"),
        Figure("all files a step", kept / steps, "B", 100, "at most"),
    ]


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    one_thread()
    warnings.filterwarnings("ignore", module="lightning")
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(Path(folder), options.steps)
    report(figures, options.output, f"a training of {options.steps} outer steps")


if __name__ == "__main__":
    main()
