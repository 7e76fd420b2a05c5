"""From a search of architecture and recipe to a tested network, by the shipped configurations."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from lit_metanas.cli.command_line import main
from lit_metanas.records import read_architectures, read_results
from lit_metanas.training import MetaRecipe

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = ["--data.val_episodes=4", "--trainer.callbacks=[]", "--trainer.enable_progress_bar=false"]


def test_fit_and_test_take_what_was_searched(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = ["search", "-c", f"{CONFIGS}/search/few_shot.yaml", "--model.directory=found", "--model.flops=1.5e10"]
    searcher = {"candidates": [3], "rungs": [0.8], "recipe_mutations": 1.0}
    assert main([*search, *(f"--model.searcher.{key}={value}" for key, value in searcher.items()), *SMALL]) == 0
    (chosen,) = read_architectures("found/architectures.json")
    recipe = MetaRecipe().replace(chosen.recipe)
    assert yaml.safe_load(Path("found/recipe.yaml").read_text()) == recipe.configuration()
    said = capsys.readouterr().out.splitlines()[-1]
    architecture = ["--model.architecture", "found/architectures.json"]
    given = ["-c", "fit/few_shot", "-c", "found/recipe.yaml"]
    assert said == " ".join(["Next: lit-metanas fit", *given, *architecture, "--model.start found/start.ckpt"])
    fit = ["--model.start=found/start.ckpt", "--model.flops=3e9", "--trainer.default_root_dir=fitted"]
    assert main(["fit", *given, *architecture, *fit, *SMALL]) == 0
    written = yaml.safe_load(Path("fitted/config.fit.yaml").read_text())
    assert written["model"]["init_args"]["head"]["init_args"].items() >= {
        "learned": recipe.distance != "plain", "unit": recipe.distance == "cosine"
    }.items()  # fmt: skip
    tested = ["--ckpt_path=fitted/checkpoints/last.ckpt", "--data.test_episodes=4", "--trainer.default_root_dir=tested"]
    assert main(["test", *given, "-c", "5way1shot", *architecture, *tested]) == 0
    (row,) = read_results("episodes.json")
    assert row.architecture == chosen.architecture
    assert 0 < row.value < 1


def test_photographs_are_searched_from_one_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.arange(240) % 40
    pixels = np.random.default_rng(0).integers(0, 60, (240, 8, 8, 3)) + 4 * labels[:, None, None, None]
    np.savez("photos.npz", images=pixels.astype(np.uint8), labels=labels)
    data = ["--data.source.root=photos.npz", "--data.eval_query=4", *SMALL]
    photos = ["-c", f"{CONFIGS}/protocols/photos_few_shot.yaml"]
    search = ["search", "-c", f"{CONFIGS}/search/few_shot_photos.yaml", *photos]
    searcher = {"candidates": [4], "rungs": [0.8], "recipe_mutations": 1.0, "train": {"augmentation": ["none", "cut"]}}
    given = [f"--model.searcher.{key}={value}" for key, value in searcher.items()]
    assert main([*search, *data, *given, "--model.directory=found", "--model.flops=1e9"]) == 0
    records = Path("found/records.jsonl").read_text()
    assert '"augmentation": "none"' in records
    assert '"augmentation": "cut"' in records
    (chosen,) = read_architectures("found/architectures.json")
    assert chosen.shape == (3, 32, 32)
    over = [*photos, "-c", "found/recipe.yaml"]
    fit = [f"{CONFIGS}/fit/few_shot.yaml", *over, "--model.architecture=found/architectures.json", "--model.flops=1e9"]
    assert main(["fit", "-c", *fit, "--model.start=found/start.ckpt", "--trainer.default_root_dir=fitted", *data]) == 0
    written = yaml.safe_load(Path("fitted/config.fit.yaml").read_text())["data"]["init_args"]["augmentation"]
    asked = MetaRecipe().replace(chosen.recipe).configuration()["data"]["init_args"]["augmentation"]
    assert written["init_args"].items() >= asked["init_args"].items()  # others are the defaults


def test_the_shipped_recipe_is_one_that_a_search_can_choose() -> None:
    recipe = MetaRecipe(distance="scaled", label_smoothing=0.1, weight_decay=0.05, way=60, query=1)
    assert yaml.safe_load((CONFIGS / "recipes/few_shot.yaml").read_text()) == recipe.configuration()
    model = yaml.safe_load((CONFIGS / "search/few_shot.yaml").read_text())["model"]["init_args"]
    values = model["searcher"]["init_args"]["train"]
    assert all(value in values[name] for name, value in recipe.given.items())
