"""Which formulation of the bilevel search chooses well, measured by the oracle's 54 architectures.

Every formulation searches the shared layered space on the same budget of training FLOPs over meta-training episodes,
from several seeds, and nothing else: no task of the oracle is looked at. The rank of its choice among the 54 is read
afterwards. Runs are kept as they finish:

    python benchmarks/formulations.py --output benchmarks/formulations_glyphs.json
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from oracle import ranking

from lit_metanas.io import tune_allocator
from lit_metanas.io.files import write_whole
from lit_metanas.meta import PairedReinforce, PrototypeLoss
from lit_metanas.relaxations import AnnealedSoftmax, Categorical, GumbelSoftmax, SampledChild, Softmax, StraightThrough
from lit_metanas.spaces import Architecture, LayeredSpace
from lit_metanas.tasks import EpisodeDataModule, Glyphs
from lit_metanas.training import ArchitectureSchedule, MetaSearch, Trainer

Options = dict[str, Any]

SHARED = LayeredSpace(shared=True)
NORMALISED = LayeredSpace(shared=True, mix="normalised")
INCUMBENT = {"kernel": "3", "pool": "max", "activation": "ReLU", "dropout": "0"}


def soft(relaxation: Any, space: LayeredSpace = SHARED, **schedule: Any) -> Options:
    """A mixture, or a sample with a gate, whose gradient reaches the logits."""
    return {
        "space": space,
        "relaxation": relaxation,
        "meta_gradient": PrototypeLoss(),
        "schedule": ArchitectureSchedule(**schedule),
    }


def paired(*, isolate: bool = True, **schedule: Any) -> Options:
    """Score-function estimates from pairs of children."""
    return {
        "space": SHARED,
        "relaxation": Categorical(),
        "meta_gradient": PairedReinforce(isolate=isolate),
        "schedule": ArchitectureSchedule(**schedule),
    }


FORMULATIONS: dict[str, Callable[[], Options]] = {
    "softmax, merged kernels": lambda: soft(Softmax(), warm_up=0.1),
    "softmax, normalised candidates": lambda: soft(Softmax(), NORMALISED, warm_up=0.1),
    "annealed softmax": lambda: soft(AnnealedSoftmax(), warm_up=0.1),
    "Gumbel-softmax": lambda: soft(GumbelSoftmax(), warm_up=0.1),
    "straight-through": lambda: soft(StraightThrough(), warm_up=0.1),
    "sampled child with gate": lambda: soft(SampledChild(), warm_up=0.1),
    "paired scores": lambda: paired(isolate=False, warm_up=0.1),
    "isolated paired scores": lambda: paired(warm_up=0.1),
    "isolated paired scores, long warm-up": lambda: paired(warm_up=0.4),
    "isolated paired scores, pruning": lambda: paired(warm_up=0.1, prune_below=0.1),
    "isolated paired scores, pruning, prior": lambda: paired(
        warm_up=0.1, prune_below=0.1, prior=INCUMBENT, prior_strength=1.0
    ),
}


def search(options: Options, *, seed: int, flops: float) -> dict[str, Any]:
    """One search; what it chose, its probabilities and its time."""
    seed_everything(seed, verbose=False)
    data = EpisodeDataModule(
        source=Glyphs(), way=10, shot=1, query=5, tasks_per_step=1, steps_per_epoch=10**6, val_episodes=1, seed=seed
    )
    model = MetaSearch(shape=(1, 28, 28), flops=flops, seed=seed, **options)
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, limit_val_batches=0)
    start = time.perf_counter()
    trainer.fit(model, data)
    return {
        "architecture": model.architecture().to_json(),
        "probabilities": {k: [round(float(p), 3) for p in v] for k, v in model.probabilities().items() if len(v) > 1},
        "steps": int(model.outer_steps),
        "seconds": round(time.perf_counter() - start, 1),
    }


def run_all(output: Path, *, seeds: int, flops: float, only: list[str] | None) -> None:
    """Search what the file does not hold yet."""
    runs = json.loads(output.read_text())["runs"] if output.exists() else []
    for seed in range(seeds):
        for name, make in FORMULATIONS.items():
            known = any(run["formulation"] == name and run["seed"] == seed and run["flops"] == flops for run in runs)
            if known or (only and name not in only):
                continue
            run = {"formulation": name, "seed": seed, "flops": flops, **search(make(), seed=seed, flops=flops)}
            runs.append(run)
            write_whole(output, json.dumps({"schema": 1, "runs": runs}, indent=1) + "\n")
            print(f"seed {seed} {name} ({run['seconds']} s): {run['probabilities']}", flush=True)


def report(output: Path, oracle: Path) -> None:
    """Print rank and regret of every formulation's choices."""
    table = ranking(oracle)
    ranks = {architecture: rank for rank, (architecture, _) in enumerate(table, start=1)}
    scores = dict(table)
    best = table[0][1]
    rows: dict[str, list[Architecture]] = {}
    for run in json.loads(output.read_text())["runs"]:
        rows.setdefault(run["formulation"], []).append(Architecture(run["architecture"]))
    for name, chosen in rows.items():
        got = [ranks[a] for a in chosen]
        regret = 100 * statistics.mean(best - scores[a] for a in chosen)
        median = statistics.median(got)
        print(f"{name:42s} median rank {median:4} of {len(table)}, ranks {got}, mean regret {regret:.1f} points")


def main() -> None:
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=here / "formulations_glyphs.json")
    parser.add_argument("--oracle", type=Path, default=here / "oracle_glyphs.json")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--flops", type=float, default=8e11)
    parser.add_argument("--only", nargs="*", help="formulations to run, by name")
    parser.add_argument("--report", action="store_true", help="only print the ranks of what was run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if not options.report:
        run_all(options.output, seeds=options.seeds, flops=options.flops, only=options.only)
    report(options.output, options.oracle)


if __name__ == "__main__":
    main()
