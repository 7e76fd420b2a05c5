"""NAS-Bench-101's table, of records that are written here by hand."""

import base64
import json

import pytest
from nas_bench_101_examples import C1, FIRST, FIRST_HASH, POOL
from nas_bench_101_records import CHAIN, DIAMOND, SPACE, metrics, record, write

from lit_metanas.estimators import NASBench101Table, TabularEstimator


@pytest.fixture
def full(tmp_path):
    records = []
    for epochs in (36, 4, 108, 12):
        records += [
            record(CHAIN, epochs, 1234, val, val / 2, 3.0 * epochs) for val in (0.25, 0.5, 0.75 + epochs / 1000)
        ]
        records += [record(DIAMOND, epochs, 567, 0.875, 0.125, epochs)]
    records += [record(FIRST, parameters=8_555_530, val=0.9264155824979147, test=0.9206063151359558)]
    return NASBench101Table("cifar10", write(tmp_path / "nasbench_full.tfrecord", records))


def test_scores_are_means_over_trainings(full):
    chain, diamond, first = (SPACE.from_matrix(*cell) for cell in (CHAIN, DIAMOND, FIRST))
    assert len(full) == 3
    assert full.signals == (
        "val_4", "val_12", "val_36", "val_108", "test_4", "test_12", "test_36", "test_108"
    )  # fmt: skip
    for epochs in (4, 12, 36, 108):
        mean = (0.25 + 0.5 + 0.75 + epochs / 1000) / 3
        assert full.score(chain, f"val_{epochs}") == pytest.approx(mean, abs=1e-12)
        assert full.score(chain, f"test_{epochs}") == pytest.approx(mean / 2, abs=1e-12)
        assert full.score(diamond, f"val_{epochs}") == 0.875
        assert full.training_flops(diamond, f"val_{epochs}") == 3 * full.flops(diamond) * 40_000 * epochs
    assert full.score(first, "test_108") == pytest.approx(0.9206063151359558)
    assert [full.parameters(cell) for cell in (chain, diamond, first)] == [1234, 567, 8_555_530]
    assert full.flops(first) == SPACE.cost(first, (3, 32, 32), 10).flops
    with pytest.raises(ValueError, match="has no training for 36 epochs of the cell "):
        full.score(first, "val_36")


def test_isomorphic_cells_have_one_row(full):
    turned = (DIAMOND[0], ["input", POOL, C1, "output"])
    assert full.score(SPACE.from_matrix(*turned), "val_4") == full.score(SPACE.from_matrix(*DIAMOND), "val_4")


def test_the_published_hash_is_the_key(tmp_path):
    table = NASBench101Table("cifar10", write(tmp_path / "t", [record(FIRST, module_hash=FIRST_HASH, val=0.25)]))
    assert table.score(SPACE.from_matrix(*FIRST), "val_108") == 0.25
    assert table.signals == ("val_108", "test_108")
    assert table.early("val_108") is None


def test_estimator(full):
    estimator = TabularEstimator(full, "val_108")
    chain = SPACE.from_matrix(*CHAIN)
    assert estimator(chain, fidelity=1.0).value == full.score(chain, "val_108")
    assert estimator(chain, fidelity=0.3).value == full.score(chain, "val_36")
    assert full.early("test_12") == "test_4"
    assert {name: measure(chain) for name, measure in estimator.measures.items()} == {
        "parameters": 1234,
        "flops": full.flops(chain),
    }


def test_what_the_table_lacks_is_named(full):
    absent = SPACE.from_matrix([[0, 1, 0], [0, 0, 1], [0, 0, 0]], ["input", C1, "output"])
    with pytest.raises(ValueError, match=r"does not list the cell edge0-1=yes .*op5=conv3x3-bn-relu\.$"):
        full.score(absent, "val_4")
    dense = SPACE.canonical({choice.name: choice.labels[-1] for choice in SPACE.choices})
    with pytest.raises(ValueError, match="21 edges are more than 9"):
        full.score(dense, "val_4")
    with pytest.raises(ValueError, match="no signal 'val_5': use val_4, val_12"):
        full.score(absent, "val_5")
    with pytest.raises(ValueError, match="has no latency on 'phone'"):
        full.measures("phone")


def test_an_absent_table_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^There is no table '.*nasbench_only108.tfrecord': get it from https"):
        NASBench101Table("cifar10", tmp_path / "nasbench_only108.tfrecord")
    with pytest.raises(ValueError, match="NAS-Bench-101 has no data set 'mnist': use cifar10"):
        NASBench101Table("mnist", tmp_path / "nasbench_only108.tfrecord")


def test_damaged_files_are_refused_in_one_sentence(full):
    data = full.file.read_bytes()
    for cut in (1, 11, 12, 100, len(data) // 2, len(data) - 1):
        full.file.write_bytes(data[:cut])
        with pytest.raises(ValueError, match=r"^'.*' ends within a record: get it again from https://\S+\.$"):
            NASBench101Table("cifar10", full.file)
    for place in range(3, len(data), 701):
        wrong = bytearray(data)
        wrong[place] ^= 16
        full.file.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"^'.*' (is damaged .*|ends within a record): get it again from http"):
            NASBench101Table("cifar10", full.file)
    full.file.write_bytes(b"")
    with pytest.raises(ValueError, match="holds no records"):
        NASBench101Table("cifar10", full.file)


def changed(place, value):
    entries = json.loads(record(CHAIN))
    entries[place] = value
    return json.dumps(entries).encode()


def with_metrics(message):
    return changed(4, base64.b64encode(message).decode())


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b"[1, 2]",
        b"\xff\xfe",
        changed(0, "0" * 32),
        changed(1, 109),
        changed(1, 108.0),
        changed(2, "01000100"),
        changed(3, "input,conv5x5,output"),
        changed(3, None),
        changed(4, "not base 64"),
        with_metrics(b""),
        with_metrics(metrics(108, 5, 0.5, 0.4, 1.0)[:-3]),
        with_metrics(metrics(108, 5, float("nan"), 0.4, 1.0)),
        with_metrics(metrics(108, 2**63, 0.5, 0.4, 1.0)),
        with_metrics(b"\x0a\x00" * 3),
        b"[" * 10_000,
    ],
)
def test_other_records_are_refused(tmp_path, text):
    with pytest.raises(ValueError, match=r"^'.*other' is not a table of NAS-Bench-101: get it from https://\S+\.$"):
        NASBench101Table("cifar10", write(tmp_path / "other", [record(DIAMOND), text]))


def test_the_official_file(data_folder):
    path = data_folder / "nasbench_only108.tfrecord"
    if not path.is_file():
        pytest.skip("no nasbench_only108.tfrecord")
    table = NASBench101Table("cifar10", path)
    assert len(table) == 423_624
    first = SPACE.from_matrix(*FIRST)
    assert table.parameters(first) == SPACE.cost(first, (3, 32, 32), 10).parameters == 8_555_530
    for place, architecture in enumerate(SPACE.architectures()):
        if place % 500 == 0:
            assert table.parameters(architecture) == SPACE.cost(architecture, (3, 32, 32), 10).parameters
            assert 0.09 < table.score(architecture, "test_108") < 0.95
