"""What the verbs say of themselves: the folder at the start; scores, files and the next command at the end."""

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny

from lit_metanas.cli import run_output
from lit_metanas.cli.command_line import main
from lit_metanas.cli.program import Program
from lit_metanas.spaces import DARTSCell
from lit_metanas.tasks.episode_data import StepTasks

LAST = "out/checkpoints/last.ckpt"


def test_fit_tells_where_it_writes_and_what_came_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny.command("fit", home)) == 0
    first, score, following = capsys.readouterr().out.splitlines()
    assert first == "fit: trains into out."
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
    assert run_output._tasks_of_a_step(data.trainer) == line


def test_what_there_is_not_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    trainer: Any = SimpleNamespace(is_global_zero=False, callback_metrics={}, checkpoint_callbacks=[])
    run_output.StartAnnouncement(Path("out")).on_train_start(trainer, trainer)
    Program._say(SimpleNamespace(trainer=trainer), ["another process than the first"])  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""
    told = run_output.end_of_fit(trainer, trainer, config=Path("config.yaml"), seconds=3.0)
    assert told == ["fit: after 3 s; no checkpoint was kept."]
    assert run_output.end_of_evaluation(trainer, trainer, "test", kept=("results.json",)) == []
    of_cells: Any = SimpleNamespace(directory="out", space=DARTSCell())
    assert "lit-metanas fit -c CONFIG -c out/recipe.yaml" in run_output._end_of_source_search(of_cells)[1]


def test_a_resumed_fit_tells_what_is_done(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*tiny.command("fit", home), "--model.anneal=false", "--trainer.max_epochs=1"]) == 0
    capsys.readouterr()
    with pytest.warns(UserWarning, match="this run changes"):
        main([*tiny.command("fit", home), "--model.anneal=false"])
    assert capsys.readouterr().out.startswith("fit: trains into out, from step 4.\n")


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
    assert (begin, images) == ("Next:", "FILE")
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
