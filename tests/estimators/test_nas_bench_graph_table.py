"""NAS-Bench-Graph's tables: made ones, hostile ones, and those of the package; and what a table does not know."""

import pickle
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from lit_metanas.estimators import (
    NASBenchGraphTable,
    Table,
    TableDataModule,
    TabularEstimator,
    nas_bench_tables as module,
)
from lit_metanas.spaces import Architecture, Choice, ChoiceSpace, NASBenchGraph
from lit_metanas.spaces.nas_bench_graph import PROTEINS_OPERATIONS

needs_package = pytest.mark.skipif(find_spec("nas_bench_graph") is None, reason="the package nas-bench-graph is absent")


def made_row(value):
    return {"valid_perf": value, "perf": value / 2, "latency": value / 100, "para": 1000 * value, "rank": 1}


def store(folder, content, dataset="cora"):
    with (folder / f"{dataset}.bench").open("wb") as file:
        pickle.dump(content, file)


@pytest.fixture
def chain():
    return NASBenchGraph().architecture([0, 1, 2, 3], ["gcn", "gat", "fc", "gin"])


def test_a_row_is_found_by_the_published_hash(tmp_path, chain):
    store(tmp_path, {81072: made_row(0.8), 81073: made_row(0.4)})
    table = NASBenchGraphTable("cora", tmp_path)
    assert len(table) == 2
    assert table.score(chain, "val") == 0.8
    assert table.score(chain, "test") == 0.4
    measured = {name: measure(chain) for name, measure in table.measures.items()}
    assert measured == {"parameters": table.parameters(chain), "latency": table.latency(chain)}
    assert measured == {"parameters": 800_000_000, "latency": 0.008}
    assert table.training_flops(chain, "val") == 0
    assert table.early("val") is None


def test_proteins_has_its_own_space(tmp_path):
    store(tmp_path, {81457: made_row(0.8)}, "proteins")
    table = NASBenchGraphTable("proteins", tmp_path)
    assert table.space.choices[1].labels == PROTEINS_OPERATIONS
    assert table.score(table.space.architecture([0, 1, 2, 3], ["gcn", "sage", "arma", "fc"]), "val") == 0.8


def test_a_hostile_table_is_refused_and_not_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return open, (str(tmp_path / "witness"), "w")

    store(tmp_path, {81072: Hostile()})
    with pytest.raises(ValueError, match=r"'.*cora.bench' asks for \w*io.open, which is not plain data"):
        NASBenchGraphTable("cora", tmp_path)
    assert not (tmp_path / "witness").exists()


def test_mistakes_are_named(tmp_path, chain, monkeypatch):
    with pytest.raises(ValueError, match="no data set 'zachary': use cora, citeseer"):
        NASBenchGraphTable("zachary")
    with pytest.raises(FileNotFoundError, match=r"no table '.*cora.bench': install the package nas-bench-graph, which"):
        NASBenchGraphTable("cora", tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    sentence = r"are not installed: install the package .*pip install 'lit-metanas\[g"
    with pytest.raises(FileNotFoundError, match=sentence):
        NASBenchGraphTable("cora")
    monkeypatch.setattr(module, "find_spec", lambda name: SimpleNamespace(submodule_search_locations=[str(tmp_path)]))
    with pytest.raises(FileNotFoundError, match=r"no table '.*light/cora.bench'"):
        NASBenchGraphTable("cora")
    too_few = TableDataModule(NASBenchGraphTable, ["cora"])
    too_few.trainer = SimpleNamespace(world_size=2)
    with pytest.raises(ValueError, match="Too few data sets: 1 for 2 processes, one of which would have none: lower"):
        too_few.setup("predict")
    for content, text in (
        ([], "is not a table of"),
        ({}, "is not a table of"),
        ({1: {"perf": 1}}, "lacks numbers in its row 1: install"),
        ({1: "perf"}, "lacks numbers in its row 1: install"),
    ):
        store(tmp_path, content)
        with pytest.raises(ValueError, match=rf"cora.bench' {text}"):
            NASBenchGraphTable("cora", tmp_path)
    for value in ("many", None, float("nan"), float("inf")):
        store(tmp_path, {1: {**made_row(0.5), "para": value}})
        with pytest.raises(ValueError, match=r"cora.bench' lacks numbers in its row 1: install"):
            NASBenchGraphTable("cora", tmp_path)
    with (tmp_path / "cora.bench").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match=r"cora.bench' is larger than 16 MB: install"):
        NASBenchGraphTable("cora", tmp_path)
    store(tmp_path, {1: made_row(0.5)})
    with pytest.raises(ValueError, match=r"cora.bench' does not list the architecture link=0,1,2,3 op1=gcn"):
        NASBenchGraphTable("cora", tmp_path).score(chain, "val")
    data = (tmp_path / "cora.bench").read_bytes()
    (tmp_path / "cora.bench").write_bytes(data[:20])
    with pytest.raises(ValueError, match=r"cora.bench' is damaged \(\w+\): get the published file again"):
        NASBenchGraphTable("cora", tmp_path)


@needs_package
@pytest.mark.parametrize("dataset", ["cora", "proteins"])
def test_the_published_table_lists_exactly_the_networks_of_the_space(dataset):
    table = NASBenchGraphTable(dataset)
    architectures = list(table.space.architectures())
    assert len(architectures) == len(table)
    assert len(table) == {"cora": 26206, "proteins": 2021}[dataset]
    scores = [table.score(architecture, signal) for architecture in architectures for signal in table.signals]
    assert min(scores) >= 0
    assert 0.5 < max(scores) <= 1
    assert min(map(table.parameters, architectures)) > 100_000


class Letters(ChoiceSpace):
    choices = (Choice("x", ("a", "b")),)


class OneTraining(Table):
    space = Letters()
    dataset = "letters"
    signals = ("val", "test")

    def score(self, architecture, signal):
        self.check_signal(signal)
        return {"a": 0.25, "b": 0.5}[architecture["x"]] + (0.125 if signal == "test" else 0)


A, B = (Architecture({"x": letter}) for letter in "ab")


def test_what_a_table_does_not_know_is_none():
    table = OneTraining()
    assert (table.early("val"), table.measures, table.training_flops(A, "val")) == (None, {}, 0)
    estimator = TabularEstimator(table, "val")
    assert estimator.measures == {}
    assert estimator.settings == {"table": "OneTraining", "dataset": "letters", "signal": "val"}
