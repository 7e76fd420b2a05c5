"""A search leaves a line for each task and method that scored something; nothing of it comes from the test part."""

from dataclasses import replace

import optuna
import pytest
import torch
from lightning.pytorch import Trainer
from sharing_toys import make_task
from torch.utils.data import DataLoader

from lit_metanas.comparisons import TargetSearch
from lit_metanas.estimators import TrainingEstimator
from lit_metanas.records import read_record_lines
from lit_metanas.searchers import QuerySearcher, RandomArchitecture
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import Split
from lit_metanas.training import Recipe

SPACE = LayeredSpace(kernels=(1, 3), activations=("ReLU",), depths=(1, 2), widths=(2, 4))

TASKS = [replace(make_task(each=4, seed=seed), id=f"noise/{seed}") for seed in (0, 1)]


def brief(task, space, seed):
    return TrainingEstimator(task, space, seed, Recipe(epochs=1, batch_size=12))


def methods():
    sampler = optuna.samplers.TPESampler(n_startup_trials=2)
    return {
        "fixed choice": RandomArchitecture(),
        "random": QuerySearcher(estimator=brief, trials=4),
        "tpe": QuerySearcher(sampler=sampler, estimator=brief, trials=4),
    }


def run(directory, tasks=TASKS, searchers=None, seed=1):
    options = {"recipe": Recipe(epochs=1, batch_size=12), "seed": seed, "directory": str(directory)}
    module = TargetSearch(space=SPACE, methods=searchers or methods(), **options)
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False)
    loader = DataLoader(tasks, batch_size=None, collate_fn=lambda task: task)
    trainer.predict(module, loader, return_predictions=False)
    return plain(read_record_lines(directory / "records.jsonl", SPACE))


def plain(records):
    """Without wall time."""
    timeless = [[replace(trial, cost=replace(trial.cost, seconds=0.0)) for trial in one.trials] for one in records]
    return [replace(record, trials=trials) for record, trials in zip(records, timeless, strict=True)]


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    return run(tmp_path_factory.mktemp("records"))


def test_poisoned_test_parts_leave_the_same_records(left, tmp_path):
    poison = Split(torch.full((12, 1, 8, 8), 1e30), torch.zeros(12, dtype=torch.int64))
    assert run(tmp_path, [replace(task, test=poison) for task in TASKS]) == left


def test_an_interrupted_search_leaves_the_records_of_an_uninterrupted_one(left, tmp_path):
    def pull_the_plug(task, space, seed):
        if task.id == "noise/1":
            raise KeyError("pulled the plug")
        return brief(task, space, seed)

    broken = {**methods(), "tpe": QuerySearcher(estimator=pull_the_plug, trials=4)}
    with pytest.raises(KeyError, match="pulled the plug"):
        run(tmp_path, searchers=broken)
    assert not (tmp_path / "records.jsonl").exists()
    assert run(tmp_path) == left
    assert run(tmp_path) == left
