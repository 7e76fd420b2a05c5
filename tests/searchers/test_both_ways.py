"""The whole loop on toys: search source tasks, learn from the records, meta-train a supernet, search with both."""

import warnings

import pytest
import torch
from lightning.pytorch import Trainer

from lit_metanas.comparisons import TargetSearch
from lit_metanas.estimators import SupernetEstimator, TrainingEstimator
from lit_metanas.meta import PrototypeLoss
from lit_metanas.records import Budget, read_record_lines
from lit_metanas.relaxations import Softmax
from lit_metanas.searchers import MetaSampler, QuerySearcher
from lit_metanas.searchers.query.study import quiet_optuna
from lit_metanas.spaces import LayeredSpace, OneHotEncoding
from lit_metanas.surrogates import MetaSurrogate, RecordDataModule
from lit_metanas.tasks import DataStatistics, DrawnTasks, EpisodeDataModule, TargetTaskDataModule, TaskSource
from lit_metanas.training import MetaSearch, Recipe
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU", "Tanh"), dropouts=(0.0,), depths=(1, 2), widths=(2, 4))
EMBEDDING = DataStatistics()


class Patterns(TaskSource):
    """Each class is a random picture, each instance another noise on it."""

    shape = SHAPE

    def classes(self, subset):
        return tuple(f"{subset}{place}" for place in range(6))

    def instances(self, subset, class_index, held_out=False):
        return 20

    def inputs(self, subset, class_index, instances, held_out=False):
        number = 100 * ("train", "val", "test").index(subset) + class_index
        picture = 200 * torch.rand(SHAPE, generator=torch.Generator().manual_seed(number))
        noise = [torch.Generator().manual_seed(1000 * number + 2 * i + held_out) for i in instances]
        return torch.stack([picture + 55 * torch.rand(SHAPE, generator=generator) for generator in noise]).byte()


def trainer(folder, **options):
    return Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, inference_mode=False, use_distributed_sampler=False,
        **options,
    )  # fmt: skip


def tasks(subset, number):
    return DrawnTasks(Patterns(), subset, way=3, train=5, val=5, test=5, tasks=number)


def brief(task, space, seed):
    return TrainingEstimator(task, space, seed, Recipe(epochs=1, batch_size=15))


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Checkpoints of both ways of meta-training."""
    folder = tmp_path_factory.mktemp("learned")
    source = TargetSearch(
        space=SPACE,
        methods={"random": QuerySearcher(estimator=brief, embedding=EMBEDDING)},
        recipe=Recipe(epochs=1, batch_size=15),
        queries=6,
        directory=str(folder),
    )
    with quiet_optuna():
        trainer(folder).predict(source, TargetTaskDataModule(tasks("train", 3)), return_predictions=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*across ranks is zero.*")
        fit = trainer(folder, max_epochs=1)
        fit.fit(
            MetaSurrogate(encoding=OneHotEncoding(SPACE)),
            RecordDataModule([str(folder / "records.jsonl")], encoding=OneHotEncoding(SPACE)),
        )
        fit.save_checkpoint(folder / "surrogate.ckpt")
    search = MetaSearch(space=SPACE, shape=SHAPE, meta_gradient=PrototypeLoss(), relaxation=Softmax())
    fit = trainer(folder, max_epochs=1, limit_val_batches=0)
    fit.fit(search, EpisodeDataModule(Patterns(), way=3, tasks_per_step=1, steps_per_epoch=3))
    fit.save_checkpoint(folder / "supernet.ckpt")
    return folder


def both_ways(folder):
    sampler = MetaSampler(space=SPACE, checkpoint=str(folder / "surrogate.ckpt"), first=2)
    start = str(folder / "supernet.ckpt")

    def estimator(task, space, seed):
        return SupernetEstimator(task, space, seed, start=start)

    return QuerySearcher(sampler=sampler, estimator=estimator, embedding=EMBEDDING)


def test_a_target_task_is_searched_with_both(learned):
    task = tasks("test", 1)[0]
    with quiet_optuna():
        found = both_ways(learned).search(task, SPACE, Budget(queries=8), 0)
    trials = found.record.trials
    assert len({trial.architecture for trial in trials}) == len(trials) == 8
    assert found.record.embedding == EMBEDDING(task)
    weights = read_meta_checkpoint(learned / "supernet.ckpt").weights
    estimator = SupernetEstimator(task, SPACE, 0, weights)
    assert [trial.value for trial in trials] == [estimator(t.architecture, fidelity=1.0).value for t in trials]
    assert found.architecture == max(trials, key=lambda trial: trial.value).architecture


def test_what_was_learned_before_has_its_cost(learned):
    searcher = both_ways(learned)
    before = dict(vars(searcher))
    with quiet_optuna():
        found = searcher.search(tasks("test", 1)[0], SPACE, Budget(queries=3), 0)
    searches = [record.trials[-1].cost for record in read_record_lines(learned / "records.jsonl", SPACE)]
    supernet = read_meta_checkpoint(learned / "supernet.ckpt").cost
    assert searches[0].flops > 0
    assert supernet.flops > 0
    assert searcher.meta_cost.flops == sum(cost.flops for cost in searches)
    assert found.meta_cost == supernet
    assert vars(searcher) == before  # a search leaves nothing behind
