import math
from dataclasses import replace
from statistics import fmean, stdev

import pytest
from lightning.pytorch import Trainer

from lit_metanas.callbacks import ResultsFile
from lit_metanas.records import ResultRow, read_results
from lit_metanas.records.result_files import merge_row_file


@pytest.fixture
def tested(module, batches, tmp_path):
    def run(method):
        callback = ResultsFile(str(tmp_path / "results.json"), method=method, config="config.yaml")
        trainer = Trainer(
            callbacks=[callback], logger=False, default_root_dir=tmp_path, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.test(module, batches(), verbose=False)
        return read_results(tmp_path / "results.json")

    return run


def test_row_holds_what_was_measured(tested, module):
    (row,) = tested("meta-searched")
    values = [0.5] * 3 + [0.6] * 3 + [0.7] * 3 + [0.8] * 3
    assert row.values == pytest.approx(values)
    assert row.value == pytest.approx(fmean(values))
    assert row.ci95 == pytest.approx(2.2009851600828 * stdev(values) / math.sqrt(12))  # t(0.975, 11) from a table
    assert (row.seed, row.parameters, row.flops, row.meta_cost.flops) == (7, 123, 456, 10**9)
    assert row.architecture == module.architecture()
    assert row.config == "config.yaml"
    assert "torch" in row.hardware


def test_merge_tells_seeds_and_protocols_apart(tested, tmp_path):
    (row,) = tested("a")
    others = [replace(row, seed=8), replace(row, protocol=replace(row.protocol, shot=5))]
    merge_row_file(tmp_path / "results.json", ResultRow, others)
    assert len(read_results(tmp_path / "results.json")) == 3
