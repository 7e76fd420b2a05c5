"""Each shipped method that shares weights searches a target task, within its budget, and leaves a record."""

from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Trainer
from sharing_toys import make_task
from torch.utils.data import DataLoader

from lit_metanas.comparisons import TargetSearch
from lit_metanas.records import read_record_lines, read_results

METHODS = Path(__file__).parents[2] / "configs" / "search"
FLOPS = 3e8


@pytest.mark.parametrize(
    ("config", "space"),
    [
        ("enas", "layered_shared"),
        ("one_shot", "layered_shared"),
        ("gdas", "layered_shared"),
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
    loader = DataLoader([make_task(each=6)], batch_size=None, collate_fn=lambda task: task)
    trainer.predict(module, loader, return_predictions=False)

    rows = read_results(tmp_path / "search" / "results.json")
    assert [row.method for row in rows] == list(methods)
    for row in rows:
        assert 0.2 * FLOPS < row.cost.flops <= FLOPS
        assert row.cost.queries <= 6
        assert row.curve
        assert module.space.violation(row.architecture) is None
        (record,) = read_record_lines(module.folder(row.task_id, row.method) / "record.jsonl")
        assert record.trials
        assert record.trials[-1].cost.flops == row.cost.flops
