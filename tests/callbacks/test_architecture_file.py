import math

import pytest
from drifting import Drifting

from lit_metanas.callbacks import ArchitectureFile, architecture_logger
from lit_metanas.records import read_architectures
from lit_metanas.records.result_files import write_architectures


@pytest.fixture
def written(monkeypatch):
    """The values of the rows that are written."""
    values = []

    def write(path, rows):
        values.extend(round(row.value, 3) for row in rows)
        write_architectures(path, rows)

    monkeypatch.setattr(architecture_logger, "write_architectures", write)
    return values


def test_written_on_improvement_only(fit, written, tmp_path):
    module = Drifting([0.4, 0.3, math.nan, 0.5, 0.5, 0.6])
    fit(module, [ArchitectureFile()], epochs=6, sanity=1)
    assert written == [0.4, 0.5, 0.6]
    (row,) = read_architectures(tmp_path / "architectures.json")
    assert (row.architecture, row.value) == (module.architecture(), pytest.approx(0.6))
    assert (row.metric, row.seed, row.shape, row.space) == ("val/accuracy", 7, (1, 4, 4), "LayeredSpace")
    assert row.cost.flops == 10**9


def test_resumed_training_keeps_the_better_one(fit, written, tmp_path):
    trainer = fit(Drifting([0.9, 0.8]), [ArchitectureFile()], epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    assert written == [0.9]
    fit(Drifting([0.9, 0.8, 0.85]), [ArchitectureFile()], epochs=3, ckpt_path=str(tmp_path / "half.ckpt"))
    assert written == [0.9]
    assert read_architectures(tmp_path / "architectures.json")[0].value == pytest.approx(0.9)


def test_unknown_metric_is_named(fit):
    with pytest.raises(ValueError, match=r"monitors 'val/acc', which is not logged: use one of .*val/accuracy"):
        fit(Drifting(), [ArchitectureFile(monitor="val/acc")])
    with pytest.raises(ValueError, match="mode is 'best': give 'max' or 'min'"):
        ArchitectureFile(mode="best")
