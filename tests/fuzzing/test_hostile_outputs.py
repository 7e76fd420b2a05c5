"""Outputs that were received from others, or into which a user has put something: nothing of a user's is changed."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fuzz_tools import snapshot

import lit_metanas as lm
from lit_metanas.automl import budget_plan, calls
from lit_metanas.cli.experiment.plan import Phase
from lit_metanas.cli.experiment.run import run
from lit_metanas.comparisons.comparison import check_directory
from lit_metanas.training.export.prediction_table import PredictionTable

NETWORK = "front/1-72-parameters"
FOLDERS = ("front", "trainings", "report", NETWORK)
FILES = (
    "auto.json", "README.md", "predict.py", "model.pt2", "weights.pt", "results.json", "predictions.json",
    "predictions.csv", "errors.json",
    f"{NETWORK}/README.md", f"{NETWORK}/weights.pt",
)  # fmt: skip
INNER = ("trainings/" + "0" * 64 + ".pt", "report/report.md", "front/front.md")
"""Files that a finished search does not reach."""

SEARCHED = [(name, True) for name in (*FOLDERS, *FILES, *INNER)]
READ = [(name, False) for name in ("front", "trainings", NETWORK, "auto.json", f"{NETWORK}/weights.pt")]


def auto(output: Path) -> lm.SearchResult:
    """A search of a front of small networks."""
    generator = np.random.default_rng(0)
    X = generator.random((60, 2))
    y = [str(one) for one in X.sum(axis=1) > 1]
    return lm.auto((X, y), flops=(4e6, 4e6), pareto="parameters", output=output, progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a finished search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=3))
        output = tmp_path_factory.mktemp("front") / "model"
        found = auto(output)
    assert Path(NETWORK).name in found.front_names
    return output


@pytest.fixture
def received(finished: Path, canary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that seems not to have ended, in the working folder; a search that begins is an error."""
    output = canary / "work" / "received"
    shutil.copytree(finished, output)
    (output / "trainings").mkdir()
    monkeypatch.setattr(budget_plan, "SHARES", replace(budget_plan.SHARES, trial_steps=3))
    monkeypatch.setattr(calls, "run_stages", lambda *args: pytest.fail("the search has begun"))
    return output


def refused(call: Callable[[], object], home: Path) -> str:
    """The sentence that a call ends in; nothing of the user's is changed outside of the working folder."""
    before = snapshot(home)
    with pytest.raises(ValueError) as caught:
        call()
    assert snapshot(home) == before
    return str(caught.value)


def unfinish(output: Path) -> None:
    """Have it go on where it is called again."""
    state = json.loads((output / "auto.json").read_text())
    (output / "auto.json").write_text(json.dumps({**state, "done": None}))


def replace_by_link(path: Path, home: Path) -> None:
    """Put a link to a user's folder or file in the place of a folder or file."""
    if path.suffix:
        path.unlink(missing_ok=True)
        path.symlink_to(home / "thesis" / "chapter.tex")
    else:
        shutil.rmtree(path)
        path.symlink_to(home / "thesis")


@pytest.mark.parametrize(("name", "goes_on"), [*SEARCHED, *READ])
def test_no_part_of_an_output_is_reached_through_a_link(name: str, goes_on: bool, received: Path, canary: Path) -> None:
    if goes_on:
        unfinish(received)
    replace_by_link(received / name, canary)
    before = snapshot(received, without=(".auto.lock",))
    told = refused(lambda: auto(received), canary)
    assert f"{name}' is a link or not a" in told or f"{name}' is not of this search" in told
    assert snapshot(received, without=(".auto.lock",)) == before


@pytest.mark.parametrize("name", ["trainings", "README.md"])
def test_a_pipe_is_no_part_of_an_output(name: str, received: Path, canary: Path) -> None:
    unfinish(received)
    if name == "trainings":
        (received / name).rmdir()
    else:
        (received / name).unlink()
    os.mkfifo(received / name)
    assert f"{name}' is a link or not a" in refused(lambda: auto(received), canary)


OWN = ("front/mine/notes.txt", f"{NETWORK}/notes.txt", f"{NETWORK}/mine/notes.txt", "trainings/mine/notes.txt")


@pytest.mark.parametrize("name", [*OWN[1:], "README.md", "predict.py", f"{NETWORK}/README.md"])
def test_what_a_user_has_put_into_an_output_is_refused_before_a_search(name: str, received: Path, canary: Path) -> None:
    unfinish(received)
    (received / name).parent.mkdir(exist_ok=True)
    (received / name).write_text("mine")
    told = refused(lambda: auto(received), canary)
    assert any(f"{part}'" in told for part in (name, os.path.dirname(name)))
    assert "elsewhere, or give another output folder" in told or "no export has written it" in told
    assert (received / name).read_text() == "mine"


def test_a_finished_search_leaves_what_a_user_has_put_into_its_output(received: Path) -> None:
    for name in OWN:
        (received / name).parent.mkdir(exist_ok=True)
        (received / name).write_text("mine")
    again = auto(received)
    assert [(received / name).read_text() for name in OWN] == ["mine"] * len(OWN)
    assert len(again.front) == len(list((received / "front").glob("*-parameters")))


def test_a_name_in_a_state_leads_nowhere_else(received: Path, canary: Path) -> None:
    state = json.loads((received / "auto.json").read_text())
    for traded in ("task_id", "../../../thesis"):
        state["done"]["traded"] = traded
        state["done"]["front"][0]["task_id"] = "../../../thesis"
        (received / "auto.json").write_text(json.dumps(state))
        assert "that cannot be read ('traded' is no measure)" in refused(lambda: auto(received), canary)


@pytest.mark.parametrize("name", ["architecture", "ensemble", "view", "parameters", "front", "recipe"])
def test_a_damaged_field_of_a_state_gets_one_sentence(name: str, received: Path, canary: Path) -> None:
    plain = json.loads((received / "auto.json").read_text())
    for wrong in ("../../../thesis", {"a": 1}, [None]):
        (received / "auto.json").write_text(json.dumps({**plain, "done": {**plain["done"], name: wrong}}))
        assert "has a finished search that cannot be read (" in refused(lambda: auto(received), canary)


def test_an_export_of_a_front_goes_through_no_link(received: Path, canary: Path) -> None:
    found, output = auto(received), canary / "work" / "other"
    output.mkdir()
    (output / "front").symlink_to(canary / "thesis")
    assert "other/front' is a link or not a folder" in refused(lambda: found.export(output), canary)
    assert [path.name for path in output.iterdir()] == ["front"]


@pytest.mark.parametrize("name", ["children", "children/letters", "children/letters/darts", "results.json"])
def test_a_comparison_goes_through_no_link(name: str, canary: Path) -> None:
    output = canary / "work" / "received"
    (output / name).parent.mkdir(parents=True)
    (output / name).symlink_to(canary / "thesis")
    assert f"{name}' is a link" in refused(lambda: check_directory(output, {"seed": 0}), canary)


@pytest.mark.parametrize("name", ["seed0", "seed0/train", "seed0/train/phase.json", "seed0/train/log.txt"])
def test_an_experiment_goes_through_no_link(name: str, canary: Path) -> None:
    (canary / "work" / "received" / name).parent.mkdir(parents=True)
    (canary / "work" / "received" / name).symlink_to(canary / "thesis")

    def call() -> None:
        run([Phase("fit", "train")], Path("received"), execute=lambda args: pytest.fail(f"{args} has begun"))

    assert f"{name}' is a link" in refused(call, canary)


def test_a_link_to_nothing_is_not_replaced_by_predictions(finished: Path, canary: Path) -> None:
    (canary / "work" / "predictions.csv").symlink_to("absent")
    told = refused(lambda: PredictionTable(finished, "predictions.csv"), canary)
    assert "'predictions.csv' already exists and holds no predictions" in told
