"""Ctrl-C, kills and failures: the best so far is returned, and the same call goes on."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from auto_toys import NO_MEMORY, interrupt, paced, same_weights

import lit_metanas as lm
from lit_metanas.automl import budget_division, last_training, output
from lit_metanas.estimators import training_estimator
from lit_metanas.kinds.given_data import read_given
from lit_metanas.records.record import FailedWorkError
from lit_metanas.training.precision import BF16

Arrays = tuple[np.ndarray, list[str]]
Call = Callable[..., lm.SearchResult]


pytestmark = pytest.mark.usefixtures("short_trials")


@pytest.fixture
def call(arrays: Arrays, space: lm.LayeredSpace) -> Call:
    """Searches several networks, and trains one."""

    def run(output: Path | None = None, **more: Any) -> lm.SearchResult:
        given: dict[str, Any] = {"flops": (4e6, 2e6), "output": output, **more}
        return lm.auto(arrays, space=space, progress=False, **given)

    return run


def validated(result: lm.SearchResult, arrays: Arrays) -> float:
    """The accuracy of a result's network on the validation part."""
    val = read_given(arrays).val
    assert val is not None
    right = result.network(val.inputs).argmax(dim=1) == val.labels
    return float(right.double().mean())


@pytest.mark.parametrize("module", [training_estimator, last_training], ids=["search", "training"])
def test_an_interrupted_search_leaves_the_best_so_far_and_goes_on(
    module: Any, call: Call, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, searched = call(tmp_path / "whole"), module is training_estimator
    with monkeypatch.context() as patched:
        interrupt(patched, module, at=3 if searched else 1)
        stopped = call(tmp_path / "cut")
    assert (stopped.stopped, stopped.budget, stopped.command) == (True, None, "")
    assert stopped.images == (24, 8)  # as the search trained it: without the examples to choose by
    assert stopped.val_score == validated(stopped, arrays)
    assert stopped.val_score == max(trial.value for trial in stopped.record.trials)
    assert (stopped.training_cost.flops == 0) == searched
    assert repr(stopped).startswith("Stopped early; best so far in")
    assert lm.records.read_results(tmp_path / "cut" / "results.json")[0].stopped
    assert ", stopped early" in (tmp_path / "cut" / "README.md").read_text()
    assert lm.load(tmp_path / "cut").classes == ("bright", "dark")
    kept = len(list((tmp_path / "cut" / "trainings").iterdir()))
    assert kept == (2 if searched else len(whole.record.trials))
    trained = trained_in_search(monkeypatch)
    goes_on = call(tmp_path / "cut")
    assert len(trained) == len(whole.record.trials) - kept
    assert not goes_on.stopped
    assert not lm.records.read_results(tmp_path / "cut" / "results.json")[0].stopped
    assert same_weights(whole.network, goes_on.network)
    assert goes_on.command == whole.command == "lm.auto(data, flops=[4000000,2000000], seed=0, space=space)"
    assert whole.command in (tmp_path / "cut" / "README.md").read_text()
    assert not (tmp_path / "cut" / "trainings").exists()


def trained_in_search(monkeypatch: pytest.MonkeyPatch) -> list[lm.Child]:
    plain, trained = training_estimator.fit_child, list[lm.Child]()

    def fit(child: lm.Child, train: lm.Split, **more: Any) -> lm.Cost:
        trained.append(child)
        return plain(child, train, **more)

    monkeypatch.setattr(training_estimator, "fit_child", fit)
    return trained


def test_after_a_failed_last_training_the_network_is_as_the_search_trained_it(
    call: Call, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = call()
    with monkeypatch.context() as patched:
        interrupt(patched, last_training, at=1, by=NO_MEMORY)
        told = r"the last training failed \(RuntimeError: .* can't allocate memory\): the best so far is taken\.$"
        with pytest.warns(UserWarning, match=told):
            found = call(tmp_path)
    assert (found.stopped, found.val_score, found.images) == (True, whole.val_score, (24, 8))
    assert found.val_score == validated(found, arrays)
    assert "can't allocate memory" in repr(found)
    inputs = torch.from_numpy(arrays[0][:, None])
    assert torch.allclose(lm.load(tmp_path).network(inputs), found.network(inputs), atol=1e-5)
    assert same_weights(call(tmp_path).network, whole.network)
    interrupt(monkeypatch, last_training, at=1, by=NO_MEMORY)
    monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    with pytest.warns(UserWarning, match=told), pytest.raises(FailedWorkError, match="the search kept no weights"):
        call()


@pytest.mark.parametrize(("at", "told"), [(1, "before any network"), (3, "keeps no weights of a search")])
def test_an_interrupt_without_any_weights_is_passed_on(
    at: int, told: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lm.LayeredSpace, "supernet_weights", lambda *args: {})
    interrupt(monkeypatch, training_estimator, at=at)
    with pytest.raises(KeyboardInterrupt, match=told):
        call()


def test_minutes_are_divided_once_for_all_continuations(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paced(monkeypatch, 1e6)
    minutes: dict[str, Any] = {"flops": None, "minutes": 0.2}
    with monkeypatch.context() as patched:
        patched.setattr(budget_division, "faster_precision", lambda *args, **more: BF16)
        interrupt(patched, last_training, at=1)
        call(tmp_path / "out", **minutes)
    kept = json.loads((tmp_path / "out" / "auto.json").read_text())["plan"]
    monkeypatch.setattr(budget_division, "measure_pace", lambda *args, **more: pytest.fail("measured again"))
    goes_on = call(tmp_path / "out", **minutes)
    assert (goes_on.budget, goes_on.precision) == ((kept["search"], kept["training"]), BF16)


def test_what_a_killed_process_has_left_is_removed(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".auto.json.abcd1234.part").write_text('{"sett')  # killed while the first file was written
    (folder / ".keep.part").write_text("another's")
    first = call(folder)
    assert sorted(path.name for path in folder.rglob("*.part")) == [".keep.part"]
    (folder / "trainings").mkdir()  # killed before these were removed
    (folder / "report" / ".report.md.abcd1234.part").write_text("half")
    again = call(folder)
    assert same_weights(first.network, again.network)
    assert not (folder / "trainings").exists()
    assert sorted(path.name for path in folder.rglob("*.part")) == [".keep.part"]


@pytest.mark.parametrize("part", ["write_report", "write_results"])
def test_a_full_disk_at_the_end_does_not_lose_the_result(
    part: str, call: Call, arrays: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *args: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(output, part, fail)
        with pytest.warns(UserWarning, match=r"is incomplete \(.*No space left on device.*\): free some space"):
            found = call(tmp_path)
    inputs = torch.from_numpy(arrays[0][:, None])
    assert torch.allclose(lm.load(tmp_path).network(inputs), found.network(inputs), atol=1e-5)
    assert same_weights(call(tmp_path).network, found.network)
    assert (tmp_path / "report").is_dir()
