"""NAS-Bench-201's table of arrays: a made one, mistakes in it, and the real one."""

import numpy as np
import pytest

from lit_metanas.estimators import NASBench201Table, TabularEstimator
from lit_metanas.spaces import NASBench201

DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
CELLS = 15625


@pytest.fixture(scope="module")
def arrays():
    draw = np.random.default_rng(0)
    signals = [f"{part}_acc_{epochs}" for part in ("val", "test") for epochs in (12, 200)]
    found = {name: draw.uniform(10, 90, (CELLS, 3)).astype("f4") for name in signals}
    found["params"] = draw.integers(1000, 9999, (CELLS, 3), dtype="i4")
    return {**found, "flops_M": draw.uniform(1, 99, (CELLS, 3)).astype("f4")}


@pytest.fixture(scope="module")
def path(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "table.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("column", [0, 2])
def test_rows_are_official_indices_and_columns_data_sets(arrays, path, column):
    table = NASBench201Table(DATASETS[column], path)
    for merged in (True, False):
        space = NASBench201(merge_isomorphs=merged)
        for index in (0, 7, 9999, CELLS - 1):
            architecture = space.from_index(index)
            row = index, column
            for signal in table.signals:
                stored = arrays[signal.replace("_", "_acc_")][row]
                assert table.score(architecture, signal) == pytest.approx(float(stored) / 100)
            assert table.parameters(architecture) == arrays["params"][row]
            assert table.flops(architecture) == pytest.approx(1e6 * float(arrays["flops_M"][row]), abs=1)


def test_a_lower_fidelity_is_the_training_of_twelve_epochs(path):
    table = NASBench201Table("cifar100", path)
    estimator = TabularEstimator(table, "val_200")
    architecture = table.space.from_index(5)
    assert estimator(architecture, fidelity=0.06).value == table.score(architecture, "val_12")
    full, short = (estimator.cost(architecture, fidelity).flops for fidelity in (1.0, 0.06))
    assert full * 12 == short * 200
    measured = {name: measure(architecture) for name, measure in estimator.measures.items()}
    assert measured == {"parameters": table.parameters(architecture), "flops": table.flops(architecture)}


def test_mistakes_are_named_in_one_sentence(arrays, path, tmp_path):
    with pytest.raises(ValueError, match="no data set 'cifar': use cifar10, cifar100, ImageNet16-120"):
        NASBench201Table("cifar", path)
    with pytest.raises(ValueError, match="has no shorter training than that of 'val_12': search at fidelity 1"):
        TabularEstimator(NASBench201Table("cifar10", path), "val_12")(NASBench201().from_index(0), fidelity=0.5)
    with pytest.raises(ValueError, match="no signal 'val_100': use val_12, val_200, test_12, test_200"):
        NASBench201Table("cifar10", path).score(NASBench201().from_index(0), "val_100")
    with pytest.raises(FileNotFoundError, match=r"There is no table '.*absent.npz': give the path"):
        NASBench201Table("cifar10", tmp_path / "absent.npz")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"params": None}, "lacks the array 'params': give a NAS-Bench-201 table"),
        ({"params": np.zeros((9, 3))}, r"holds no 15625 x 3 finite numbers as 'params': get it again"),
        ({"params": np.full((CELLS, 3), None)}, "is damaged or not an .npz file"),
        ({"flops_M": np.full((CELLS, 3), np.nan)}, "holds no 15625 x 3 finite numbers as 'flops_M'"),
        ({"flops_M": np.full((CELLS, 3), "many")}, "holds no 15625 x 3 finite numbers as 'flops_M'"),
    ],
)
def test_a_table_that_lacks_something_is_refused(arrays, tmp_path, change, text):
    changed = {name: array for name, array in {**arrays, **change}.items() if array is not None}
    np.savez(tmp_path / "table.npz", **changed)
    with pytest.raises(ValueError, match=text):
        NASBench201Table("cifar10", tmp_path / "table.npz")


def test_the_best_cells_of_the_real_table_are_the_published_ones(data_folder):
    for dataset, best in (("cifar10", 94.37), ("cifar100", 73.51), ("ImageNet16-120", 47.31)):
        table = NASBench201Table(dataset, data_folder / "nas_bench_201.npz")
        tests = [table.score(table.space.from_index(index), "test_200") for index in range(CELLS)]
        assert 100 * max(tests) == pytest.approx(best, abs=0.005)
