"""Adapted architectures of glyph episodes and target tasks against one for all, and why logits that adapt do not help.

It reads what the experiment on glyphs has meta-trained (``configs/experiments/glyphs.yaml``: the phases
``meta-search``, ``meta-searched`` and ``sampled-paths`` of each seed) and trains nothing on episodes. Each way is
judged on the same test episodes, and on the same target tasks:

- *one for all*: the network that the search chose, trained on alone;
- *guarded*: the same, left only for a child of the sampled paths that leads on the support set, or on the validation
  part of a target task (``GuardedArchitectures``, ``GuardedSearcher``), and for comparison a guard without margin;
- *guarded, mixture*: the guard offered children of the mixture, whose weights were never trained alone;
- *logits*: the architecture that logits adapted to the support set derive (``AdaptedLogits``), on the weights of the
  mixture that the search has trained, and on those of the sampled paths;
- *likeliest*: on the same weights the architecture of the logits as they are, the same in all episodes;
- *relaxed*: the mixture itself.

Run: ``python benchmarks/guarded_glyphs.py --runs runs/glyphs --seeds 0 1 2``. What is measured is kept as it comes in.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from paired import bootstrap_means

import lit_metanas as lm
from lit_metanas.io.files import write_whole
from lit_metanas.io.text import hardware

HERE = Path(__file__).parent
OUTPUT = HERE / "results" / "guarded_glyphs.json"
SPACE = lm.LayeredSpace(shared=True)
PROTOCOLS = {"5-way 1-shot": (5, 1, 15), "5-way 5-shot": (5, 5, 15), "20-way 1-shot": (20, 1, 5)}
SEVERAL_SHOTS = "5-way 5-shot"
"""The protocol with evidence in the support set, on which all ways are judged."""
ONE, GUARDED = "one for all", "guarded"
TARGETS = "target tasks"
EPOCHS = 10
"""Of each child on a target task."""
Options = dict[str, Any]


class Weights:
    """The checkpoints of one seed.

    Args:
        folder: of the seed's run.
    """

    def __init__(self, folder: Path) -> None:
        self.mixture, self.alone, self.paths = (
            str(folder / phase / "checkpoints" / "last.ckpt")
            for phase in ("meta-search", "meta-searched", "sampled-paths")
        )
        self.architecture = str(folder / "meta-search" / "architectures.json")

    def guard(self, start: str, **options: Any) -> lm.GuardedArchitectures:
        """Of the chosen network against children on the weights of a checkpoint."""
        return lm.GuardedArchitectures(start=start, space=SPACE, **options)

    def ways(self) -> dict[str, Callable[[], tuple[str, Options]]]:
        """By name the checkpoint that is tested, and the model's options."""
        alone = {"architecture": self.architecture}
        adapted = {
            "task_architectures": lm.AdaptedLogits(),
            "meta_gradient": lm.FOMAML(),
            "inner_loop": lm.JointInnerLoop(
                steps=5, learning_rate=0.01, logit_learning_rate=1.0, groups=("logits", "head")
            ),
            "head": lm.PrototypeLinearHead(),
        }
        return {
            ONE: lambda: (self.alone, alone),
            GUARDED: lambda: (self.alone, {**alone, "task_architectures": self.guard(self.paths)}),
            "guarded, no margin": lambda: (
                self.alone,
                {**alone, "task_architectures": self.guard(self.paths, margin=0.0)},
            ),
            "guarded, mixture": lambda: (
                self.alone,
                {**alone, "task_architectures": self.guard(self.mixture, children=10)},
            ),
            "mixture: likeliest": lambda: (self.mixture, {}),
            "mixture: logits": lambda: (self.mixture, adapted),
            "paths: likeliest": lambda: (self.paths, {}),
            "paths: logits": lambda: (self.paths, adapted),
            "paths: guarded": lambda: (self.paths, {"task_architectures": lm.GuardedArchitectures()}),
        }


class Relaxed(lm.MetaSearch):
    """Tests the mixture instead of the derived architecture."""

    def test_step(self, batch: list[lm.Episode], batch_idx: int) -> None:
        """Judge the mixture, each batch of images normalised by its own statistics."""
        super().test_step(batch, batch_idx)
        del self._derived.mine[-len(batch) :]
        self._evaluate(batch, self.learner.relaxation, self._derived, None)


def tested(
    kind: type[lm.MetaSearch], path: str, options: Options, protocol: str, episodes: int, seed: int
) -> LightningModule:
    """A model after the test of its checkpoint."""
    way, shot, query = PROTOCOLS[protocol]
    model = kind(space=SPACE, seed=seed, **options)
    data = lm.EpisodeDataModule(lm.Glyphs(), eval_way=way, eval_shot=shot, eval_query=query, test_episodes=episodes)
    trainer = lm.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False
    )
    trainer.test(model, data, ckpt_path=path, verbose=False)
    return model


def episode_row(weights: Weights, way: str, protocol: str, episodes: int, seed: int) -> dict[str, Any]:
    """One way on the episodes of one protocol."""
    begin = time.process_time()
    if way == "mixture: relaxed":
        model = tested(Relaxed, weights.mixture, {}, protocol, episodes, seed)
    else:
        path, options = weights.ways()[way]()
        model = tested(lm.MetaSearch, path, options, protocol, episodes, seed)
    own = model.task_architectures
    switched = None if own is None else sum(found != model.architecture() for found in own.found)
    return {
        "seed": seed,
        "protocol": protocol,
        "way": way,
        "values": [round(value, 4) for value in model.test_values],
        "switched": switched,
        "cpu_seconds": round(time.process_time() - begin, 1),
    }


def target_row(weights: Weights, task: lm.Task, way: str, flops: float, seed: int) -> dict[str, Any]:
    """One for all, or the guard, on a target task, with what it decided by."""
    begin, recipe = time.process_time(), lm.Recipe(epochs=EPOCHS)
    method: lm.Searcher = lm.MetaSearchedArchitecture(weights.alone)
    if way == GUARDED:
        one_shot = lm.OneShotSearcher(start=weights.paths, epochs=2, head=lm.PrototypeLinearHead())
        method = lm.GuardedSearcher(method, one_shot, recipe=recipe)
    found = lm.search(task, SPACE, method=method, flops=flops, recipe=recipe, refit=False, seed=seed, progress=False)
    return {
        "seed": seed,
        "protocol": TARGETS,
        "task": task.id,
        "way": way,
        "values": [round(found.test_score, 4)],
        "architecture": found.architecture.to_json(),
        "tried": [(trial.architecture.to_json(), round(trial.value, 4)) for trial in found.record.trials],
        "untried": found.untried,
        "flops": found.cost.flops,
        "cpu_seconds": round(time.process_time() - begin, 1),
    }


def difference(rows: Sequence[Mapping[str, Any]], protocol: str, way: str) -> tuple[float, float, float] | None:
    """Points by which a way is ahead of one for all, paired, with the 95 % interval; None where nothing is paired."""
    groups = []
    for seed in sorted({row["seed"] for row in rows}):
        mine, theirs = (_values(rows, protocol, name, seed) for name in (way, ONE))
        number = min(len(mine), len(theirs))
        if number:
            groups.append(100 * (np.array(mine[:number]) - np.array(theirs[:number])))
    if not groups:
        return None
    means = bootstrap_means(groups, seed=0, draws=10_000)
    return float(np.concatenate(groups).mean()), *np.quantile(means, [0.025, 0.975]).tolist()


def _values(rows: Sequence[Mapping[str, Any]], protocol: str, way: str, seed: int) -> list[float]:
    own = [row for row in rows if (row["protocol"], row["way"], row["seed"]) == (protocol, way, seed)]
    return [value for row in sorted(own, key=lambda row: row.get("task", "")) for value in row["values"]]


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the table."""
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        for way in dict.fromkeys(row["way"] for row in rows if row["protocol"] == protocol):
            own = [row for row in rows if (row["protocol"], row["way"]) == (protocol, way)]
            mean = 100 * np.mean([value for row in own for value in row["values"]])
            ahead = difference(rows, protocol, way)
            told = f"{ahead[0]:+.2f} [{ahead[1]:+.2f}, {ahead[2]:+.2f}]" if ahead else ""
            left = [row["switched"] / len(row["values"]) for row in own if row.get("switched") is not None]
            print(f"{protocol:16}{way:22}{mean:7.2f}  {told:26}" + (f"left {np.mean(left):.1%}" if left else ""))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/glyphs"), help="folder of the experiment")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--episodes", type=int, default=600, help="of the comparison with one for all")
    parser.add_argument("--few", type=int, default=200, help="episodes of each other way")
    parser.add_argument("--only", nargs="*", help="ways to judge, by name")
    parser.add_argument("--tasks", type=int, default=10, help="target tasks")
    parser.add_argument("--flops", type=float, default=4e11, help="of a search on a target task")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    document: dict[str, Any] = {"benchmark": "guarded glyphs", "hardware": hardware(), "rows": []}
    if options.output.exists():
        document = json.loads(options.output.read_text(encoding="utf-8"))
    rows = document["rows"]

    def keep(new: Sequence[dict[str, Any]]) -> None:
        rows.extend(new)
        write_whole(options.output, json.dumps(document) + "\n")

    for seed in options.seeds:
        weights = Weights(options.runs / f"seed{seed}")
        for protocol in PROTOCOLS:
            for way in (*weights.ways(), "mixture: relaxed"):
                compared = way in (ONE, GUARDED)
                if (not compared and protocol != SEVERAL_SHOTS) or way not in (options.only or [way]):
                    continue
                if any((row["seed"], row["protocol"], row["way"]) == (seed, protocol, way) for row in rows):
                    continue
                number = options.episodes if compared else options.few
                row = episode_row(weights, way, protocol, number, seed)
                keep([row])
                print(f"seed {seed} {protocol} {way}: {np.mean(row['values']):.4f}, left {row['switched']}", flush=True)
        drawn = lm.DrawnTasks(lm.Glyphs(), way=10, train=100, val=100, test=100, tasks=options.tasks)
        known = {(row["task"], row["way"]) for row in rows if (row["protocol"], row["seed"]) == (TARGETS, seed)}
        for place in range(options.tasks):
            task = drawn[place]
            for way in (ONE, GUARDED):
                if (task.id, way) not in known:
                    row = target_row(weights, task, way, options.flops, seed)
                    keep([row])
                    print(f"seed {seed} {task.id} {way}: {row['values'][0]:.4f}, {row['tried']}", flush=True)
    show(rows)


if __name__ == "__main__":
    main()
