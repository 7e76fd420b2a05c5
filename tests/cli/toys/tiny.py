"""The smallest fit, search and experiment that do all that real ones do, on images that are noise."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from PIL import Image


def of_class(name: str, **init_args: object) -> dict[str, Any]:
    """What a configuration says of an object."""
    return {"class_path": name, "init_args": init_args} if init_args else {"class_path": name}


SPACE = of_class("LayeredSpace", shared=True, kernels=[3, 5], activations=["ReLU"], widths=[4], depths=[2])
SOURCE = of_class("ImageFolder", root="images", shape=[1, 8, 8], fractions=[0.4, 0.3, 0.3])
SIZES = {"way": 3, "query": 3, "tasks_per_step": 2, "steps_per_epoch": 4, "eval_way": 3, "eval_query": 3}
ON = {"accelerator": "cpu", "devices": 1, "enable_progress_bar": False}
FIT = {
    "model": of_class(
        "MetaSearch", space=SPACE, shape=[1, 8, 8], relaxation=of_class("SampledChild"), schedule={"warm_up": 0.1}
    ),
    "data": of_class("EpisodeDataModule", source=SOURCE, **SIZES, val_episodes=4, test_episodes=4),
    "trainer": {**ON, "max_epochs": 4, "callbacks": [of_class("ArchitectureLogger"), of_class("ArchitectureFile")]},
}
METHODS = {
    "darts": of_class("DARTSSearcher", epochs=2, rates={"weights": 0.1, "logits": 0.03}),
    "TPE": of_class(
        "QuerySearcher", sampler=of_class("optuna.samplers.TPESampler", n_startup_trials=2), fidelity=0.5, trials=5
    ),
}
TASKS = of_class("DrawnTasks", source=SOURCE, subset="val", way=3, train=4, val=4, test=4, tasks=2)
SEARCH = {
    "model": of_class("TargetSearch", space=SPACE, recipe={"epochs": 2, "batch_size": 8}, queries=3, methods=METHODS),
    "data": of_class("TargetTaskDataModule", tasks=TASKS),
    "trainer": ON,
}
EXPERIMENT = """
phases:
- {verb: fit, name: meta, config: [fit.yaml], args: [--trainer.max_epochs=2]}
- verb: test
  name: episodes
  config: [fit.yaml]
  args:
  - --ckpt_path={directory}/seed{seed}/meta/checkpoints/last.ckpt
  - "--trainer.callbacks={class_path: ResultsFile, init_args: {path: '{directory}/episodes.json', method: meta}}"
- verb: search
  name: targets
  config: [search.yaml]
  args:
  - --model.directory={directory}/seed{seed}/targets
  - --model.methods.TPE.init_args.storage=sqlite:///{directory}/seed{seed}/targets/studies.db
  - --data.tasks.tasks=1
- verb: report
  name: report
  per_seed: false
  args:
  - --results+={directory}/episodes.json
  - --results+={directory}/seed{seed}/targets/results.json
  - --probabilities={directory}/seed0/meta/probabilities.json
  - --output={directory}/report
"""


def fill(folder: Path, leave: int) -> None:
    """Leave only so many bytes on a disk."""
    space = os.statvfs(folder)
    (folder / "ballast").write_bytes(bytes(space.f_bavail * space.f_bsize - leave))


class FillsDisk(Callback):
    """Fills a disk when the second epoch begins.

    Args:
        folder: on the disk.
        leave: bytes that are left.
    """

    def __init__(self, folder: str, leave: int) -> None:
        self.folder = Path(folder)
        self.leave = leave

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            fill(self.folder, self.leave)


class Terminates(Callback):
    """Sends SIGTERM in the middle of one outer step.

    Args:
        step: which one, counted from 0 over all epochs.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        if int(pl_module.outer_steps) == self.step:
            os.kill(os.getpid(), signal.SIGTERM)


def write(home: Path) -> None:
    """Lay out images and configurations in a folder."""
    draw = np.random.default_rng(0)
    for number in range(12):
        folder = home / "images" / f"class{number:02}"
        folder.mkdir(parents=True)
        pixels = draw.integers(0, 200, (8, 8))
        for image in range(12):
            noisy = (pixels + draw.integers(0, 56, (8, 8))).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"{image}.png")
    for name, content in {"fit": FIT, "search": SEARCH}.items():
        (home / f"{name}.yaml").write_text(yaml.safe_dump(content))
    (home / "experiment.yaml").write_text(EXPERIMENT)


def command(verb: str, home: Path) -> list[str]:
    """What a user starts, and starts again, in the directory ``out``."""
    if verb == "run":
        return ["run", "-c", "experiment.yaml", "--directory=out"]
    args = [verb, "-c", f"{verb}.yaml", "--trainer.default_root_dir=out"]
    if verb == "search":
        return [*args, "--model.directory=out", "--model.methods.TPE.init_args.storage=sqlite:///out/studies.db"]
    last = "out/checkpoints/last.ckpt"
    return [*args, f"--ckpt_path={last}"] if (home / last).is_file() else args


def end_state(folder: Path) -> dict[str, Any]:
    """All that a run leaves for good, by file, without the times that it took."""
    read: dict[str, Callable[[Path], Any]] = {
        ".json": lambda path: json.loads(path.read_text()),
        ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        ".ckpt": lambda path: torch.load(path, weights_only=True),
        ".pt": lambda path: torch.load(path, weights_only=True),
    }
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in read]
    return {str(path.relative_to(folder)): timeless(read[path.suffix](path)) for path in files}


def timeless(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.flatten().tolist()
    if isinstance(value, dict):
        return {str(name): timeless(inner) for name, inner in value.items() if name not in ("seconds", "fingerprint")}
    return [timeless(inner) for inner in value] if isinstance(value, list | tuple) else value
