"""A fit, a test and a search with all loggers on; what each of them gets."""

import base64
import hashlib
import json
from types import SimpleNamespace

import pytest
import torch
import wandb
import wandb_file
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import Logger
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb_file import records

from lit_metanas.callbacks import ArchitectureFile, ArchitectureLogger, ResultsTable
from lit_metanas.comparisons import TargetSearch
from lit_metanas.kinds import ArraySource
from lit_metanas.records import read_record_lines
from lit_metanas.searchers import QuerySearcher, RandomArchitecture
from lit_metanas.spaces import LayeredSpace
from lit_metanas.tasks import EpisodeDataModule, Split, TargetTaskDataModule, Task, TaskCollection
from lit_metanas.training import MetaSearch, Recipe

SHAPE = (1, 8, 8)
SPACE = LayeredSpace(
    kernels=(1, 3), pools=("max",), dropouts=(0.0,), depths=(2,), widths=(4,), skips=("none", "residual")
)
METHODS = {
    "random, first": RandomArchitecture(),
    "random | second": RandomArchitecture(),
    "queries": QuerySearcher(trials=3, constraints={"parameters": 1000}),
}
OWN = {"step", "epoch", "trainer/global_step", "_step", "_runtime", "_timestamp"}
"""Columns with which loggers count."""


def noise(number, count=1):
    return torch.randint(0, 256, (count, *SHAPE), generator=torch.Generator().manual_seed(number))


SOURCE = ArraySource(noise(0, 120)[:, 0].float() / 255, torch.arange(120) % 12, fractions=(0.4, 0.3, 0.3))


class Tasks(TaskCollection):
    shape = SHAPE

    def __len__(self):
        return 2

    def __getitem__(self, index):
        parts = [Split(noise(index + part, 12) / 255, torch.arange(12) % 3) for part in range(3)]
        return Task(f"task {index}", 3, *parts)


class Recorder(Logger):
    """Takes whatever is logged."""

    name, version = "recorder", 0

    def __init__(self):
        super().__init__()
        self.scalars = []
        self.tables = []

    def log_metrics(self, metrics, step=None):
        self.scalars.append((step, dict(metrics)))

    def log_hyperparams(self, params):
        raise AssertionError("nothing is to be told twice")

    def log_table(self, key, columns, data):
        self.tables.append((key, columns, data))

    def values(self, key):
        return [metrics[key] for _, metrics in self.scalars if key in metrics]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WANDB_API_KEY", raising=False)
        for name, value in {"MODE": "offline", "SILENT": "true", "DATA_DIR": str(folder / "data")}.items():
            patch.setenv(f"WANDB_{name}", value)
        settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True)
        recorder = Recorder()
        loggers = [
            WandbLogger(project="p", save_dir=folder, offline=True, settings=settings),
            TensorBoardLogger(folder, name="tensorboard"),
            recorder,
        ]

        def trainer(*callbacks):
            return Trainer(
                max_epochs=4, callbacks=list(callbacks), logger=loggers, default_root_dir=folder, accelerator="cpu",
                devices=1, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
                log_every_n_steps=1, num_sanity_val_steps=0, use_distributed_sampler=False, inference_mode=False,
            )  # fmt: skip

        model = MetaSearch(space=SPACE, shape=SHAPE)
        data = EpisodeDataModule(SOURCE, way=3, query=3, steps_per_epoch=2, val_episodes=4, test_episodes=6)
        trainer(ArchitectureLogger(picture_every=3), ArchitectureFile()).fit(model, data)
        trainer().test(model, data, verbose=False)
        recipe, directory = Recipe(epochs=1, batch_size=6), str(folder / "search")
        search = TargetSearch(space=SPACE, methods=METHODS, recipe=recipe, directory=directory)
        trainer(ResultsTable()).predict(search, TargetTaskDataModule(Tasks()), return_predictions=False)
        wandb.finish()
    (file,) = folder.rglob("*.wandb")
    events = EventAccumulator(str(next(folder.rglob("events.*")).parent))
    events.Reload()
    return SimpleNamespace(folder=folder, file=file, recorder=recorder, model=model, events=events)


@pytest.fixture(scope="module")
def history(run):
    """What the W&B file holds, by key: numbers, or the fields of a picture or a table."""
    found = {}
    for step in wandb_file.history(run.file):
        for (key, *fields), value in step.items():
            if fields:
                found.setdefault(key, {})[fields[0]] = value
            else:
                found.setdefault(key, []).append(value)
    return found


def test_all_loggers_get_the_same_scalars(run, history):
    told = {key for _, metrics in run.recorder.scalars for key in metrics} - OWN
    assert {"train/loss", "train/accuracy", "val/accuracy", "val/ci95", "test/accuracy", "test/ci95"} < told
    assert {"arch/layer1.kernel/entropy", "arch/layer2.skip/residual", "arch/gap", "arch/skip_share"} < told
    assert {"target/random_first/accuracy", "target/random_second/ci95"} < told
    assert {key for key, value in history.items() if isinstance(value, list)} - OWN == told
    assert set(run.events.Tags()["scalars"]) - OWN == told
    for key in told:
        values = pytest.approx(run.recorder.values(key), abs=1e-6)
        assert history[key] == values
        assert [event.value for event in run.events.Scalars(key)] == values


def test_scalars_of_results_are_of_one_task_a_step(run):
    (key, columns, rows), _ = run.recorder.tables
    assert key == "target/results"
    scalars = run.recorder.scalars
    logged = {(f"task {step - 1}", name): value for step, found in scalars for name, value in found.items()}
    for row in rows:
        cells = dict(zip(columns, row, strict=True))
        method = {"random, first": "random_first", "random | second": "random_second"}.get(cells["method"], "queries")
        assert logged[cells["task"], f"target/{method}/accuracy"] == cells["score"]


def test_wandb_and_tensorboard_have_the_last_pictures(run, history):
    for key, name in {"arch/probabilities": "probabilities", "arch/architecture": "architecture"}.items():
        assert history[key]["_type"] == "images/separated"
        pictures = sorted(run.folder.rglob(f"{name}_*.png"))
        assert len(pictures) == 2  # at the third validation and at the end
        with Image.open(pictures[-1]) as picture:
            assert picture.size == (history[key]["width"], history[key]["height"])
            assert picture.width > 400
    for key in ("arch/probabilities", "arch/architecture"):
        assert len(run.events.Images(key)) == 2


def test_table_of_trials(run, history):
    _, (key, columns, rows) = run.recorder.tables
    assert key == "search/trials"
    records = read_record_lines(run.folder / "search" / "records.jsonl")
    trials = [(record, place, trial) for record in records for place, trial in enumerate(record.trials)]
    scored = [row for row in rows if row[4] == "scored"]
    assert len(scored) == len(trials) == 6
    assert {row[1] for row in rows if row[4] == "without a score"} == {"random, first", "random | second"}
    for row, (record, place, trial) in zip(scored, trials, strict=True):
        assert row[:4] == [record.task_id, "queries", place, trial.value]
        assert row[6:9] == [trial.cost.queries, trial.cost.flops, trial.cost.seconds]
        assert row[-1] == str(trial.architecture)
    (file,) = run.folder.rglob("trials*.table.json")
    assert json.loads(file.read_text())["columns"] == columns
    assert history[key]["nrows"] == len(rows)


def test_architectures_are_artifacts_even_offline(run):
    artifacts = [record for record in records(run.file, "artifact") if record.type == "architecture"]
    digests = [[(entry.path, entry.digest) for entry in record.manifest.contents] for record in artifacts]
    files = [run.folder / "architectures.json", run.folder / "search" / "architectures.json"]
    md5 = [base64.b64encode(hashlib.md5(file.read_bytes()).digest()).decode() for file in files]
    assert digests == [[("architectures.json", digest)] for digest in md5]


def test_a_module_without_results_is_named(run):
    with pytest.raises(ValueError, match="MetaSearch does not search: remove the callback"):
        ResultsTable().on_predict_start(Trainer(logger=False, accelerator="cpu"), run.model)
