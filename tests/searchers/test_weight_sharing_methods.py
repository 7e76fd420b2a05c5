"""Each shipped method that shares weights searches a target task, within its budget, and leaves a record."""

from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from lit_metanas.comparisons import TargetSearch
from lit_metanas.records import read_records, read_results
from lit_metanas.tasks import Split, Task

METHODS = Path(__file__).parents[2] / "configs" / "search"
FLOPS = 3e8


def make_task():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(3, 1, 8, 8, generator=generator)

    def split():
        labels = torch.arange(3).repeat_interleave(6)
        noise = torch.rand(18, 1, 8, 8, generator=generator)
        return Split((patterns[labels] + 0.3 * noise).clamp(0, 1), labels)

    return Task("patterns", 3, split(), split(), split())


@pytest.mark.parametrize(
    ("config", "space"),
    [
        ("enas", "layered_shared"),
        ("one_shot", "layered_shared"),
        ("gdas", "layered_shared"),
        ("darts_minus", "nas_bench_201_supernet"),
    ],
)
def test_a_shipped_method_searches_a_target_task(config, space, tmp_path, monkeypatch):
    monkeypatch.chdir(METHODS)
    methods = yaml.safe_load((METHODS / f"{config}.yaml").read_text())["model"]["init_args"]["methods"]
    given = {
        "space": f"../spaces/{space}.yaml",
        "methods": methods,
        "recipe": {"epochs": 1},
        "flops": FLOPS,
        "queries": 6,
        "directory": str(tmp_path / "search"),
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(TargetSearch, "search")
    text = yaml.safe_dump({"search": {"class_path": "lit_metanas.comparisons.TargetSearch", "init_args": given}})
    module = parser.instantiate(parser.parse_string(text)).search
    trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False)
    loader = DataLoader([make_task()], batch_size=None, collate_fn=lambda task: task)
    trainer.predict(module, loader, return_predictions=False)

    rows = read_results(tmp_path / "search" / "results.json")
    assert [row.method for row in rows] == list(methods)
    for row in rows:
        assert 0.2 * FLOPS < row.cost.flops <= FLOPS
        assert row.cost.queries <= 6
        assert row.curve
        assert module.space.violation(row.architecture) is None
        (record,) = read_records(module.finished.folder(row.task_id, row.method) / "record.json")
        assert record.trials
        assert record.trials[-1].cost.flops == row.cost.flops
