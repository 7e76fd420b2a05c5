import math
from statistics import fmean, stdev
from types import SimpleNamespace

import pytest
from drifting import Drifting, loader
from meta_toys import make_trainer

from lit_metanas.callbacks import ArchitectureFile, ArchitectureLogger, ResultsFile
from lit_metanas.records import read_results


def test_row_holds_what_was_measured(tmp_path):
    module = Drifting()
    callback = ResultsFile(str(tmp_path / "results.json"), method="meta-searched", config="config.yaml")
    make_trainer(callbacks=[callback], default_root_dir=tmp_path).test(module, loader(), verbose=False)
    (row,) = read_results(tmp_path / "results.json")
    values = [0.5] * 3 + [0.6] * 3 + [0.7] * 3 + [0.8] * 3
    assert row.values == pytest.approx(values)
    assert row.value == pytest.approx(fmean(values))
    assert row.ci95 == pytest.approx(2.2009851600828 * stdev(values) / math.sqrt(12))  # t(0.975, 11) from a table
    assert (row.seed, row.parameters, row.flops, row.meta_cost.flops) == (7, 123, 456, 10**9)
    assert (row.architecture, row.config) == (module.architecture(), "config.yaml")
    assert "torch" in row.hardware


def test_where_nothing_was_measured_nothing_is_written(tmp_path):
    first, other = (SimpleNamespace(is_global_zero=zero, default_root_dir=tmp_path) for zero in (True, False))
    results, history = ResultsFile(str(tmp_path / "results.json"), method="random"), ArchitectureLogger()
    with pytest.raises(ValueError, match="ResultsFile needs test scores, but Drifting kept none in test_values"):
        results.on_test_end(first, Drifting())
    results.on_test_end(other, Drifting())
    history.load_state_dict(history.state_dict())
    for callback in (history, ArchitectureFile()):
        callback.on_train_end(first, Drifting())
    assert list(tmp_path.iterdir()) == []
