"""The verb search on tabular benchmarks, and its report."""

import json
import pickle
import re
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import numpy as np
import optuna
import pytest
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from lit_metanas.cli.command_line import main
from lit_metanas.cli.program import Program
from lit_metanas.comparisons import TableSearch
from lit_metanas.estimators import NASBench201Table, Table
from lit_metanas.records import read_architectures, read_results
from lit_metanas.searchers import QuerySearcher
from lit_metanas.spaces import Architecture, LayeredSpace, NASBenchGraph

CONFIGS = Path(__file__).parents[2] / "configs" / "search" / "tables"
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
CELLS = 15625


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of NAS-Bench-201's shape; the test scores are the validation scores less a tenth."""
    draw = np.random.default_rng(0)
    scores = {f"val_acc_{epochs}": draw.uniform(20, 90, (CELLS, 3)) for epochs in (12, 200)}
    path = tmp_path_factory.mktemp("tables") / "table.npz"
    np.savez(
        path,
        **scores,
        **{name.replace("val", "test"): values - 10 for name, values in scores.items()},
        params=draw.integers(1000, 9999, (CELLS, 3)),
        flops_M=draw.uniform(1, 99, (CELLS, 3)),
        latency_devices=np.array(["phone"]),
        latency_ms=draw.uniform(1, 9, (CELLS, 1)),
        hw_metrics=np.array(["fpga_latency"]),
        hw=draw.uniform(1, 9, (3, CELLS, 1)),
    )
    return path


def search(config: str, *args: str) -> int:
    return main(["search", "-c", str(CONFIGS / config), "--trainer.enable_progress_bar=false", *args])


def test_searches_are_looked_up_and_reported(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search("nas_bench_201.yaml", f"--data.table.path={table}", "--model.queries=12") == 0
    rows = read_results("search/results.json")
    methods = ["random search", "TPE", "regularised evolution"]
    assert [(row.task_id, row.method) for row in rows] == [
        (name, each) for name in sorted(DATASETS) for each in methods
    ]
    chosen = {(row.task_id, row.method): row for row in read_architectures("search/architectures.json")}
    for row in rows:
        known = NASBench201Table(row.task_id, table)
        assert row.value == known.score(row.architecture, "test_200")
        assert row.curve[-1][1] == known.score(row.architecture, "val_200") == chosen[row.task_id, row.method].value
        assert row.curve[-1][1] == pytest.approx(row.value + 0.1, abs=1e-6)
        assert row.parameters == known.parameters(row.architecture)
        assert row.cost.queries == 12
        assert row.curve[0][0] == 1
        assert all(1 <= queries <= 12 for queries, _ in row.curve)
    assert main(["report", "--results", json.dumps(["search/results.json"])]) == 0
    text = Path("report/report.md").read_text()
    for dataset in DATASETS:
        assert f"### NASBench201 on {dataset}: test\\_200 by val\\_200" in text
    assert text.count("| 12 queries, ") == 9
    assert Path("report/anytime.png").is_file()
    capsys.readouterr()


def test_a_search_goes_on_where_it_stopped_but_not_with_another_table(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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


class Kernels(Table):
    """Scores by the kernel, whatever else the space says."""

    dataset, signals = "toy", ("val", "test")

    def __init__(self, space: LayeredSpace) -> None:
        self._searched = space

    @property
    def space(self) -> LayeredSpace:  # type: ignore[override]
        """Of the architectures."""
        return self._searched

    def score(self, architecture: Architecture, signal: str) -> float:
        """The tenth of the kernel's size."""
        return int(architecture["kernel"]) / 10


def test_a_table_of_a_space_with_equal_choices_that_builds_other_networks_is_another_one(tmp_path: Path) -> None:
    anew = []
    for mix in ("merged", "merged", "normalised"):
        table: Any = Kernels(LayeredSpace(shared=True, mix=mix))  # type: ignore[arg-type]
        model = TableSearch(
            methods={"random": QuerySearcher(trials=2)}, signal="val", test="test", directory=str(tmp_path)
        )
        trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_progress_bar=False)
        trainer.predict(model, DataLoader([table], batch_size=None, collate_fn=lambda one: one))
        anew.append(model._anew)
    assert anew == [1, 0, 1]


@pytest.mark.parametrize(
    "words",
    [
        ["--model.methods.TPE.storage", "null", "--model.methods.TPE.sampler.seed", "null"],
        ['--model.methods.TPE={"init_args": {"storage": null, "study": "None of these"}}'],
    ],
)
def test_null_is_no_text_at_any_depth(words: list[str]) -> None:
    before = ["--model.methods.TPE.init_args.storage=sqlite:///a.db", "--model.methods.TPE.init_args.trials=7"]
    before += ["--model.methods.TPE.init_args.study=None of these", "--model.methods.TPE.sampler.seed=5"]
    program = Program(["-c", str(CONFIGS / "nas_bench_201.yaml"), *before, *words], run=False)
    searcher = program.model.methods["TPE"]
    assert searcher.storage is None
    assert searcher.study == "None of these"
    assert len(program.model.methods) == 3


MISTAKES = {
    "key of a table": (["--data.table.pth=x"], r"'data.table.pth': .* Option 'pth' is not accepted"),
    "key before a key": (["--data.tabel.path=x"], r"'data.tabel.path' of TableDataModule: .*: did you mean 'table'\?$"),
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
    "embedding": (
        ["--model.methods.TPE.embedding=lit_metanas.tasks.DataStatistics"],
        r"'model': Method 'TPE' has an embedding, but a table has no images: leave it out",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence(
    mistake: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    args, sentence = MISTAKES[mistake]
    assert search("nas_bench_201.yaml", f"--data.table.path={table}", "--model.queries=2", *args) > 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("lit-metanas: ")
    assert re.search(sentence, last)


def test_an_absent_table_says_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert search("nas_bench_graph.yaml", "--data.table.folder=.") == 2
    assert "There is no table 'cora.bench': install the package nas-bench-graph" in capsys.readouterr().err


@pytest.mark.slow
def test_nas_bench_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space = NASBenchGraph()
    content = {
        space.key(architecture): {"valid_perf": 1 / (2 + place), "perf": 1 / (3 + place), "latency": 1.0, "para": 0.5}
        for place, architecture in enumerate(space.architectures())
    }
    (tmp_path / "cora.bench").write_bytes(pickle.dumps(content))
    args = ["--data.table.folder=.", "--data.datasets=[cora]", "--model.queries=30"]
    assert search("nas_bench_graph.yaml", *args) == 0
    for row in read_results("search/results.json"):
        best = row.curve[-1][1]
        assert row.value == pytest.approx(1 / (1 / best + 1))
        assert (row.parameters, row.flops, row.cost.queries) == (500_000, 0, 30)


def test_the_real_table(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert search("nas_bench_201.yaml", f"--data.table.path={data_folder / 'nas_bench_201.npz'}") == 0
    best = {"cifar10": 0.9437, "cifar100": 0.7351, "ImageNet16-120": 0.4731}
    for row in read_results("search/results.json"):
        assert best[row.task_id] - 0.03 < row.value <= best[row.task_id] + 1e-4


@pytest.mark.skipif(find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed")
def test_optuna_dashboard_shows_what_a_search_left(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept.yaml").write_text(
        "model: {init_args: {methods: {TPE: {init_args: {storage: 'sqlite:///studies.db', study: TPE,"
        " objectives: [accuracy, parameters]}}}}}"
    )
    args = ["--data.datasets=[cifar10]", "--model.queries=4", f"--data.table.path={table}", "--config=kept.yaml"]
    assert search("nas_bench_201.yaml", *args) == 0
    storage = optuna.storages.RDBStorage("sqlite:///studies.db")
    (study,) = served(storage, "")["study_summaries"]
    assert study["study_name"] == "TPE/cifar10/NASBench201/seed 0"
    assert study["directions"] == ["maximize", "minimize"]
    shown = served(storage, f"/{study['study_id']}")
    assert shown["objective_names"] == ["accuracy", "parameters"]
    *scored, unpaid = shown["trials"]
    assert {trial["state"] for trial in scored} == {"Complete"}
    assert len(scored) >= 4
    assert all(json.loads(attributes(trial)["architecture"]) for trial in scored)
    assert "the budget does not pay for it" in attributes(unpaid)["unpaid"]
    storage.remove_session()
    storage.engine.dispose()


def served(storage: optuna.storages.BaseStorage, path: str) -> Any:
    """What the dashboard's server answers of the studies."""
    import optuna_dashboard

    environment: dict[str, Any] = {}
    setup_testing_defaults(environment)
    environment["PATH_INFO"] = f"/api/studies{path}"
    answers: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own
        body = b"".join(optuna_dashboard.wsgi(storage)(environment, lambda status, *_: answers.append(status)))
    assert answers == ["200 OK"]
    return json.loads(body)


def attributes(trial: dict[str, Any]) -> dict[str, str]:
    """The user attributes that the dashboard shows beside a trial."""
    return {attribute["key"]: attribute["value"] for attribute in trial["user_attrs"]}
