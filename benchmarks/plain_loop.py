"""What a meta-training costs besides its steps: ``lit-metanas fit`` against a plain PyTorch loop of the same steps.

Run: ``python benchmarks/plain_loop.py --omniglot omniglot.npz --output plain_loop.json``. CPU seconds of whole
processes with one thread, from start to end: prototypical networks on Omniglot with the pyramid, 60 classes a step, one
support and one query image each. Both load the images, step with Adam and a half cosine, validate on 100 episodes of 20
classes every 1,000 steps and at the end, and save the weights; with ``--without-validation`` neither validates. ``fit``
also refreshes batch-norm statistics, where the plain loop has moving averages, logs, guards and writes checkpoints.
Each round has its own seed, and the validation accuracies at the end are compared in pairs. Where the machine's speed
changes from minute to minute, ``--together`` runs both sides of a round at once.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from figure import Figure, one_thread, parser_of, report

from lit_metanas.io.text import hardware
from lit_metanas.kinds import Omniglot
from lit_metanas.spaces import LayeredSpace
from lit_metanas.spaces.supernet import ChildNetwork
from lit_metanas.training.precision import BF16, FLOAT32

ROOT = Path(__file__).parents[1]
WAY, SHAPE = 60, (1, 28, 28)
EPOCH, EPISODES, EVAL_WAY, EVAL_QUERY = 1000, 100, 20, 5
WIDTHS = {f"layer{place}.width": [str(width)] for place, width in enumerate((16, 32, 64, 64), start=1)}
SPACE = LayeredSpace(
    kernels=(3,), pools=("avg",), activations=("ReLU",), dropouts=(0.0,), widths=(16, 32, 64), fixed=WIDTHS
)
TARGETS = {FLOAT32: {1e12: 1.15, 8e12: 1.08}, BF16: {2e12: 0.6}}


def draw(images: torch.Tensor, way: int, query: int) -> torch.Tensor:
    """One support and some query images of each of some classes, shape ``(way * (1 + query), 1, 28, 28)``."""
    chosen = torch.randperm(len(images))[:way]
    instances = torch.rand(way, 20).argsort(1)[:, : 1 + query]
    drawn = images[chosen[:, None], instances].float().div(255).transpose(0, 1)
    return drawn.reshape(-1, *SHAPE).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def validate(network: ChildNetwork, images: torch.Tensor) -> float:
    """Mean accuracy on episodes, batch-norm with its moving averages."""
    network.eval()
    right = 0
    labels = torch.arange(EVAL_WAY).repeat(EVAL_QUERY)
    for _ in range(EPISODES):
        features = network.embed(draw(images, EVAL_WAY, EVAL_QUERY))
        nearest = torch.cdist(features[EVAL_WAY:], features[:EVAL_WAY]).argmin(1)
        right += int((nearest == labels).sum())
    network.train()
    return right / (EPISODES * EVAL_WAY * EVAL_QUERY)


def plain_loop(flops: float, omniglot: str, validates: bool, seed: int) -> None:
    """The textbook loop: draw classes, embed support and query together, step on the distances to the prototypes."""
    one_thread()
    torch.manual_seed(seed)
    source = Omniglot(omniglot)
    images, held_out = (
        torch.stack([source.inputs(subset, c, range(20)) for c in range(len(source.classes(subset)))])
        for subset in ("train", "val")
    )
    architecture = SPACE.sample(torch.Generator())
    network = SPACE.child(architecture, SHAPE, WAY).to(memory_format=torch.channels_last)
    steps = math.ceil(flops / (3 * SPACE.cost(architecture, SHAPE, WAY).flops * 2 * WAY))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    labels = torch.arange(WAY)
    for step in range(1, steps + 1):
        features = network.embed(draw(images, WAY, 1))
        distances = torch.cdist(features[WAY:], features[:WAY]).square()
        loss = F.cross_entropy(-0.1 * distances, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if validates and (step % EPOCH == 0 or step == steps):
            print(f"plain: validation accuracy {100 * validate(network, held_out):.1f} %")
    with tempfile.NamedTemporaryFile() as file:
        torch.save(network.state_dict(), file.name)


def run(command: list[str]) -> tuple[float, float]:
    """CPU time of one command, of its children, too, and the accuracy in per cent that it prints last, if any."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}.")
        printed.seek(0)
        accuracies = re.findall(r"accuracy (\d+\.\d)", printed.read())
    return usage.ru_utime + usage.ru_stime, float(accuracies[-1]) if accuracies else math.nan


def run_both(commands: Mapping[str, list[str]], *, together: bool) -> dict[str, tuple[float, float]]:
    """What ``run`` returns for each command; together both meet the same speed of the machine."""
    with ThreadPoolExecutor(len(commands) if together else 1) as pool:
        return dict(zip(commands, pool.map(run, commands.values()), strict=True))


def fit(flops: float, omniglot: str, validates: bool, seed: int, precision: str) -> list[str]:
    """The command of the program."""
    return [
        *(sys.executable, "-m", "lit_metanas", "fit", "-c", "configs/fit/pyramid_wide.yaml"),
        *("-c", "configs/protocols/omniglot.yaml"),
        *(f"--data.source.root={omniglot}", f"--model.flops={flops}", f"--model.seed={seed}", f"--data.seed={seed}"),
        f"--trainer.precision={precision}",
        *(() if validates else ("--trainer.limit_val_batches=0",)),
    ]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--omniglot", required=True, help="a folder in torchvision's layout, or a compact .npz file")
    parser.add_argument(
        "--flops", type=float, nargs="+", default=[1e12], help="budgets (default 1e12; the other: 8e12)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs (default 3)")
    parser.add_argument("--together", action="store_true", help="both sides at once, a core each")
    parser.add_argument("--without-validation", action="store_true", help="on neither side")
    parser.add_argument("--precision", default=FLOAT32, help=f"of fit (default {FLOAT32}); the plain loop has float32")
    parser.add_argument("--plain", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    omniglot = str(Path(options.omniglot).resolve())
    validates = not options.without_validation
    if options.plain is not None:
        plain_loop(options.plain, omniglot, validates, options.seed)
        return
    print(f"A meta-training against a plain loop; {hardware()}")
    figures = []
    for flops in options.flops:
        ratios, differences = [], []
        for seed in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                plain = [sys.executable, __file__, "--omniglot", omniglot, "--plain", str(flops), "--seed", str(seed)]
                plain += [] if validates else ["--without-validation"]
                whole = fit(flops, omniglot, validates, seed, options.precision)
                whole.append(f"--trainer.default_root_dir={folder}")
                commands = {"plain": plain, "fit": whole} if seed % 2 else {"fit": whole, "plain": plain}
                found = run_both(commands, together=options.together)
            (fit_time, fit_accuracy), (plain_time, plain_accuracy) = found["fit"], found["plain"]
            print(
                f"{flops:g} FLOPs, seed {seed}: fit {fit_time:.1f} s, {fit_accuracy:.1f} %; plain {plain_time:.1f} s, "
                f"{plain_accuracy:.1f} %",
                flush=True,
            )
            ratios.append(fit_time / plain_time)
            differences.append(fit_accuracy - plain_accuracy)
        name = f"CPU time of a fit of {flops:g} FLOPs, plain loop 1{'' if validates else ', no validation'}"
        target = TARGETS.get(options.precision, {}).get(flops)
        figures.append(Figure(name, median(ratios), "", target, "at most", (min(ratios), max(ratios))))
        if validates:
            bounds = min(differences), max(differences)
            name = f"accuracy of a fit of {flops:g} FLOPs less that of the plain loop"
            figures.append(Figure(name, median(differences), "points", spread=bounds))
    report(figures, options.output, "plain_loop")


if __name__ == "__main__":
    main()
