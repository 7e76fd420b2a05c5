"""From a search of architecture and recipe to a tested network, by the shipped configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.records import read_architectures, read_results
from lit_metanas.training import MetaRecipe

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = ["--data.val_episodes=4", "--trainer.callbacks=[]", "--trainer.enable_progress_bar=false"]


def test_fit_and_test_take_what_was_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    search = ["search", "-c", f"{CONFIGS}/search/few_shot.yaml", "--model.directory=found", "--model.flops=3e10"]
    searcher = {"candidates": [3], "rungs": [0.8], "recipe_mutations": 1.0}
    assert main([*search, *(f"--model.searcher.{key}={value}" for key, value in searcher.items()), *SMALL]) == 0
    (chosen,) = read_architectures("found/architectures.json")
    recipe = MetaRecipe().replace(chosen.recipe)
    assert yaml.safe_load(Path("found/recipe.yaml").read_text()) == recipe.configuration()
    said = capsys.readouterr().out.splitlines()[-1]
    architecture = ["--model.architecture", "found/architectures.json"]
    given = ["-c", "configs/fit/few_shot.yaml", "-c", "found/recipe.yaml"]
    assert said == " ".join(["Next: lit-metanas fit", *given, *architecture, "--model.start found/start.ckpt"])
    Path("configs").symlink_to(CONFIGS)
    fit = ["--model.start=found/start.ckpt", "--model.flops=1e10", "--trainer.default_root_dir=fitted"]
    assert main(["fit", *given, *architecture, *fit, *SMALL]) == 0
    written = yaml.safe_load(Path("fitted/config.fit.yaml").read_text())
    assert written["model"]["init_args"]["head"]["init_args"].items() >= {
        "learned": recipe.distance != "plain", "unit": recipe.distance == "cosine"
    }.items()  # fmt: skip
    tested = ["--ckpt_path=fitted/checkpoints/last.ckpt", "--data.test_episodes=4", "--trainer.default_root_dir=tested"]
    assert main(["test", *given, "-c", "configs/protocols/5way1shot.yaml", *architecture, *tested]) == 0
    (row,) = read_results("episodes.json")
    assert row.architecture == chosen.architecture
    assert 0 < row.value < 1


def test_whole_numbers_of_a_recipe_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "-c", f"{CONFIGS}/search/few_shot.yaml", "--print_config"]) == 0
    train = yaml.safe_load(capsys.readouterr().out)["model"]["init_args"]["searcher"]["init_args"]["train"]
    assert [type(value) for value in [*train["way"], *train["query"]]] == [int] * 7
    assert [type(value) for value in train["weight_decay"]] == [float] * 2


def test_the_shipped_recipe_is_one_that_a_search_can_choose() -> None:
    recipe = MetaRecipe(distance="scaled", label_smoothing=0.1, weight_decay=0.05, way=60, query=1)
    assert yaml.safe_load((CONFIGS / "recipes/few_shot.yaml").read_text()) == recipe.configuration()
    values = yaml.safe_load((CONFIGS / "search/few_shot.yaml").read_text())["model"]["init_args"]["searcher"][
        "init_args"
    ]
    assert all(value in values["train"][name] for name, value in recipe.given.items())
