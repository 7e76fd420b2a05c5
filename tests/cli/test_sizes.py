"""From a supernet of all sizes to a tested child below a limit, by the shipped configurations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lit_metanas.cli.command_line import main
from lit_metanas.records import read_architectures, read_results
from lit_metanas.spaces import LayeredSpace
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint

SMALL = ["--trainer.callbacks=[]", "--trainer.enable_progress_bar=false"]


def test_a_child_below_a_limit_is_chosen_trained_on_and_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    few = [*SMALL, "--data.way=4", "--data.val_episodes=4"]
    supernet = ["--model.flops=5e8", "--trainer.default_root_dir=supernet"]
    assert main(["fit", "-c", "sandwich", *few, *supernet]) == 0
    sized = ["-c", "sized", "--model.directory=found", "--model.searcher.constraints.flops=3e5"]
    limits = ["--model.searcher.trials=40", "--model.supernet=supernet/checkpoints/last.ckpt"]
    few = [*SMALL, "--data.val_episodes=2", "--data.way=4"]
    assert main(["search", *sized, *limits, *few]) == 0
    (chosen,) = read_architectures("found/architectures.json")
    given = ["-c", "sandwich", "-c", "found/recipe.yaml"]
    architecture = ["--model.architecture", "found/architectures.json"]
    start = ["--model.start", "found/start.ckpt"]
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == " ".join(["Next: lit-metanas fit", *given, *architecture, *start])
    fit = ["--model.flops=1e8", "--trainer.default_root_dir=fitted", "--data.way=4", "--data.val_episodes=4"]
    assert main(["fit", *given, *architecture, *start, *fit, *SMALL]) == 0
    checkpoint = ["--ckpt_path=fitted/checkpoints/last.ckpt", "--data.test_episodes=4"]
    tested = [*checkpoint, "-c", "5way1shot", "--trainer.default_root_dir=tested"]
    assert main(["test", *given, *architecture, *tested]) == 0
    (row,) = read_results("episodes.json")
    assert row.architecture == chosen.architecture
    assert row.flops is not None
    assert row.flops <= 3e5
    assert row.meta_cost is not None
    assert row.meta_cost.flops > 5e8 + chosen.cost.flops
    assert chosen.space == LayeredSpace.__name__


def test_a_network_is_resized_from_one_that_was_trained_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = [*SMALL, "--data.way=4", "--data.val_episodes=2"]
    alone = ["-c", "one_size", "--model.flops=1e8", "--trainer.default_root_dir=alone"]
    assert main(["fit", *alone, *few]) == 0
    resized = ["-c", "resized", "--model.start=alone/checkpoints/last.ckpt", "--model.flops=1"]
    assert main(["fit", *resized, "--trainer.default_root_dir=resized", "--model.weight_optimizer.lr=0", *few]) == 0
    small, large = (read_meta_checkpoint(f"{name}/checkpoints/last.ckpt") for name in ("alone", "resized"))
    assert large.cost.flops > small.cost.flops
    assert large.architecture()["layer1.width"] == "16"
    first, whole = (next(w for n, w in one.weights.items() if w.ndim == 4) for one in (small, large))
    assert torch.equal(whole, first)
