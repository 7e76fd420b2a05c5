"""A kind of data of another package: graphs, from Python and from the shell; no file of this package knows them."""

import csv
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import graphs
import numpy as np
import pytest
from graphs import Graphs, NodeNetworks

import lit_metanas as lm
from lit_metanas.cli.command_line import main
from lit_metanas.kinds import kind as kind_module
from lit_metanas.kinds.given_data import kind_of_path, other_ways, read_given
from lit_metanas.kinds.kind import kind_named
from lit_metanas.testing import check_space

TOYS = Path(graphs.__file__).parent


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rings and stars of five to nine nodes, each with one number drawn at random, and its number of edges."""
    draw, lines = random.Random(0), []
    for number in range(60):
        nodes = draw.randrange(5, 10)
        ring = [[node, (node + 1) % nodes] for node in range(nodes)]
        star = [[0, node] for node in range(1, nodes)]
        edges = ring if number % 2 else star
        degrees = [sum(node in edge for edge in edges) for node in range(nodes)]
        label = "ring" if number % 2 else "star"
        told = {"nodes": [[draw.random(), degree] for degree in degrees], "edges": edges, "label": label}
        lines.append(json.dumps(told))
    path = tmp_path_factory.mktemp("graphs") / "shapes.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_the_module_is_short() -> None:
    assert len(Path(graphs.__file__).read_text().splitlines()) <= 200


def test_its_space_passes_the_check() -> None:
    check_space(NodeNetworks())


@pytest.mark.parametrize("name", ["graphs.Graphs", "graphs"])
def test_a_kind_is_named_by_its_path_or_once_imported_by_its_name(name: str) -> None:
    assert isinstance(kind_named(name), Graphs)


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of graphs is installed, and offers its kind."""
    entry = EntryPoint("graphs", "graphs:Graphs", "lit_metanas.kinds")
    monkeypatch.setattr(kind_module, "entry_points", lambda group: [entry] if group == entry.group else [])
    kind_module.known_kinds.cache_clear()
    yield
    kind_module.known_kinds.cache_clear()


@pytest.mark.usefixtures("offered")
def test_a_kind_that_a_package_offers_claims_its_files_though_no_table_is_in_them(file: Path, tmp_path: Path) -> None:
    own = tmp_path / "shapes.graphs.jsonl"
    own.write_bytes(file.read_bytes())
    assert isinstance(kind_of_path(own, None), Graphs)
    assert read_given(own).classes == ("ring", "star")


def test_the_kind_that_a_user_names_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = lm.task_from_arrays(np.random.default_rng(0).random((20, 3)), [0, 1] * 10)
    monkeypatch.setattr(Graphs, "holds", lambda self, task: True)
    monkeypatch.setattr(Graphs, "preprocessings", lambda self, task, source: dict.fromkeys("ab", rows.shape))
    data = (rows.train.inputs, rows.train.labels)
    given = {"test": None, "group": None}
    assert [*other_ways(data, rows, kind="graphs", **given)] == ["a", "b"]
    assert "quantiles of columns" in other_ways(data, rows, kind="rows", **given)


def test_what_is_no_kind_is_refused() -> None:
    for name, reason in (("graphs.Hops", "is no kind"), ("graphs.Trees", "no attribute 'Trees'"), ("trees", "no kind")):
        with pytest.raises(ValueError, match=reason):
            kind_named(name)


def test_auto_search_export_and_report(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = lm.auto(file, kind="graphs.Graphs", flops=(2e7, 2e7), output=tmp_path / "out")
    assert "60 graphs of 2 classes: 36 to learn from, 12 to choose by, 12 to test." in capsys.readouterr().err
    assert result.space == "NodeNetworks"
    assert result.test_accuracy > 0.9
    assert "graphs" in (tmp_path / "out" / "README.md").read_text()
    assert "shapes.jsonl" in (tmp_path / "out" / "report" / "report.md").read_text()
    again = lm.auto(file, kind="graphs.Graphs", flops=(2e7, 2e7), output=tmp_path / "out", progress=False)
    assert again.predictions == result.predictions
    found = graphs.read_graphs(file)[:4]
    assert lm.load(tmp_path / "out").show(found) == ["star", "ring", "star", "ring"]
    task = read_given(file, kind="graphs.Graphs")
    searched = lm.search(task, NodeNetworks(), flops=2e7, recipe=lm.Recipe(epochs=3), progress=False)
    assert 0 <= searched.test_accuracy <= 1


def test_the_command_line(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["auto", str(file), "--kind=graphs.Graphs", "--flops=2e7", "--output", out]) == 0
    assert "60 graphs of 2 classes" in capsys.readouterr().err
    # In a process that has not imported the kind.
    command = [sys.executable, "-m", "lit_metanas", "predict", out, str(file), "--kind", "graphs.Graphs", "--csv"]
    table = subprocess.run(command, cwd=TOYS, capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(table[table.index("row,class") :].splitlines()))
    assert len(rows) == 60
    right = sum(row["class"] == ("ring" if number % 2 else "star") for number, row in enumerate(rows))
    assert right > 54
