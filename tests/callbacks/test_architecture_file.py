import math

import pytest

from lit_metanas.callbacks import ArchitectureFile
from lit_metanas.records import read_architectures


class Writes(ArchitectureFile):
    """Notes the value of each row."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.written = []

    def _row(self, pl_module, value):
        self.written.append(round(value, 3))
        return super()._row(pl_module, value)


def test_written_on_improvement_only(fit, drifting, tmp_path):
    writes = Writes()
    module = drifting([0.4, 0.3, math.nan, 0.5, 0.5, 0.6])
    fit(module, [writes], epochs=6, sanity=1)
    assert writes.written == [0.4, 0.5, 0.6]
    (row,) = read_architectures(tmp_path / "architectures.json")
    assert row.architecture == module.architecture()
    assert row.value == pytest.approx(0.6)
    assert (row.metric, row.seed, row.shape, row.space) == ("val/accuracy", 7, (1, 4, 4), "LayeredSpace")
    assert row.cost.flops == 10**9


def test_resumed_training_keeps_the_better_one(fit, drifting, tmp_path):
    trainer = fit(drifting([0.9, 0.8]), [Writes()], epochs=2)
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    writes = Writes()
    fit(drifting([0.9, 0.8, 0.85]), [writes], epochs=3, ckpt_path=str(tmp_path / "half.ckpt"))
    assert writes.written == []
    assert read_architectures(tmp_path / "architectures.json")[0].value == pytest.approx(0.9)


def test_unknown_metric_is_named(fit, module):
    with pytest.raises(ValueError, match=r"monitors 'val/acc', which is not logged: use one of .*val/accuracy"):
        fit(module, [ArchitectureFile(monitor="val/acc")])
