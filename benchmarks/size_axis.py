"""One supernet that is meta-trained for all sizes, against networks that are meta-trained one by one, by one recipe.

    python benchmarks/size_axis.py --omniglot omniglot.npz

The networks have the multiply-adds of the pyramid (four layers of 16, 32, 64 and 64 channels) or a share of them. The
separate ones are the pyramid narrowed evenly, each trained for as many FLOPs. All networks of a supernet together
have half of what all separate ones cost, in one of two ways. By the sandwich rule, children of all sizes are trained
together; then one is chosen for each limit on meta-validation episodes, and trained on by itself. In the simpler way
the networks are ``resized``: the child of a third of the multiply-adds is trained alone; those of the other limits
begin with its weights, as far as these go, and each is trained on. All of this is counted in, the choice by its
forward multiply-adds. ``pyramid, all of it`` is the largest network alone, trained for what a supernet costs;
``separate, half as long`` costs as much in all as a supernet, and shares nothing. Each network is tested once. Rows
are kept as they come, so that an interrupted run goes on; --report prints and draws what there is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch
from matplotlib.figure import Figure
from paired import t_interval
from weight_sharing import HERE, Row, read, write

import lit_metanas as lm
from lit_metanas.meta.sandwich import Alone
from lit_metanas.training.meta_search.meta_checkpoint import write_meta_checkpoint
from lit_metanas.training.trainers import quiet_trainer

SHAPE, WAY = (1, 28, 28), 20
PYRAMID = (16, 32, 64, 64)
WIDTHS = ((4, 8, 12, 16), (8, 12, 16, 24, 32), (16, 24, 32, 48, 64), (16, 24, 32, 48, 64))
"""Of each layer: those of ``configs/spaces/sizes.yaml``."""
SPACE = lm.LayeredSpace(
    kernels=(3,),
    pools=("avg",),
    activations=("ReLU",),
    dropouts=(0.0,),
    depths=(3, 4),
    widths=sorted({width for layer in WIDTHS for width in layer}),
    fixed={f"layer{place}.width": tuple(map(str, layer)) for place, layer in enumerate(WIDTHS, 1)},
)
RECIPE = lm.MetaRecipe(weight_decay=0.05, label_smoothing=0.1, distance="scaled")
LIMITS = {"1": 1.0, "1/2": 1 / 2, "1/3": 1 / 3, "1/4": 1 / 4, "1/6": 1 / 6, "1/10": 1 / 10}
FIRST, RESIZING = "1/3", 0.53
"""The limit of the child that others are resized from; the share of their cost for training these on."""
FRESH = 1000
"""What is added to a seed for the episodes that a child is trained on with: the supernet has not seen them."""
SEPARATE, HALF, WHOLE = "separate", "separate, half as long", "pyramid, all of it"
CHILD, INHERITED, RESIZED = "child", "child, not trained on", "resized"
TOGETHER = ("supernet", RESIZED)
RUNS = (
    *((method, "") for method in TOGETHER),
    *((SEPARATE, name) for name in LIMITS),
    (WHOLE, "1"),
    *((HALF, name) for name in LIMITS),
)
"""The trainings of a seed: method and limit."""
METHODS = (SEPARATE, HALF, INHERITED, CHILD, RESIZED)
"""Those of a table, in its order."""


@dataclass(frozen=True)
class Plan:
    """What a run spends.

    Attributes:
        flops: of each separate training.
        choice: share of the supernet's whole cost for choosing children.
        tuning: share of it for training the chosen children on.
        rate: learning rate with which they are trained on.
        distillation: see ``Sandwich``, as for what follows.
        begin: share of the supernet's training in which one child is trained alone.
        alone: which.
        test_episodes: that each network is tested on.
    """

    flops: float
    choice: float
    tuning: float
    rate: float
    distillation: float
    begin: float
    alone: Alone
    test_episodes: int

    @property
    def whole(self) -> float:
        """FLOPs of the supernet with all that follows: half of all separate trainings."""
        return self.flops * len(LIMITS) / 2

    @property
    def resizing(self) -> Plan:
        """Of one child that is trained alone, and of others that begin with its weights."""
        return replace(self, choice=0.0, tuning=RESIZING, begin=1.0, alone="likeliest")

    @property
    def tuned(self) -> list[str]:
        """The limits whose children are trained on: all but that of one that was trained alone to the end."""
        finished = self.begin == 1 and self.alone == "likeliest"
        return [name for name in LIMITS if self.tuning and not (finished and name == FIRST)]

    def data(self, source: lm.TaskSource, seed: int) -> lm.EpisodeDataModule:
        """Training episodes of 60 classes with one query each; 20-way 1-shot ones to choose by and to test on."""
        return lm.EpisodeDataModule(
            source,
            way=60,
            query=1,
            eval_way=WAY,
            eval_query=5,
            tasks_per_step=1,
            steps_per_epoch=1000,
            test_episodes=self.test_episodes,
            seed=seed,
        )


def size(architecture: Mapping[str, str]) -> lm.NetworkCost:
    """Parameters and multiply-adds."""
    return SPACE.cost(SPACE.canonical(architecture), SHAPE, WAY)


def network(widths: Sequence[int]) -> lm.Architecture:
    """Four layers of so many channels."""
    labels = {"depth": str(len(widths)), **{f"layer{place}.width": str(w) for place, w in enumerate(widths, 1)}}
    rest = {choice.name: choice.labels[0] for choice in SPACE.choices if choice.name not in labels}
    return SPACE.canonical({**rest, **labels})


LARGEST = size(network(PYRAMID)).flops


def narrowed(share: float) -> lm.Architecture:
    """The pyramid within a share of its multiply-adds: the layer that was narrowed least goes a step down, in turn."""
    widths = list(PYRAMID)
    while size(network(widths)).flops > share * LARGEST:
        steps = [place for place, width in enumerate(widths) if width > WIDTHS[place][0]]
        place = max(steps, key=lambda place: widths[place] / PYRAMID[place])
        widths[place] = max(width for width in WIDTHS[place] if width < widths[place])
    return network(widths)


def train(
    architecture: Mapping[str, str] | None,
    plan: Plan,
    flops: float,
    data: lm.EpisodeDataModule,
    seed: int,
    *,
    start: str | None = None,
) -> lm.MetaSearch:
    """Meta-train one network, from the start that is given, or without an architecture the supernet."""
    parts = {**RECIPE.parts(), "start": start}
    if architecture is None:
        rule = lm.Sandwich(
            label_smoothing=RECIPE.label_smoothing,
            distillation=plan.distillation,
            begin=plan.begin,
            alone=plan.alone,
        )
        likeliest = lm.ArchitectureSchedule(prior=narrowed(LIMITS[FIRST]).to_json(), prior_strength=1.0)
        parts |= {"meta_gradient": rule, "relaxation": lm.Uniform(), "schedule": likeliest}
    else:
        parts["architecture"] = dict(architecture)
    if start is not None:
        parts["weight_optimizer"] = replace(RECIPE, learning_rate=plan.rate).parts()["weight_optimizer"]
    torch.manual_seed(seed)
    model = lm.MetaSearch(space=SPACE, shape=SHAPE, flops=flops, seed=seed, **parts)
    with quiet_trainer(torch.device("cpu"), epochs=-1) as trainer:
        trainer.limit_val_batches = 0
        trainer.fit(model, data)
    return model


def tested(model: lm.MetaSearch, data: lm.EpisodeDataModule) -> float:
    """Accuracy on the test episodes in per cent."""
    with quiet_trainer(torch.device("cpu")) as trainer:
        (metrics,) = trainer.test(model, data, verbose=False)
    return round(100 * metrics["test/accuracy"], 3)


def choose(
    estimator: lm.EpisodeEstimator, share: float, flops: float, seed: int
) -> tuple[lm.Architecture, float | None, int]:
    """The child of the best validation accuracy within a limit: the narrowed pyramid, or what evolution finds.

    Returns:
        The child, its accuracy in per cent (None where the FLOPs pay for no comparison), and what the choice has cost.
    """
    plain, budget = narrowed(share), lm.Budget(flops=flops)
    price = estimator.cost(plain, 1.0)
    if not budget.affords(price + price):
        return plain, None, 0
    first = estimator(plain, fidelity=1.0)
    budget.charge(price)
    searcher = lm.QuerySearcher(
        sampler=lm.RegularisedEvolution(population=6, sample=3, space=SPACE),
        constraints={"flops": share * LARGEST},
        patience=150,
    )
    found = searcher.run(estimator, SPACE, budget, seed, problem="sizes")
    best = found.record.value_of(found.architecture, {})
    child, value = (found.architecture, best) if best > first.value else (plain, first.value)
    return child, round(100 * value, 3), budget.spent.flops


def run_supernet(plan: Plan, source: lm.TaskSource, seed: int, val_episodes: int, method: str) -> list[Row]:
    """Train a supernet, choose its children, test them, train them on and test them again."""
    data, begin = plan.data(source, seed), time.process_time()
    model = train(None, plan, (1 - plan.choice - plan.tuning) * plan.whole, data, seed)
    spent = int(model.cost().flops)
    trained = time.process_time()
    estimator = lm.EpisodeEstimator(model, data, episodes=val_episodes, statistics=4)
    rows: list[Row] = []
    for name, share in LIMITS.items():
        child, value, cost = choose(estimator, share, plan.choice * plan.whole / len(LIMITS), seed)
        spent += cost
        row = {"limit": name, **described(child), "val": value}
        with TemporaryDirectory() as folder:
            start = f"{folder}/child.ckpt"
            write_meta_checkpoint(start, estimator.start(child))
            begun = lm.MetaSearch(space=SPACE, architecture=child.to_json(), start=start, **RECIPE.parts())
            accuracy = tested(begun, data)
            if method == CHILD:
                rows.append({"method": INHERITED, **row, "test": accuracy})
            if name in plan.tuned:
                flops = plan.tuning * plan.whole / len(plan.tuned)
                own = train(child.to_json(), plan, flops, plan.data(source, seed + FRESH), seed, start=start)
                spent, accuracy = spent + int(own.spent), tested(own, data)
            if plan.tuning:
                rows.append({"method": method, **row, "test": accuracy})
        print(f"seed {seed}, {name}: {rows[-1]['test']:.1f} after {time.process_time() - begin:.0f} CPU s", flush=True)
    seconds = {"seconds": round(time.process_time() - begin, 1), "supernet_seconds": round(trained - begin, 1)}
    settings = {name: getattr(plan, name) for name in ("choice", "tuning", "rate", "distillation", "begin", "alone")}
    return [{**row, "spent": spent, "steps": int(model.outer_steps), **settings, **seconds} for row in rows]


def run_separate(plan: Plan, source: lm.TaskSource, seed: int, method: str, limit: str) -> list[Row]:
    """One network by itself."""
    data, begin = plan.data(source, seed), time.process_time()
    own = narrowed(LIMITS[limit])
    flops = {SEPARATE: plan.flops, HALF: plan.flops / 2, WHOLE: plan.whole}[method]
    model = train(own.to_json(), plan, flops, data, seed)
    row = {"method": method, "limit": limit, **described(own), "test": tested(model, data)}
    row |= {"spent": int(model.spent), "steps": int(model.outer_steps)}
    print(f"seed {seed}, {method} {limit}: {row['test']:.1f} after {time.process_time() - begin:.0f} CPU s", flush=True)
    return [{**row, "seconds": round(time.process_time() - begin, 1)}]


def described(architecture: lm.Architecture) -> Row:
    """A network's widths and size."""
    depth = int(architecture["depth"])
    widths = [int(architecture[f"layer{place}.width"]) for place in range(1, depth + 1)]
    cost = size(architecture)
    return {"widths": widths, "multiply_adds": cost.flops, "parameters": cost.parameters}


def run_all(options: argparse.Namespace) -> None:
    """Run what the file does not hold yet."""
    plan = Plan(*(getattr(options, name) for name in Plan.__annotations__))
    source = lm.Omniglot(options.omniglot) if options.omniglot else lm.Glyphs()
    rows = read(options.output)
    for seed in options.seeds:
        for method, limit in RUNS:
            if options.methods and method not in options.methods:
                continue
            key = {"source": source.name, "seed": seed, "flops": plan.flops, "run": f"{method} {limit}".strip()}
            if any(all(row[part] == value for part, value in key.items()) for row in rows):
                continue
            if method == "supernet":
                found = run_supernet(plan, source, seed, options.val_episodes, CHILD)
            elif method == RESIZED:
                found = run_supernet(plan.resizing, source, seed, options.val_episodes, RESIZED)
            else:
                found = run_separate(plan, source, seed, method, limit)
            rows += [{**key, **row} for row in found]
            write(options.output, rows)


def of(rows: Sequence[Row], method: str, limit: str) -> list[Row]:
    """The rows of one network, a seed each."""
    return sorted(
        (row for row in rows if (row["method"], row["limit"]) == (method, limit)), key=lambda row: row["seed"]
    )


def report(rows: Sequence[Row]) -> str:
    """A table in Markdown for each source and budget: test accuracy over seeds, and the paired difference."""
    lines: list[str] = []
    for source, flops in sorted({(row["source"], row["flops"]) for row in rows}):
        own = [row for row in rows if (row["source"], row["flops"]) == (source, flops)]
        lines += [f"{source}, {flops / 1e9:g} GFLOPs for each separate training", ""]
        there = [method for method in METHODS if any(row["method"] == method for row in own)]
        pairs = [(method, other) for method in (CHILD, RESIZED) if method in there for other in (SEPARATE, HALF)]
        columns = [*there, *(f"{method} − {other}" for method, other in pairs)]
        lines += [f"| multiply-adds | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
        for name in LIMITS:
            groups = [of(own, method, name) for method in there]
            cells = [shown([row["test"] for row in group], group) for group in groups]
            cells += [difference(*(of(own, method, name) for method in pair)) for pair in pairs]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        whole = of(own, WHOLE, "1")
        if whole:
            lines += ["", f"{WHOLE}: {shown([row['test'] for row in whole], whole)}"]
        lines += ["", costs(own), ""]
    return "\n".join(lines)


def shown(values: Sequence[float], rows: Sequence[Row]) -> str:
    """Mean accuracy with its interval over seeds, and the mean size in thousands of multiply-adds."""
    if not values:
        return "–"
    mean, size = fmean(values), fmean(row["multiply_adds"] for row in rows) / 1e3
    spread = f" ± {t_interval(list(values)).half:.1f}" if len(values) > 1 else ""
    return f"{mean:.1f}{spread} ({size:,.0f} k)"


def difference(ours: Sequence[Row], theirs: Sequence[Row]) -> str:
    """The mean difference in pairs of seeds, with its interval."""
    pairs = [a["test"] - b["test"] for a in ours for b in theirs if a["seed"] == b["seed"]]
    if len(pairs) < 2:
        return f"{pairs[0]:+.1f}" if pairs else "–"
    found = t_interval(pairs)
    return f"{found.mean:+.1f} ± {found.half:.1f}"


def costs(rows: Sequence[Row]) -> str:
    """What a supernet and all separate trainings have cost, and how small a child is as good as the pyramid."""
    alone = {
        seed: [row["spent"] for row in rows if (row["method"], row["seed"]) == (SEPARATE, seed)] for seed in seeds(rows)
    }
    whole = {seed: sum(spent) for seed, spent in alone.items() if len(spent) == len(LIMITS)}
    sentences = []
    for method in (CHILD, RESIZED):
        groups = {name: of(rows, method, name) for name in LIMITS}
        shares = [row["spent"] / whole[row["seed"]] for row in groups[next(reversed(LIMITS))] if row["seed"] in whole]
        if shares:
            pyramid = fmean(row["test"] for row in of(rows, SEPARATE, "1"))
            good = [name for name, own in groups.items() if fmean(row["test"] for row in own) >= pyramid]
            sentences.append(
                f"{method}: {fmean(shares):.2f} of the cost of all separate trainings; as good as the separate pyramid "
                f"are {', '.join(good) or 'none'}."
            )
    return "\n".join(sentences)


def seeds(rows: Sequence[Row]) -> list[int]:
    """That there are."""
    return sorted({row["seed"] for row in rows})


def draw_figure(rows: Sequence[Row], path: Path) -> None:
    """Accuracy against multiply-adds: means over seeds, dots for single ones; a panel for each source and budget."""
    panels = sorted({(row["source"], row["flops"]) for row in rows})
    figure = Figure(figsize=(4.6 * len(panels), 3.6), layout="constrained")
    for place, (source, flops) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), place)
        own = [row for row in rows if (row["source"], row["flops"]) == (source, flops)]
        styles = (
            (SEPARATE, "tab:gray", "o-"),
            (HALF, "tab:gray", "o:"),
            (INHERITED, "tab:orange", "s--"),
            (CHILD, "tab:orange", "s-"),
            (RESIZED, "tab:blue", "D-"),
            (WHOLE, "k", "*"),
        )
        for method, colour, style in styles:
            groups = [group for name in LIMITS if (group := of(own, method, name))]
            if not groups:
                continue
            sizes, tests = ([fmean(row[key] for row in group) for group in groups] for key in ("multiply_adds", "test"))
            axes.plot(sizes, tests, style, color=colour, label=method)
            dots = [(row["multiply_adds"], row["test"]) for group in groups for row in group]
            axes.plot(*zip(*dots, strict=True), ".", color=colour, alpha=0.4)
        axes.set(xscale="log", xlabel="multiply-adds", ylabel="20-way 1-shot, %")
        axes.set_xticks([2e5, 5e5, 1e6, 2e6], ["0.2 M", "0.5 M", "1 M", "2 M"])
        axes.minorticks_off()
        axes.set_title(f"{source}, {flops / 1e9:g} GFLOPs a separate training", fontsize="medium")
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--omniglot", type=Path, help="Omniglot's file or folder; without it glyphs")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "size_axis.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--flops", type=float, default=1e12, help="of each separate training")
    parser.add_argument("--rate", type=float, default=5e-3, help="learning rate with which children are trained on")
    sandwich = parser.add_argument_group("of the sandwich rule alone")
    sandwich.add_argument("--choice", type=float, default=0.15, help="share of its cost for choosing children")
    sandwich.add_argument("--tuning", type=float, default=0.4, help="share of it for training the children on")
    sandwich.add_argument("--distillation", type=float, default=1.0, help="see Sandwich")
    sandwich.add_argument("--begin", type=float, default=0.0, help="see Sandwich")
    sandwich.add_argument("--alone", choices=["largest", "smallest"], default="largest", help="see Sandwich")
    parser.add_argument("--val-episodes", type=int, default=40, help="that children are chosen by")
    parser.add_argument("--test-episodes", type=int, default=400, help="that each network is tested on")
    parser.add_argument("--methods", nargs="+", choices=[*TOGETHER, SEPARATE, WHOLE, HALF], help="by default all")
    parser.add_argument("--report", action="store_true", help="only print and draw what was run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lm.tune_allocator()
    if not options.report:
        run_all(options)
    rows = read(options.output)
    print(report(rows))
    draw_figure(rows, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
