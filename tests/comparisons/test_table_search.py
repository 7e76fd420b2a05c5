"""The verb search on tabular benchmarks, and its report."""

import json
import pickle
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lit_metanas.cli.command_line import main
from lit_metanas.estimators import NASBench201Table
from lit_metanas.records import read_architectures, read_results
from lit_metanas.spaces import NASBenchGraph

pytestmark = pytest.mark.usefixtures("here")

CONFIGS = Path(__file__).parents[2] / "configs" / "search" / "tables"
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
CELLS = 15625


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of NAS-Bench-201's shape; the test scores are the validation scores less a tenth."""
    draw = np.random.default_rng(0)
    scores = {f"val_acc_{epochs}": draw.uniform(20, 90, (CELLS, 3)) for epochs in (12, 200)}
    scores |= {name.replace("val", "test"): values - 10 for name, values in scores.items()}
    sizes = {"params": draw.integers(1000, 9999, (CELLS, 3)), "flops_M": draw.uniform(1, 99, (CELLS, 3))}
    path = tmp_path_factory.mktemp("tables") / "table.npz"
    np.savez(path, **scores, **sizes)
    return path


def search(config: str, *args: str) -> int:
    return main(["search", "-c", str(CONFIGS / config), "--trainer.enable_progress_bar=false", *args])


def test_searches_are_looked_up_and_reported(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search("nas_bench_201.yaml", f"--data.table.path={table}", "--model.queries=12") == 0
    rows = read_results("search/results.json")
    methods = ["random search", "TPE", "regularised evolution"]
    assert [(row.task_id, row.method) for row in rows] == list(product(sorted(DATASETS), methods))
    chosen = {(row.task_id, row.method): row for row in read_architectures("search/architectures.json")}
    for row in rows:
        known = NASBench201Table(row.task_id, table)
        assert row.value == known.score(row.architecture, "test_200")
        assert row.curve[-1][1] == known.score(row.architecture, "val_200") == chosen[row.task_id, row.method].value
        assert row.curve[-1][1] == pytest.approx(row.value + 0.1, abs=1e-6)
        assert row.parameters == known.parameters(row.architecture)
        assert (row.cost.queries, row.curve[0][0]) == (12, 1)
        assert all(1 <= queries <= 12 for queries, _ in row.curve)
    assert main(["report", "--results", json.dumps(["search/results.json"])]) == 0
    text = Path("report/report.md").read_text()
    for dataset in DATASETS:
        assert f"### NASBench201 on {dataset}: test\\_200 by val\\_200" in text
    assert text.count("| 12 queries, ") == 9
    assert Path("report/anytime.png").is_file()
    capsys.readouterr()


def test_a_search_goes_on_where_it_stopped_but_not_with_another_table(table: Path) -> None:
    same = ("nas_bench_201.yaml", "--model.queries=5", "--data.datasets=[cifar10]")
    assert search(*same, f"--data.table.path={table}") == 0
    before = Path("search/results.json").read_text()
    assert search(*same, f"--data.table.path={table}") == 0
    assert Path("search/results.json").read_text() == before  # times, too: nothing was done again
    with np.load(table) as arrays:
        np.savez("other.npz", **{**arrays, "test_acc_200": arrays["test_acc_200"] / 2})
    assert search(*same, "--data.table.path=other.npz") == 0
    halves = {row.method: row.value for row in read_results("search/results.json")}
    wholes = {row["method"]: row["value"] for row in json.loads(before)["results"]}
    assert halves == pytest.approx({method: value / 2 for method, value in wholes.items()})


MISTAKES = {
    "key of a table": (["--data.table.pth=x"], r"table.pth=x.*: did you mean 'path'\?$"),
    "key before a key": (["--data.tabel.path=x"], r"tabel.path=x: did you mean 'table'\?$"),
    "no table": (["--data.table.path=absent.npz"], r"There is no table 'absent.npz': .*github.com/D-X-Y/NATS-Bench"),
    "signal": (["--model.signal=val_50"], r"no signal 'val_50': use val_12, val_200, test_12, test_200"),
    "no data set": (["--data.datasets=[]"], r"'data': TableDataModule has no data sets: give at least one"),
    "space": (
        ["--model.methods.regularised evolution.sampler.space=lit_metanas.spaces.NASBench101"],
        r"was given a space \(NASBench101\) whose choices are not those .* searched \(NASBench201\)",
    ),
    "estimator": (
        ["--model.methods.TPE.estimator=lit_metanas.estimators.TrainingEstimator"],
        r"'model': Method 'TPE' has an estimator, but the table gives the scores: leave it out",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(mistake: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args, sentence = MISTAKES[mistake]
    assert search("nas_bench_201.yaml", f"--data.table.path={table}", "--model.queries=2", *args) > 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("lit-metanas: ")
    assert re.search(sentence, last)


@pytest.mark.slow
def test_nas_bench_graph() -> None:
    space = NASBenchGraph()
    content = {
        space.key(architecture): {"valid_perf": 1 / (2 + place), "perf": 1 / (3 + place), "latency": 1.0, "para": 0.5}
        for place, architecture in enumerate(space.architectures())
    }
    Path("cora.bench").write_bytes(pickle.dumps(content))
    args = ["--data.table.folder=.", "--data.datasets=[cora]", "--model.queries=30"]
    assert search("nas_bench_graph.yaml", *args) == 0
    for row in read_results("search/results.json"):
        best = row.curve[-1][1]
        assert row.value == pytest.approx(1 / (1 / best + 1))
        assert (row.parameters, row.flops, row.cost.queries) == (500_000, 0, 30)


def test_the_real_table(data_folder: Path) -> None:
    assert search("nas_bench_201.yaml", f"--data.table.path={data_folder / 'nas_bench_201.npz'}") == 0
    best = {"cifar10": 0.9437, "cifar100": 0.7351, "ImageNet16-120": 0.4731}
    for row in read_results("search/results.json"):
        assert best[row.task_id] - 0.03 < row.value <= best[row.task_id] + 1e-4
