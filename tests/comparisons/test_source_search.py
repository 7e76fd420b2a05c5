"""One architecture for a whole source: what candidates cost, and what is written."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.data import DataLoader

from lit_metanas.comparisons import SourceSearch
from lit_metanas.estimators.meta_training import MetaTrainingEstimator
from lit_metanas.records import Budget, SearchRecord, read_architectures, read_record_lines
from lit_metanas.searchers import SuccessiveHalving
from lit_metanas.searchers.halving.rungs import Contender, climb
from lit_metanas.spaces import LayeredSpace, one_hot
from lit_metanas.tasks import EpisodeDataModule, TaskSource
from lit_metanas.tasks.source import SUBSETS
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(kernels=(1, 3), depths=(1, 2), widths=(2, 4), activations=("ReLU",), dropouts=(0.0,))


class Grey(TaskSource):
    """Each class has its own grey."""

    shape = SHAPE

    def classes(self, subset):
        return tuple(f"{subset}{place}" for place in range(6))

    def instances(self, subset, class_index, held_out=False):
        return 8

    def inputs(self, subset, class_index, instances, held_out=False):
        number = 40 * class_index + 5 * SUBSETS.index(subset)
        return torch.stack([torch.full(SHAPE, number + instance, dtype=torch.uint8) for instance in instances])


DATA = {"way": 3, "shot": 2, "query": 4, "tasks_per_step": 2, "steps_per_epoch": 3, "val_episodes": 4}


def make_estimator(flops):
    data = EpisodeDataModule(Grey(), **DATA)
    return MetaTrainingEstimator(data=data, space=SPACE, shape=SHAPE, flops=flops, seed=0)


def step_by_hand(architecture):
    """Two tasks of three classes, two support and four query images each, forwards and backwards."""
    forward = SPACE.supernet(SHAPE).flops(one_hot(SPACE.choices, architecture))
    return 3 * forward * 2 * 3 * (2 + 4)


@pytest.mark.parametrize(("steps", "expected"), [(0.3, 1), (1.0, 1), (3.9, 3), (4.0, 4)])
def test_what_was_spent_is_charged_and_no_more_than_foretold(steps, expected):
    architecture = SPACE.sample(torch.Generator().manual_seed(2))
    step = step_by_hand(architecture)
    estimator = make_estimator(10 * step)
    assert estimator.step_flops(architecture) == step
    score = estimator(architecture, fidelity=steps / 10)
    assert score.cost.flops == expected * step
    assert (score.cost.steps, score.cost.queries) == (expected, 1)
    assert score.cost.images == expected * 2 * 3 * (2 + 4)
    assert score.cost.flops <= estimator.cost(architecture, steps / 10).flops


def test_a_rung_trains_every_contender_within_its_flops():
    generator = torch.Generator().manual_seed(0)
    contenders = [Contender(SPACE.sample(generator)) for _ in range(3)]
    flops = 3 * 2.5 * max(step_by_hand(contender.architecture) for contender in contenders)
    budget = Budget(flops=flops)
    done = climb(contenders, estimator=make_estimator(flops), budget=budget, flops=flops, record=SearchRecord("grey"))
    assert len(done) == 3
    assert flops - sum(step_by_hand(contender.architecture) for contender in contenders) < budget.spent.flops <= flops


def search(directory, **options):
    return SourceSearch(
        space=SPACE,
        searcher=SuccessiveHalving(candidates=2, rungs=(0.5, 0.5)),
        flops=1e6,
        directory=str(directory),
        **options,
    )


HOLD = """
import sys
from lit_metanas.io.locks import directory_lock
with directory_lock(sys.argv[1], "search", "model.init_args.directory"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_directory_in_which_another_search_is_at_work_is_refused(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(
            ValueError, match=r"is in use by another search \(process \d+ on .*'model.init_args.directory'"
        ):
            search(tmp_path).search(EpisodeDataModule(Grey(), **DATA))
        process.communicate("over\n")
    assert not (tmp_path / "architectures.json").exists()
    search(tmp_path).search(EpisodeDataModule(Grey(), **DATA))
    assert (tmp_path / "architectures.json").is_file()


def test_a_trainer_gets_the_labels(tmp_path):
    module, data = search(tmp_path), EpisodeDataModule(Grey(), **DATA)
    loader = DataLoader([data], batch_size=None, collate_fn=lambda one: one)
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    assert trainer.predict(module, loader) == [module.search(data).architecture.to_json()]


def test_sigterm_ends_a_search_under_any_trainer(tmp_path, monkeypatch):
    calls = []

    def train(self, architecture, **options):
        calls.append(architecture)
        signal.raise_signal(signal.SIGTERM)
        return TRAIN(self, architecture, **options)

    monkeypatch.setattr(MetaTrainingEstimator, "__call__", train)
    loader = DataLoader([EpisodeDataModule(Grey(), **DATA)], batch_size=None, collate_fn=lambda one: one)
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
    with pytest.raises(SIGTERMException, match=r"^Stopped by a signal"):
        trainer.predict(search(tmp_path), loader)
    assert len(calls) == 1


def test_both_files_tell_what_was_spent(tmp_path):
    found = search(tmp_path).search(EpisodeDataModule(Grey(), **DATA))
    (chosen,) = read_architectures(tmp_path / "architectures.json")
    spent = found.record.trials[-1].cost
    assert chosen.architecture == found.architecture
    assert 0 < spent.flops <= 1e6
    assert chosen.cost == spent == read_meta_checkpoint(tmp_path / "start.ckpt").cost
    assert chosen.value == max(t.value for t in found.record.trials if t.architecture == found.architecture)


def test_the_shape_is_the_sources(tmp_path):
    search(tmp_path / "given", shape=SHAPE).search(EpisodeDataModule(Grey(), **DATA))
    search(tmp_path / "left out").search(EpisodeDataModule(Grey(), **DATA))
    assert end_state(tmp_path / "given") == end_state(tmp_path / "left out")
    assert end_state(tmp_path / "given")[1].shape == SHAPE
    with pytest.raises(
        ValueError,
        match=r"^grey has images of shape \(1, 8, 8\), but the search was given images of shape \(3, 8, 8\):",
    ):
        search(tmp_path / "other", shape=(3, 8, 8)).search(EpisodeDataModule(Grey(), **DATA))


def end_state(folder):
    """All files but for times."""
    (record,) = read_record_lines(folder / "records.jsonl")
    (chosen,) = read_architectures(folder / "architectures.json")
    untimed = [replace(trial, cost=replace(trial.cost, seconds=0.0)) for trial in record.trials]
    checkpoint = read_meta_checkpoint(folder / "start.ckpt")
    weights = {name: tensor.tolist() for name, tensor in checkpoint.weights.items()}
    assert sorted(file.name for file in folder.iterdir()) == [
        ".change.lock", ".search.lock", "architectures.json", "finished.json", "records.jsonl", "start.ckpt"
    ]  # fmt: skip
    return replace(record, trials=untimed), replace(chosen, cost=replace(chosen.cost, seconds=0.0)), weights


def counted(monkeypatch, fail_at=None):
    """Calls of the estimator, the last of which is interrupted."""
    calls, train = [], TRAIN

    def call(self, architecture, **options):
        calls.append(architecture)
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        return train(self, architecture, **options)

    monkeypatch.setattr(MetaTrainingEstimator, "__call__", call)
    return calls


TRAIN = MetaTrainingEstimator.__call__


def test_an_interrupted_search_goes_on_from_its_last_training(tmp_path, monkeypatch, capsys):
    whole, parts = search(tmp_path / "whole"), search(tmp_path / "parts")
    data = EpisodeDataModule(Grey(), **DATA)
    calls = counted(monkeypatch)
    whole.search(data)
    assert len(calls) == 3
    counted(monkeypatch, fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        parts.search(data)
    first, second = sorted((tmp_path / "parts" / "trainings").iterdir())
    first.write_bytes(second.read_bytes()[:100])  # a damaged one counts as absent
    again = counted(monkeypatch)
    found = parts.search(data)
    assert len(again) == 2
    assert found.record.trials[0].cost.seconds > 0
    assert end_state(tmp_path / "parts") == end_state(tmp_path / "whole")
    assert end_state(tmp_path / "whole")[0].method == "halving"
    capsys.readouterr()
    before = (tmp_path / "whole" / "records.jsonl").read_bytes()
    known = whole.search(data)
    assert known.architecture == found.architecture
    assert [trial.value for trial in known.record.trials] == [trial.value for trial in found.record.trials]
    assert capsys.readouterr().out == f"The search in '{tmp_path / 'whole'}' was already finished: nothing was done.\n"
    assert (tmp_path / "whole" / "records.jsonl").read_bytes() == before
    assert len(again) == 2
    for change in ({"shot": 1}, {"val_episodes": 2}):
        whole.search(EpisodeDataModule(Grey(), **{**DATA, **change}))
    assert len(again) == 2 + 3 + 3


def test_several_processes_are_refused(tmp_path, monkeypatch):
    module = search(tmp_path)
    monkeypatch.setattr(SourceSearch, "trainer", SimpleNamespace(world_size=2))
    with pytest.raises(ValueError, match="runs in one process, not in 2"):
        module.on_predict_start()
