"""A kind of data of another package: graphs, from Python and from the shell; no file of this package knows them."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import graphs
import pytest
from graphs import Graphs, NodeNetworks

import lit_metanas as lm
from lit_metanas.kinds.given_data import read_given
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
    assert lm.load_exported(tmp_path / "out").show(found) == ["star", "ring", "star", "ring"]
    task = read_given(file, kind="graphs.Graphs")
    searched = lm.search(task, NodeNetworks(), flops=2e7, recipe=lm.Recipe(epochs=3), progress=False)
    assert 0 <= searched.test_accuracy <= 1


def test_the_command_line(file: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        command = [sys.executable, "-m", "lit_metanas", *words]
        done = subprocess.run(command, cwd=TOYS, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    out = str(tmp_path / "out")
    assert "60 graphs of 2 classes" in run("auto", str(file), "--kind=graphs.Graphs", "--flops=2e7", "--output", out)
    table = run("predict", out, str(file), "--kind", "graphs.Graphs", "--csv")
    rows = list(csv.DictReader(table[table.index("row,class") :].splitlines()))
    assert len(rows) == 60
    right = sum(row["class"] == ("ring" if number % 2 else "star") for number, row in enumerate(rows))
    assert right > 54
