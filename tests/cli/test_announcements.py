"""What the verbs say of themselves: cost at the start; scores, files and the next command at the end."""

import json
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny

from lit_metanas.cli import announcements
from lit_metanas.cli.command_line import main
from lit_metanas.records import Cost, Protocol, ResultRow
from lit_metanas.tasks.episode_data import StepTasks

LAST = "out/checkpoints/last.ckpt"
Toy = Callable[..., int]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fit_tells_its_cost_and_what_came_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny.command("fit", home)) == 0
    first, score, following = capsys.readouterr().out.splitlines()
    assert first == "fit: 4 epochs of 4 steps into out."
    percent = r"\d+\.\d (± \d+\.\d|\[\d+\.\d, \d+\.\d\]) %"
    assert re.fullmatch(rf"fit: validation accuracy {percent}, after [\d.]+ s; the checkpoint is {LAST}\.", score)
    assert following == f"Next: lit-metanas test -c out/config.fit.yaml --ckpt_path {LAST}"
    assert main(shlex.split(following)[2:]) == 0
    captured = capsys.readouterr()
    (test,) = captured.out.splitlines()
    assert re.fullmatch(rf"test: accuracy {percent} of 4 episodes\.", test)
    assert "Test metric" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("processes", "given", "line"),
    [(1, None, ""), (4, None, "\nfit: each step takes 4 tasks, one a process (data.tasks_per_step)."), (4, 8, "")],
)
def test_fit_tells_how_many_tasks_several_processes_take(processes: int, given: int | None, line: str) -> None:
    data: Any = StepTasks()
    data.tasks_per_step = given
    data.trainer = SimpleNamespace(world_size=processes, datamodule=data)
    assert announcements._tasks_of_a_step(data.trainer) == line


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (["--model.flops=3e7"], "fit: 30 MFLOPs of training, at most 4 epochs of 4 steps into out."),
        (["--trainer.max_epochs=1", "--trainer.max_steps=3"], "fit: 1 epoch of 4 steps, at most 3 steps into out."),
    ],
)
def test_each_limit_is_told(limits: list[str], sentence: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*tiny.command("fit", home), *limits, "--trainer.limit_val_batches=0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{sentence}\n")
    assert "fit: training accuracy " in said


def test_a_resumed_fit_tells_what_is_done(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*tiny.command("fit", home), "--model.anneal=false", "--trainer.max_epochs=1"]) == 0
    capsys.readouterr()
    with pytest.warns(UserWarning, match="this run changes"):
        main([*tiny.command("fit", home), "--model.anneal=false"])
    assert capsys.readouterr().out.startswith("fit: 4 epochs of 4 steps into out, 25 % of it done before.\n")


def test_what_is_not_kept_is_not_promised(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    assert toy("fit", "--trainer.enable_checkpointing=false") == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first == "fit: 2 epochs of 2 steps into runs/latest."
    assert re.fullmatch(r"fit: validation loss [\d.e-]+, after [\d.]+ s; no checkpoint was kept\.", last)


def test_a_search_is_told_by_the_metric_of_its_tasks() -> None:
    protocol, spent = Protocol("target", 0, 0, "running"), Cost()
    row = ResultRow("GRU", "Danish", "", None, {}, 0, protocol, 0.829, 0.01, spent, spent, 0, 0, metric="chrF")

    def said(*rows: ResultRow) -> str:
        module: Any = SimpleNamespace(results=rows, records=(), directory=Path("out"))
        return announcements.end_of_search(module)[0]

    assert said(row) == "search: chrF on 1 task: GRU 82.9 ± 1.0 %. Results are in out."
    few = replace(row, ci95=math.nan, images=(8, 2))
    assert said(few) == "search: chrF on 1 task: GRU 82.9 % of 2 test examples. Results are in out."
    many = said(*(replace(row, method=f"m{number}") for number in range(8)))
    assert "m5 82.9" in many
    assert many.endswith("; 2 more. Results are in out.")


def test_search_ends_with_the_scores_and_a_command(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny.command("search", home)) == 0
    score, following = capsys.readouterr().out.splitlines()
    rows = json.loads(Path("out/results.json").read_text())["results"]
    assert {row["method"] for row in rows} == {"darts", "TPE"}
    for method in ("darts", "TPE"):
        values = [row["value"] for row in rows if row["method"] == method]
        assert f"{method} {50 * sum(values):.1f} " in score
    assert score.startswith("search: accuracy on 2 tasks: ")
    assert score.endswith(" %. Results are in out.")
    assert following == "Next: lit-metanas report --results out/results.json"
    assert main(shlex.split(following)[2:]) == 0
    capsys.readouterr()
    exported = [*tiny.command("search", home), "--model.export=true", "--data.tasks.tasks=1", "--model.directory=one"]
    assert main([*exported, "--model.methods.TPE.storage=sqlite:///one/studies.db"]) == 0
    score, following = capsys.readouterr().out.splitlines()
    assert score.startswith("search: accuracy on 1 task: ")
    begin, *_, folder, images = shlex.split(following)
    assert begin == "Next:"
    assert images == "NEW_IMAGES"
    assert main(["predict", folder, "images/class00"]) == 0
    chosen = json.loads(Path("one/architectures.json").read_text())["architectures"]
    best = max(chosen, key=lambda row: row["value"])  # by validation, whatever the test says
    assert Path(folder) == Path("one", best["weights"]).parent


def test_within_an_experiment_nothing_is_suggested(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny.command("run", home)) == 0
    said = capsys.readouterr().out
    assert "fit: validation accuracy " in said
    assert re.search(r"test: accuracy .* % of 4 episodes; a row of out/episodes\.json\.", said)
    assert "search: accuracy on 1 task: " in said
    assert "Next:" not in said
    assert "Test metric" not in said


def test_a_search_keeps_its_configuration_and_logs_beside_its_results(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = '{"random": {"class_path": "RandomArchitecture"}}'
    search = ["search", "-c", "search.yaml", "--data.tasks.tasks=1", f"--model.methods={methods}"]
    search = [*search, "--trainer.log_every_n_steps=1", "--model.directory=kept"]
    assert main(search) == 0
    kept = Path("kept/config.search.yaml")
    assert Path("kept/results.json").is_file()
    assert "default_root_dir: kept" in (before := kept.read_text())
    assert {path.name for path in home.iterdir() if path.is_dir()} == {"images", "kept"}
    assert main([*search, "--model.seed=3"]) == 2  # the directory holds another search
    assert "'kept' holds a search with another" in capsys.readouterr().err
    assert kept.read_text() == before
    assert main([*search, "--trainer.default_root_dir=elsewhere", "--model.directory=other"]) == 0
    assert Path("elsewhere/config.search.yaml").is_file()
    assert not Path("other/config.search.yaml").exists()
