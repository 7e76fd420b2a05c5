"""Meta-training, searches and spaces: a change of the code's form leaves all of their numbers as they are."""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from golden import GOLDEN, WRITES, check, named_hash, size_of
from kind_data import KINDS
from lightning.pytorch import Trainer
from meta_toys import Patterns, fit, make_data, make_trainer
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lit_metanas.comparisons import TargetSearch
from lit_metanas.estimators import Table, TabularEstimator, TrainingEstimator
from lit_metanas.inputs.shapes import Shape
from lit_metanas.io.checkpoints import read_weights
from lit_metanas.meta import (
    ANIL,
    FOMAML,
    MAML,
    TNAS,
    AlternatingInnerLoop,
    HeadInnerLoop,
    JointInnerLoop,
    LinearHead,
    MetaNAS,
    PrototypeLinearHead,
    PrototypeLoss,
    Reptile,
)
from lit_metanas.records import Budget, Cost, SearchRecord, Trial, read_architectures, read_record_lines, read_results
from lit_metanas.relaxations import AnnealedSoftmax, GumbelSoftmax, SampledChild, Softmax, StraightThrough
from lit_metanas.searchers import (
    DARTSSearcher,
    ENASSearcher,
    EvolvingHalving,
    FixedArchitecture,
    FrontHalving,
    MetaSampler,
    MetaSearchedArchitecture,
    PortfolioSampler,
    QuerySearcher,
    RandomArchitecture,
    RegularisedEvolution,
    Searcher,
    SuccessiveHalving,
)
from lit_metanas.searchers.query.ledger import RecipeRange
from lit_metanas.spaces import (
    Architecture,
    DARTSCell,
    ENASMacro,
    LayeredSpace,
    MetaNASCell,
    NASBench101,
    NASBench201,
    NASBenchGraph,
    SearchSpace,
    one_hot,
)
from lit_metanas.tasks import Split, Subset, Task
from lit_metanas.tasks.source import SUBSETS
from lit_metanas.training import AdaptedLogits, ArchitectureSchedule, MetaSearch, Recipe, SecondOrder
from lit_metanas.training.weight_sharing.darts_training import DARTSRates

SHAPE: Shape = (1, 8, 8)
LAYERED = LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(4, 6), activations=("ReLU", "Tanh"), dropouts=(0.0, 0.2))


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


class Stripes(Patterns):
    """Of integers, so that they are the same everywhere; each class has its own width and brightness."""

    def inputs(self, subset: Subset, class_index: int, instances: Sequence[int], held_out: bool = False) -> Tensor:
        """With noise."""
        number = SUBSETS.index(subset) * 8 + class_index
        stripes = torch.arange(8).expand(SHAPE) * (number % 5 + 1) % 9 * 12 + 5 * (7 * number % 24)
        noises = [torch.randint(0, 40, SHAPE, generator=_generator(1000 * number + i)) for i in instances]
        return torch.stack([(stripes + noise).byte() for noise in noises])


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sgd(rate: float) -> Callable[[Any], torch.optim.Optimizer]:
    return lambda parameters: torch.optim.SGD(parameters, lr=rate)


def meta_train(steps: int, **options: Any) -> tuple[MetaSearch, Trainer, list[float]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = MetaSearch(**{"space": LAYERED, "shape": SHAPE, **options})
    data = make_data(source=Stripes(), steps_per_epoch=steps, test_episodes=4)
    trainer, losses = fit(model, data, precision="64-true", use_distributed_sampler=False, inference_mode=False)
    trainer.test(model, data, verbose=False)
    return model, trainer, losses


def given(**options: Any) -> dict[str, Any]:
    """Options of a meta-training; a new object of each."""
    return options


META: dict[str, Callable[[], dict[str, Any]]] = {
    "MAML": lambda: given(
        meta_gradient=MAML(), relaxation=Softmax(), head=PrototypeLinearHead(), inner_loop=JointInnerLoop(steps=2)
    ),
    "MAML, vmap": lambda: given(
        meta_gradient=MAML(task_map="vmap"), relaxation=Softmax(), head=PrototypeLinearHead(),
        inner_loop=JointInnerLoop(steps=1),
    ),
    "FOMAML": lambda: given(
        meta_gradient=FOMAML(), relaxation=AnnealedSoftmax(), head=LinearHead(way=3),
        inner_loop=JointInnerLoop(steps=2, learning_rate=0.3),
        schedule=ArchitectureSchedule(warm_up=0.2, prior={"kernel": "3"}, prior_strength=0.5),
    ),
    "ANIL": lambda: given(
        meta_gradient=ANIL(), relaxation=Softmax(temperature=0.5), head=LinearHead(way=3),
        inner_loop=HeadInnerLoop(steps=2, learning_rate=0.5), query_dropout=False,
    ),
    "Reptile": lambda: given(
        meta_gradient=Reptile(), relaxation=Softmax(), head=PrototypeLinearHead(),
        inner_loop=JointInnerLoop(steps=2, learning_rate=0.5), weight_optimizer=sgd(1.0), logit_optimizer=sgd(1.0),
        anneal=False,
    ),
    "MetaNAS": lambda: given(
        meta_gradient=MetaNAS(), relaxation=AnnealedSoftmax(), head=PrototypeLinearHead(),
        inner_loop=AlternatingInnerLoop(steps=2, learning_rate=0.5), weight_optimizer=sgd(1.0),
        logit_optimizer=sgd(1.0), anneal=False, task_architectures=AdaptedLogits(),
    ),
    "T-NAS": lambda: given(
        meta_gradient=TNAS(), relaxation=StraightThrough(), head=PrototypeLinearHead(),
        inner_loop=JointInnerLoop(steps=2), batch_norm="support",
    ),
    "PrototypeLoss, Gumbel-softmax": lambda: given(
        relaxation=GumbelSoftmax(), schedule=ArchitectureSchedule(prune_below=0.3)
    ),
    "PrototypeLoss, straight-through": lambda: given(relaxation=StraightThrough(), batch_norm="transductive"),
    "PrototypeLoss, sampled child": lambda: given(meta_gradient=PrototypeLoss(), relaxation=SampledChild(end=0.1)),
}  # fmt: skip
EVERY_BLOCK = LayeredSpace(
    kernels=(1, 3), depths=(2,), widths=(4,), activations=("ReLU",), dropouts=(0.0,), skips=("none", "residual"),
    norms=("batch", "layer", "none"), mix="normalised",
)  # fmt: skip
META["PrototypeLoss, all skips and norms"] = lambda: {"space": EVERY_BLOCK}


@pytest.mark.parametrize("method", META)
def test_meta_training(method: str) -> None:
    model, _, losses = meta_train(30, **META[method]())
    assert len(losses) == 30
    found = {
        "losses": losses,
        "test accuracies": list(model.test_values),
        "logits": model.logits.values.tolist(),
        "weights": size_of(dict(model.supernet.named_parameters())),
        "statistics": size_of(model.statistics.values),
        "architecture": model.architecture().to_json(),
        "flops": int(model.spent),
        "state": named_hash(model.state_dict()),
    }
    check("meta-training", method, found)


SEARCHED = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(1, 2), widths=(4, 8))
GIVEN = {"depth": "2", "layer1.kernel": "3", "layer1.width": "4", "layer2.width": "8"}
BUDGET = 4e7


def make_task() -> Task:
    """Three classes, so noisy that no network has all of them right."""
    generator = _generator(0)
    patterns = torch.rand(3, *SHAPE, generator=generator)

    def split() -> Split:
        labels = torch.arange(3).repeat_interleave(16)
        noise = torch.rand(48, *SHAPE, generator=generator)
        return Split(0.3 * patterns[labels] + 0.7 * noise, labels)

    return Task("patterns/0", 3, split(), split(), split(), classes=("a", "b", "c"))


def brief_training(task: Task, space: SearchSpace, seed: int) -> TrainingEstimator:
    """A few epochs of a network."""
    return TrainingEstimator(task, space, seed, Recipe(epochs=4, batch_size=8, learning_rate=0.03))


def queries(**options: Any) -> QuerySearcher:
    """A search by brief trainings."""
    return QuerySearcher(estimator=brief_training, **options)


def sharing(**options: Any) -> DARTSSearcher:
    """A brief search by shared weights."""
    return DARTSSearcher(**{"rates": DARTSRates(weights=0.1, logits=0.1), "epochs": 6, "batch_size": 8, **options})


SEARCHERS: dict[str, Callable[[Path], Searcher]] = {
    "fixed": lambda _: FixedArchitecture(GIVEN),
    "random": lambda _: RandomArchitecture(),
    "meta-searched": lambda folder: MetaSearchedArchitecture(written_checkpoint(folder)),
    "meta-searched, adapted": lambda folder: sharing(start=written_checkpoint(folder), head=PrototypeLinearHead()),
    "DARTS, first order": lambda _: sharing(),
    "DARTS, second order": lambda _: sharing(gradient=SecondOrder()),
    "GDAS": lambda _: sharing(relaxation=SampledChild(temperature=10.0, end=0.1)),
    "ENAS": lambda _: ENASSearcher(epochs=6, batch_size=8, candidates=3),
    "queries, random": lambda _: queries(sampler=RandomSampler()),
    "queries, TPE": lambda _: queries(sampler=TPESampler(n_startup_trials=3)),
    "queries, evolution": lambda _: queries(sampler=RegularisedEvolution(population=3, sample=2, space=SEARCHED)),
    "queries, MetaSampler": lambda _: queries(sampler=MetaSampler(space=SEARCHED, first=3)),
    "queries, portfolio": lambda _: queries(
        sampler=PortfolioSampler(space=SEARCHED, records=[earlier_search()], then=MetaSampler(space=SEARCHED, first=2))
    ),
    "queries, recipe and front": lambda _: queries(
        train={"learning_rate": RecipeRange(0.005, 0.05, log=True)},
        objectives=("accuracy", "parameters"),
        constraints={"flops": 20000.0},
    ),
    "halving": lambda _: SuccessiveHalving(estimator=brief_training, candidates=4, finish=True),
    "evolving halving": lambda _: EvolvingHalving(
        estimator=brief_training, candidates=(3, 2), rungs=(0.4, 0.3), incumbent={"depth": "2"}
    ),
    "front halving": lambda _: FrontHalving(
        estimator=brief_training, candidates=(4, 2), rungs=(0.6, 0.4), train={"learning_rate": [0.01, 0.03]}
    ),
}


def earlier_search() -> SearchRecord:
    """What a search on another task tried: five architectures, each with its score."""
    drawn = sampled(SEARCHED, 5)
    return SearchRecord("other/0", [Trial(one, 0.5 + place / 10, Cost(queries=1)) for place, one in enumerate(drawn)])


def written_checkpoint(folder: Path) -> str:
    """Of a few steps of meta-training."""
    _, trainer, _ = meta_train(4, space=SEARCHED)
    trainer.save_checkpoint(folder / "meta.ckpt")
    return str(folder / "meta.ckpt")


@pytest.mark.parametrize("method", SEARCHERS)
def test_search(method: str, tmp_path: Path) -> None:
    module = TargetSearch(
        space=SEARCHED,
        methods={"method": SEARCHERS[method](tmp_path)},
        recipe=Recipe(epochs=6, batch_size=8, learning_rate=0.03),
        flops=BUDGET,
        queries=8,
        refit=False,
        seed=1,
        directory=str(tmp_path / "search"),
    )
    loader: DataLoader[Task] = DataLoader(
        [make_task()],  # type: ignore[arg-type]
        batch_size=None,
        collate_fn=lambda task: task,
    )
    make_trainer().predict(module, loader, return_predictions=False)
    (result,) = read_results(tmp_path / "search" / "results.json")
    (chosen,) = read_architectures(tmp_path / "search" / "architectures.json")
    (record,) = read_record_lines((tmp_path / "search" / chosen.weights).with_name("record.jsonl"))
    assert chosen.architecture == result.architecture
    assert result.architecture is not None
    weights = read_weights(tmp_path / "search" / chosen.weights)
    costs = {"cost": result.cost, "cost of meta-training": result.meta_cost}
    found = {
        "architecture": result.architecture.to_json(),
        "accuracy": result.value,
        **{name: [cost.queries, cost.steps, cost.images, cost.flops] for name, cost in costs.items()},
        "size": [result.parameters, result.flops],
        "recipe": result.recipe,
        "front": [[str(trial.architecture), trial.value] for trial in result.front],
        "trials": [[str(one.architecture), _number(one.value), one.cost.flops, one.duplicate] for one in record.trials],
        "weights": size_of(weights),
        "state": named_hash(weights),
    }
    check("search", method, found)


class Formula(Table):
    """A table whose scores are worked out: a sum over the labels, of which pairs count, too."""

    signals = ("val", "test")

    def __init__(self, space: SearchSpace, dataset: str) -> None:
        self.space, self.dataset = space, dataset

    def score(self, architecture: Architecture, signal: str) -> float:
        """From 0 to 1; the sibling data sets share most of it."""
        labels = [f"{name}={label}" for name, label in sorted(architecture.items())]
        terms = [*labels, *map("&".join, pairwise(labels)), *(f"{self.dataset}{signal}{label}" for label in labels)]
        return fmean(int(hashlib.sha256(term.encode()).hexdigest()[:6], 16) / 0x1000000 for term in terms)


TABLE_SPACES: dict[str, Callable[[], SearchSpace]] = {
    "NAS-Bench-101": NASBench101,
    "NAS-Bench-201": NASBench201,
    "NAS-Bench-Graph": NASBenchGraph,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "NAS-Bench-101")) for name in TABLE_SPACES]
)
def test_query_search_on_a_table(name: str) -> None:
    space = TABLE_SPACES[name]()
    source, target = Formula(space, "source"), Formula(space, "target")
    first = QuerySearcher(sampler=RandomSampler(), trials=30).run(
        TabularEstimator(source, "val"), space, Budget(queries=30), 0, problem="source"
    )
    record = replace(first.record, task_id="source", space=space.name)
    samplers: dict[str, BaseSampler] = {
        "from scratch": MetaSampler(space=space, first=4),
        "from a record": PortfolioSampler(space=space, records=[record], size=3, then=MetaSampler(space=space)),
    }
    found: dict[str, object] = {}
    for method, sampler in samplers.items():
        searcher = QuerySearcher(sampler=sampler)
        outcome = searcher.run(TabularEstimator(target, "val"), space, Budget(queries=16), 1, problem="target")
        found[method] = [[str(trial.architecture), trial.value] for trial in outcome.record.trials]
    check("table", name, found)


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON has no NaN


SPACES: dict[str, Callable[[], SearchSpace]] = {
    "DARTS cell": lambda: DARTSCell(channels=2, cells=3, auxiliary=True),
    "MetaNAS cell": lambda: MetaNASCell(channels=2, cells=2),
    "ENAS macro": lambda: ENASMacro(layers=4, channels=4),
    "NAS-Bench-201": lambda: NASBench201(channels=4, cells=1, merge_isomorphs=False),
    "layered": lambda: LAYERED,
    "layered, all skips and norms": lambda: EVERY_BLOCK,
    "layered, shared": lambda: LayeredSpace(shared=True, widths=(4,)),
}
TABLES: dict[str, Callable[[], SearchSpace]] = {
    "NAS-Bench-101": NASBench101,
    "NAS-Bench-201": NASBench201,
    "DARTS cell": DARTSCell,
}


def sampled(space: SearchSpace, number: int) -> list[Architecture]:
    """The first random architectures that can be built."""
    generator = _generator(3)
    found: list[Architecture] = []
    while len(found) < number:
        one = space.sample(generator)
        if space.violation(one) is None:
            found.append(one)
    return found


def sums(values: Tensor) -> list[float]:
    """Two numbers of a tensor: a ramp goes over the sum, which batch-norm makes zero."""
    flat = values.flatten()
    return [float((flat * torch.linspace(1, 2, len(flat))).sum()), float(flat.square().sum())]


def networks(space: SearchSpace, architecture: Architecture, images: Tensor) -> dict[str, object]:
    """Sums of what supernet and child give, the child with the supernet's weights and statistics."""
    torch.manual_seed(5)
    supernet = space.supernet(SHAPE)
    mixture = one_hot(space.choices, architecture)
    soft = Softmax()({choice.name: torch.zeros(len(choice.labels)) for choice in space.choices}, {}, 0.0)
    statistics: dict[str, Tensor] = {}
    with torch.no_grad():
        features = supernet(images, mixture, record=statistics)
        weights = {**dict(supernet.named_parameters()), **statistics}
        child = space.child(architecture, SHAPE, 3, weights)
        assert isinstance(child, nn.Module)
        scores = child.eval()(images)
        noise = supernet.draw_noise(len(images), _generator(7))
        noisy = supernet(images, soft, noise)
    return {
        "one-hot": [*sums(features), supernet.flops(mixture)],
        "soft": [*sums(noisy), supernet.flops(soft)],
        "child": sums(scores),
        "learned": named_hash(space.supernet_weights(child)),
        "child state": named_hash(child.state_dict()),
        "statistics": named_hash(statistics),
        "state": named_hash(supernet.state_dict()),
    }


@pytest.mark.parametrize("name", SPACES)
def test_space(name: str) -> None:
    space = SPACES[name]()
    drawn = sampled(space, 3)
    costs = [space.cost(one, SHAPE, 3) for one in drawn]
    generator = _generator(11)
    logits = {choice.name: torch.randn(len(choice.labels), generator=generator) for choice in space.choices}
    images = torch.rand(4, *SHAPE, generator=generator)
    found = {
        "choices": hashlib.sha256(repr([(c.name, c.labels, c.group) for c in space.choices]).encode()).hexdigest(),
        "architectures": [one.to_json() for one in drawn],
        "costs": [[cost.parameters, cost.flops] for cost in costs],
        "derived": space.derive(logits).to_json(),
        "networks": [networks(space, one, images) for one in drawn],
    }
    check("space", name, found)


@pytest.mark.parametrize("name", TABLES)
def test_published_sizes(name: str) -> None:
    space = TABLES[name]()
    drawn = sampled(space, 3)
    costs = [space.cost(one, (3, 32, 32), 10) for one in drawn]
    found = {"architectures": [str(one) for one in drawn], "costs": [[cost.parameters, cost.flops] for cost in costs]}
    check("published size", name, found)


@pytest.mark.skipif(WRITES, reason="golden.json is being written")
def test_nothing_else_is_kept() -> None:
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))
    cases: dict[str, dict[str, Any]] = {
        "meta-training": META,
        "search": SEARCHERS,
        "space": SPACES,
        "published size": TABLES,
        "table": TABLE_SPACES,
        "auto": KINDS,
    }
    assert {kind: set(found) for kind, found in kept.items()} == {kind: set(names) for kind, names in cases.items()}
