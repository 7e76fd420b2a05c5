"""Networks of other sizes begin with the weights of one, by the shipped configurations."""

from pathlib import Path

import pytest
import torch

from lit_metanas.cli.command_line import main
from lit_metanas.training.meta_search.meta_checkpoint import read_meta_checkpoint

SMALL = ["--trainer.callbacks=[]", "--trainer.enable_progress_bar=false"]


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
