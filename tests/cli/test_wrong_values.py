"""Values that no key takes: exit code 2, one line that names the key, and nothing was written."""

from collections.abc import Callable
from pathlib import Path

import pytest

CONFIGS = Path(__file__).parents[2] / "configs"
FIT = ["fit", "-c", str(CONFIGS / "fit" / "conv4.yaml"), "--trainer.max_epochs=1"]
SEARCH = ["search", "-c", str(CONFIGS / "search" / "from_scratch.yaml")]
FOLDER = ["search", "-c", str(CONFIGS / "search" / "folder.yaml")]
RUN = ["run", "-c", str(CONFIGS / "experiments" / "quick.yaml")]
HUGE, ROOT = "1" + 30 * "0", "trainer.default_root_dir"

CASES = [
    ([*FIT, f"--{ROOT}=s3://runs/1"], f"'{ROOT}' cannot be 's3://runs/1': give a path"),
    ([*FIT, "--trainer.strategy=ddp_spawn"], "'trainer.strategy' cannot be 'ddp_spawn': give ddp, "),
    ([*FIT, "--seed_everything=-1"], "'seed_everything' cannot be -1: give a number from 0 to 4294967295."),
    ([*FIT, "--model.space.widthss=3"], "did you mean 'widths'?"),
    ([*FIT, "--model.flops=many"], "flops=many"),
    ([*FIT, f"--data.tasks_per_step={HUGE}"], "'data': EpisodeDataModule: tasks_per_step = 1e+30 must be a whole"),
    ([*SEARCH, "--model.directory=null"], "'model': 'directory' cannot be 'null': give a path on this machine."),
    ([*FOLDER, "--data.tasks.shape=[1, 0, 28]"], "'data': FolderTask: shape = (1, 0, 28) must be (channels, height"),
    ([*RUN, "--methods={a: 3}"], "methods"),
    (["report", "--results=[]", "--output=null"], "'output' cannot be 'null': give a path on this machine."),
]


@pytest.mark.parametrize(("args", "sentence"), CASES, ids=[f"{args[0]} {args[-1][:60]}" for args, _ in CASES])
def test_a_wrong_value_is_named(args: list[str], sentence: str, here: Path, refusal: Callable[..., str]) -> None:
    assert sentence in refusal(*args)
    assert {path.name for path in here.iterdir()} <= {"runs"}  # where the lock of the run's directory is
    assert not list(here.rglob("*.ckpt"))


@pytest.mark.usefixtures("home")
def test_a_checkpoint_that_a_method_lacks_is_named_with_its_key(refusal: Callable[..., str]) -> None:
    key = "model.methods.meta-searched.start"
    said = f"'{key}': There is no checkpoint 'last.ckpt': give one that `fit` of MetaSearch wrote, by --{key} FILE."
    assert refusal(*FOLDER, "--data.tasks.root=images") == said
