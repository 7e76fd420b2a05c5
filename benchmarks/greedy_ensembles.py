"""Greedy ensemble selection among several networks, against as many seeds of the best one.

``auto`` takes the mean of a few trainings of the network that validates best. The usual way is to choose the members
one after the other among all candidates, each time the one with which the mean validates best, with replacement
(Caruana et al. 2004, Ensemble Selection from Libraries of Models). Here the candidates are the first networks that
``auto`` tries: those of the records of other data sets, and changes of the first of them. Each is trained on the
training part and scored on the validation part. Both ways choose by these scores, three members each, which are then
trained on all but the test part; a member that is chosen again has another seed. ``one`` is the best network alone, and
``best three`` are those that validate best, one of each.

    python benchmarks/greedy_ensembles.py --data FOLDER
    python benchmarks/greedy_ensembles.py          # the table alone

No test example of the tasks is in the comparison of ``auto``. Each task and seed is written as a line once there is
one, and a second call goes on.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from auto_comparison import steps_of
from ensembles import accuracy_of, logs_of, tested_logs
from kept_rows import kept_rows
from mixed_tasks import PROBLEMS, Folders, Problem
from paired import bootstrap_means
from torch import Tensor

import lit_metanas as lm
from lit_metanas.estimators.training_estimator import validation_part
from lit_metanas.report.table_text import markdown_lines
from lit_metanas.searchers.mutation import draw_new, mutate

RESULTS = Path(__file__).parent / "results" / "greedy_ensembles.jsonl"
TASKS = ("glyphs/train", "omniglot/Korean", "spoken/train", "wake/OpenVoiceOS", "xsid/de", "g2p/spellings")
CANDIDATES, MEMBERS, EPOCHS, SEEDS, DRAWS = 6, 3, 50, (0, 1, 2), 10_000
KINDS = ("one", "seeds of the best", "greedy", "best three")


def agreement(logs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Accuracy, and the mean logarithm of the labels' probabilities.

    Args:
        logs: logarithms of probabilities, ``(n, classes)``.
        labels: ``(n,)``.
    """
    right = (logs.argmax(dim=1) == labels).double().mean()
    return float(right), float(logs[torch.arange(len(labels)), labels].mean())


def chosen_greedily(logs: Sequence[Tensor], labels: Tensor, members: int) -> list[int]:
    """Places of the members, in the order in which they are taken; of equal accuracies the lower cross-entropy counts.

    Args:
        logs: logarithms of probabilities of each candidate for the validation part, ``(n, classes)``.
        labels: of the validation part, ``(n,)``.
        members: how many are taken, with replacement.
    """
    chosen: list[int] = []

    def value(place: int) -> tuple[float, float]:
        return agreement(torch.stack([logs[one] for one in (*chosen, place)]).mean(dim=0).log_softmax(dim=1), labels)

    for _ in range(members):
        chosen.append(max(range(len(logs)), key=value))
    return chosen


def measure(problem: Problem, folders: Folders, seed: int) -> dict[str, Any]:
    """Test accuracies in % of a task, and the members of the greedy ensemble."""
    task = problem.draw(folders)
    steps, asked = steps_of(task, problem.dataset), validation_part(task)
    known = [*dict.fromkeys(query.architecture for query in steps.beginning.portfolio)][:CANDIDATES]
    generator = torch.Generator().manual_seed(seed)
    networks = known + draw_new(
        lambda: mutate(steps.space, known[0], generator, whole_groups=0.5),
        CANDIDATES - len(known),
        refusal=steps.space.violation,
        known={*known},
    )
    recipe = replace(steps.beginning.recipe, epochs=EPOCHS)
    logs = [logs_of(task, steps.space, one, recipe, seed, learned=task.train, asked=asked) for one in networks]
    (best,), greedy = (chosen_greedily(logs, asked.labels, number) for number in (1, MEMBERS))
    ranked = sorted(range(len(logs)), key=lambda place: agreement(logs[place], asked.labels), reverse=True)
    trained: dict[tuple[int, int], Tensor] = {}

    def tested(places: Sequence[int]) -> float:
        again: Counter[int] = Counter()
        parts = []
        for place in places:
            key = (place, MEMBERS * seed + again[place])
            again[place] += 1
            if key not in trained:
                trained[key] = tested_logs(task, steps.space, networks[place], recipe, key[1])
            parts.append(trained[key])
        return round(accuracy_of(task, *parts), 2)

    values = dict(zip(KINDS, map(tested, ([best], [best] * MEMBERS, greedy, ranked[:MEMBERS])), strict=True))
    return {"task": task.id, "seed": seed, "tested": len(task.test), "greedy members": greedy, "test": values}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Means of each task, as Markdown, and by how much the greedy ensembles are ahead over all."""
    if not rows:
        return "Nothing is measured yet: give --data."
    names = list(dict.fromkeys(row["task"] for row in rows))
    by_task = [[row for row in rows if row["task"] == name] for name in names]
    body: list[Sequence[str]] = [
        ("task", "tested", *KINDS, "networks in the greedy one"),
        ("---",) + ("---:",) * (len(KINDS) + 2),
    ]
    for name, own in zip(names, by_task, strict=True):
        means = (f"{fmean(row['test'][kind] for row in own):.1f}" for kind in KINDS)
        different = fmean(len(set(row["greedy members"])) for row in own)
        body.append((name, str(own[0]["tested"]), *means, f"{different:.1f}"))
    said = []
    for kind in KINDS[2:]:
        ahead = [np.array([row["test"][kind] - row["test"][KINDS[1]] for row in own]) for own in by_task]
        low, high = np.quantile(bootstrap_means(ahead, seed=0, draws=DRAWS), [0.025, 0.975])
        mean = float(np.mean(np.concatenate(ahead)))
        said.append(f"{kind} against {KINDS[1]}: {mean:+.2f} points ({low:+.2f} to {high:+.2f}), {len(rows)} pairs")
    return "\n".join([markdown_lines(body), "", *said])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data sets; without it the table alone is shown")
    parser.add_argument("--tasks", nargs="+", choices=[problem.id for problem in PROBLEMS], default=[*TASKS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lm.tune_allocator()
    problems = {problem.id: problem for problem in PROBLEMS}
    wanted = [] if options.data is None else list(product(options.tasks, options.seeds))
    folders = Folders(options.data, Path())

    def row(one: tuple[str, int]) -> dict[str, Any]:
        return measure(problems[one[0]], folders, one[1])

    print(table(kept_rows(options.output, wanted, row, key=lambda found: (found["task"], found["seed"]))))


if __name__ == "__main__":
    main()
