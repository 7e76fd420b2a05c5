"""What Weights & Biases gets of a search: offline without login or network, online by a stand-in."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
import wandb
from wandb.errors import CommError
from wandb_file import history, records

import lit_metanas as lm
from lit_metanas.callbacks import results
from lit_metanas.callbacks.results import columns_of_trials, draw_coordinates
from lit_metanas.report.logged_search import log_search

FLOPS, SPACE = (2e7, 1e7), lm.LayeredSpace(widths=(4,), depths=(1, 2))


def data():
    images = torch.rand(60, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return images, ["قطة", "Größe", "猫"] * 20


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WANDB_API_KEY", "WANDB_MODE"):
            patch.delenv(name, raising=False)
        patch.setenv("WANDB_DATA_DIR", str(folder / "data"))
        options = {"flops": FLOPS, "space": SPACE, "progress": False, "workers": 1}
        result = lm.auto(data(), output=folder / "model", wandb="letters", **options)
        again = lm.auto(data(), output=folder / "model", wandb="letters", **options)  # is read: no second run
    (file,) = folder.rglob("*.wandb")
    assert again.test_score == result.test_score
    assert "wandb" not in result.command
    return SimpleNamespace(result=result, file=file, folder=folder)


def test_an_offline_run_has_trials_confusions_drawings_and_figures(logged):
    result, steps = logged.result, history(logged.file)
    scored = [trial for trial in result.record.trials if trial.scored]
    score = ("trial/score",)
    assert [step[score] for step in steps if score in step] == [trial.value for trial in scored]
    keys = {name for step in steps for name, *_ in step}
    assert {"search/rounds", "search/architecture", "search/trials", "search/coordinates"} <= keys
    (table,) = logged.folder.rglob("search/trials_*.table.json")
    found = json.loads(table.read_text())
    assert len(found["data"]) == len(result.record.trials)
    assert [row[-1] for row in found["data"]] == [str(trial.architecture) for trial in result.record.trials]
    (chart,) = logged.folder.rglob("*.plotly.json")
    (drawn,) = json.loads(chart.read_text())["data"]
    assert drawn["dimensions"][-1]["values"] == [trial.value for trial in scored]
    (table,) = logged.folder.rglob("confusions_table_*.table.json")
    counts = {(is_, said): number for is_, said, number in json.loads(table.read_text())["data"]}
    assert set(counts) == {(one, other) for one in set(data()[1]) for other in set(data()[1])}
    right = sum(number for (is_, said), number in counts.items() if is_ == said)
    assert right / sum(counts.values()) == pytest.approx(result.test_accuracy)
    items = [item for each in records(logged.file, "summary") for item in each.update]
    kept = {item.key or ".".join(item.nested_key): item.value_json for item in items}
    assert float(kept["test/accuracy"]) == pytest.approx(result.test_score)
    assert float(kept["parameters"]) == result.parameters
    assert all(one.type != "model" for one in records(logged.file, "artifact"))


class StandIn:
    """A run that remembers what it gets."""

    id = "1"

    def __init__(self, folder):
        self.dir = str(folder / "wandb" / "run-1" / "files")
        self.kept, self.logged, self.summary = [], {}, {}
        self.log = self.logged.update

    def __enter__(self):
        return self

    def __exit__(self, *ends):
        return None

    def log_artifact(self, artifact):
        self.kept.append((artifact.type, sorted(artifact.manifest.entries)))
        return SimpleNamespace(wait=lambda: None)


@pytest.mark.parametrize("mode", ["online", "offline", "disabled"])
def test_the_network_is_an_artifact_online_alone(logged, tmp_path, monkeypatch, mode):
    run, given = StandIn(tmp_path), {}
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(wandb, "init", lambda **options: given.update(options) or run)
    assert log_search(logged.result, "letters", folder=tmp_path) == tmp_path / "wandb" / "run-1"
    assert (given["project"], given["mode"]) == ("letters", "online" if mode == "online" else "offline")
    assert given["config"]["architecture.depth"] == logged.result.architecture["depth"]
    assert run.summary["parameters"] == logged.result.parameters
    if mode == "online":
        ((kind, files),) = run.kept
        assert kind == "model"
        assert {"model.pt2", "model.json", "predict.py", "README.md"} <= {*files}
    else:
        assert run.kept == []


def test_a_failure_is_a_warning_and_the_result_is_there(monkeypatch, here):
    def refuse(**options):
        raise CommError("no network.")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.warns(UserWarning, match=r"Weights & Biases got nothing of this search \(no network\): log in"):
        result = lm.auto(data(), flops=FLOPS, space=SPACE, progress=False, workers=1, wandb="letters")
    assert result.parameters > 0


def test_coordinates_have_what_differs_and_need_plotly(monkeypatch):
    def trial(value, recipe, failure="", **labels):
        given = {"recipe": recipe, "trained": 10.0 * value, "failure": failure}
        return lm.records.Trial(lm.Architecture(labels), value, lm.Cost(), **given)

    trials = [
        trial(0.5, {"learning_rate": 0.1, "mirror": True}, kernel="3", depth="1"),
        trial(-math.inf, {"learning_rate": 0.3}, "diverged", kernel="5", depth="1"),
        trial(0.7, {"learning_rate": 0.3, "mirror": True}, kernel="5", depth="1", width="8"),
    ]
    record = lm.records.SearchRecord("letters", trials)
    assert columns_of_trials([record]) == {
        "kernel": ["3", "5"], "learning_rate": [0.1, 0.3], "width": ["–", "8"],
        "training FLOPs": [5.0, 7.0], "score": [0.5, 0.7],
    }  # fmt: skip
    (chart,) = draw_coordinates([record]).data
    (width,) = [one for one in chart.dimensions if one.label == "width"]
    assert (list(width.values), list(width.ticktext)) == ([1, 0], ["8", "–"])
    monkeypatch.setattr(results, "find_spec", lambda name: None)
    assert draw_coordinates([record]) is None
