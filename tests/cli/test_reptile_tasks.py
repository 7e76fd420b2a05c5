"""TaskReptile from the command line: fit, going on, and the search that it leads to."""

import re
import shlex
from pathlib import Path

import pytest
import tiny
import yaml
from tiny import of_class

import lit_metanas as lm
from lit_metanas.cli.command_line import main

LAST = "out/checkpoints/last.ckpt"
START = "--model.methods.meta-trained.estimator.start"
RECIPE = {"epochs": 1, "batch_size": 8}


@pytest.fixture
def home(home: Path) -> Path:
    """With the configurations of a fit on tasks and of a search that starts from it."""
    drawn = {"source": tiny.SOURCE, "way": 3, "train": 4, "val": 4, "test": 4, "tasks": 3}
    tasks = {subset: of_class("DrawnTasks", **drawn, subset=subset) for subset in ("train", "val")}
    fit = {
        "model": of_class("TaskReptile", space=tiny.SPACE, inner_steps=2, batch_size=4),
        "data": of_class("TrainingTaskDataModule", **tasks, steps_per_epoch=2, val_tasks=1),
        "trainer": {**tiny.ON, "max_epochs": 2},
    }
    estimator = of_class("TrainingEstimator", recipe=RECIPE, start=LAST)
    methods = {"meta-trained": of_class("QuerySearcher", trials=1, estimator=estimator)}
    search = {
        "model": of_class("TargetSearch", space=tiny.SPACE, recipe=RECIPE, methods=methods),
        "data": of_class("TargetTaskDataModule", tasks=tasks["val"]),
        "trainer": tiny.ON,
    }
    for name, content in {"tasks.yaml": fit, "targets.yaml": search}.items():
        (home / name).write_text(yaml.safe_dump(content))
    return home


def test_a_fit_tells_its_folder_and_leads_to_a_search(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit = ["fit", "-c", "tasks.yaml", "--trainer.default_root_dir", "out"]
    assert main(fit) == 0
    first, score, following = capsys.readouterr().out.splitlines()
    assert first == "fit: trains into out."
    assert re.fullmatch(rf"fit: validation score [\d.e-]+, after [\d.]+ s; the checkpoint is {LAST}\.", score)
    assert following == f"Next: lit-metanas search -c reptile_targets {START} {LAST}"
    words = shlex.split(following.replace("reptile_targets", "targets.yaml"))[2:]
    assert main([*words, "--model.directory", "found"]) == 0
    (row, *_) = lm.records.read_results("found/results.json")
    assert (row.method, row.meta_cost.steps) == ("meta-trained", 4)
    assert row.meta_cost.flops > 0
    capsys.readouterr()
    assert main(["validate", "-c", "tasks.yaml", "--ckpt_path", LAST]) == 0
    assert re.search(r"^validate: score [\d.e-]+\.$", capsys.readouterr().out, re.M)
    with pytest.warns(UserWarning, match=r"is replaced: this run changes trainer\.max_epochs"):
        assert main([*fit, "--ckpt_path", LAST, "--trainer.max_epochs", "3"]) == 0
    assert "fit: trains into out, from step " in capsys.readouterr().out
