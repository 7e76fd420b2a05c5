"""What a verb of the Trainer leaves: files in the run's directory, a run in W&B, and what it prints."""

from __future__ import annotations

import itertools
import math
import os
import re
import secrets
import shlex
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from lit_metanas.callbacks.protocols import Searched, Tested
from lit_metanas.io.files import read_regular, set_aside, short_path, write_whole
from lit_metanas.io.locks import is_further_process
from lit_metanas.io.text import duration, number_of, printable
from lit_metanas.io.yaml_files import read_yaml
from lit_metanas.records.record import grouped
from lit_metanas.records.result_files import EXPORT, best_networks, kept_networks
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import percent
from lit_metanas.tasks.episode_data import StepTasks

if TYPE_CHECKING:
    from lit_metanas.comparisons import SourceSearch

RUN_ID, RUN_NAME, WANDB_MODE = "WANDB_RUN_ID", "WANDB_NAME", "WANDB_MODE"
"""Environment variables of W&B: a run's id and name, which win over ours, and whether it is offline."""


class SaveConfig(SaveConfigCallback):
    """Saves the configuration as ``config.<verb>.yaml`` in the run's directory; says what a resumed run changed."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Save it, but for a search, which may find that the directory holds another one."""
        if stage != "predict":
            super().setup(trainer, pl_module, stage)

    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save that of a search, which has looked at its directory."""
        super().setup(trainer, pl_module, "predict")

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file, on the first process."""
        config = self.config.clone()
        if config.trainer.get("threads") is None and trainer.strategy.root_device.type == "cpu":
            config.trainer["threads"] = torch.get_num_threads()  # those of this machine; other numbers with others
        text = self.parser.dump(config, skip_unset=True)
        path = Path(trainer.default_root_dir) / self.config_filename
        if path.is_file() and self.config.get("ckpt_path"):
            before, now = read_saved(path), dict(_leaves(yaml.safe_load(text)))
            names = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
            if not before:
                warnings.warn(f"'{path}' is replaced: it was damaged.", stacklevel=2)
            elif changed := sorted(names - {"ckpt_path", "config"}):
                warnings.warn(f"'{path}' is replaced: this run changes {', '.join(changed)}.", stacklevel=2)
        write_whole(path, text)


def csv_logger(root: Path, verb: str) -> CSVLogger:
    """Logs to ``logs/<verb>``, or to ``logs/<verb>.1`` and so on where a previous run has left that."""
    names = itertools.chain([verb], (f"{verb}.{number}" for number in itertools.count(1)))
    return CSVLogger(root, "logs", next(name for name in names if not os.path.lexists(root / "logs" / name)))


def set_checkpoints_aside(root: Path) -> None:
    """Rename an earlier training's checkpoints: what is called the last one is to be of the training that begins."""
    if not is_further_process() and (aside := set_aside(root / "checkpoints")) is not None:
        print(f"lit-metanas: moved the checkpoints of an earlier training to {aside}")


def read_saved(path: Path) -> dict[str, object]:
    """The values of an earlier run's configuration, by their dotted keys; none where the file is damaged."""
    try:
        return dict(_leaves(read_yaml(path)))
    except (ValueError, RecursionError, yaml.YAMLError):
        return {}


def _leaves(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}.{name}".removeprefix("."))
    elif prefix:
        yield prefix, tree


def wandb_in(root: Path, verb: str, loggers: Any, configured: Any, *, goes_on: bool) -> Any:
    """The loggers, those of W&B made anew: by default with their files in the run's directory, and its name and id."""
    if isinstance(loggers, list):
        return [wandb_in(root, verb, *pair, goes_on=goes_on) for pair in zip(loggers, configured, strict=True)]
    if type(loggers) is not WandbLogger:  # a subclass may take other arguments
        return loggers
    given = {**configured.init_args.as_dict(), **(configured.get("dict_kwargs") or {})}
    given = {name: value for name, value in given.items() if value is not None}
    if given["save_dir"] == "." and "dir" not in given:
        given["save_dir"] = str(root)
    if RUN_NAME not in os.environ:
        given.setdefault("name", f"{root} {verb}")
    # The first process alone writes to W&B.
    if getattr(rank_zero_only, "rank", 0) == 0 and RUN_ID not in os.environ and not {"version", "id"} & given.keys():
        given["id"] = run_id(root / f"wandb.{verb}.id", goes_on=goes_on)
    return WandbLogger(**given)


def run_id(path: Path, *, goes_on: bool) -> str:
    """The id of a W&B run, kept in a file: the earlier one if the run goes on."""
    kept = ""
    if goes_on:
        with suppress(FileNotFoundError, ValueError):
            kept = read_regular(path, 1 << 20).decode().strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", kept):
        kept = secrets.token_hex(5)
        write_whole(path, f"{kept}\n")
    return kept


@contextmanager
def own_run() -> Iterator[None]:
    """Close the W&B run that the block opens, so that the next phase in this process gets a run of its own."""
    mode, users = os.environ.get(WANDB_MODE), getattr(sys.modules.get("wandb"), "run", None) is not None
    failed = 1
    try:
        yield
        failed = 0
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None and not users:
            wandb.finish(exit_code=failed)
        os.environ.pop(WANDB_MODE, None)  # Lightning's logger sets it
        if mode is not None:
            os.environ[WANDB_MODE] = mode


class StartAnnouncement(Callback):
    """Prints at a training's start where its files go, and takes its time; ``root`` is the run's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.begin = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line, and start the clock."""
        self.begin = time.monotonic()
        if not trainer.is_global_zero:
            return
        line = f"fit: trains into {self.root}"
        if steps := int(getattr(pl_module, "outer_steps", trainer.global_step)):  # an outer step has two optimizers
            line += f", from step {steps}"
        print(f"{line}.{_tasks_of_a_step(trainer)}", flush=True)


def _tasks_of_a_step(trainer: Trainer) -> str:
    """A line on how many tasks a step takes, where their number is that of several processes."""
    data = getattr(trainer, "datamodule", None)
    if trainer.world_size == 1 or not isinstance(data, StepTasks) or data.tasks_per_step is not None:
        return ""
    return f"\nfit: each step takes {data.tasks_in_step} tasks, one a process (data.tasks_per_step)."


def end_of_fit(trainer: Trainer, module: LightningModule, *, config: Path, seconds: float) -> list[str]:
    """The scores of a training, its checkpoint, and the commands that use it."""
    from lit_metanas.training import TaskReptile  # else each verb would pay for it

    said = f"after {duration(seconds)}; "
    for part, prefix in (("training", "train"), ("validation", "val")):
        if scores := _scores(trainer.callback_metrics, prefix):
            said = f"{part} {scores}, after {duration(seconds)}; "
    kept = [Path(each.best_model_path) for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
    if (checkpoint := next((short_path(path) for path in kept if path.is_file()), None)) is None:
        return [f"fit: {said}no checkpoint was kept."]
    lines = [f"fit: {said}the checkpoint is {checkpoint}."]
    if type(module).test_step is not LightningModule.test_step:
        lines.append(_next("test", "-c", short_path(config), "--ckpt_path", checkpoint))
    if isinstance(module, TaskReptile):
        lines.append(
            _next("search", "-c", "reptile_targets", "--model.methods.meta-trained.estimator.start", checkpoint)
        )
    return lines


def end_of_evaluation(trainer: Trainer, module: LightningModule, verb: str, *, kept: Sequence[str]) -> list[str]:
    """The scores, of how many episodes, and the files that keep them."""
    prefix = {"validate": "val"}.get(verb, verb)
    line = f"{verb}: {_scores(trainer.callback_metrics, prefix)}"
    if line == f"{verb}: ":
        return []
    if verb == "test" and isinstance(module, Tested) and len(module.test_values):
        line += f" of {number_of(len(module.test_values), 'episode')}"
    if kept:
        line += f"; a row of {' and '.join(kept)}"
    return [f"{line}."]


def end_of_search(module: LightningModule) -> list[str]:
    """The results of a search, and the command that shows or uses them."""
    from lit_metanas.comparisons import SourceSearch, TargetSearch  # else each verb would pay for them
    from lit_metanas.training.export.prediction_table import predict_command

    if isinstance(module, SourceSearch):
        return _end_of_source_search(module)
    exports = module if isinstance(module, TargetSearch) and module.export else None
    if not isinstance(module, Searched) or not module.results:
        return []
    folder = short_path(module.directory)
    rows = [row for row in module.results if row.protocol.name == "target"]
    what = number_of(len({row.task_id for row in module.results}), "task")
    if rows:
        metrics = dict.fromkeys(printable(row.metric, 40) for row in rows)
        what = f"{' and '.join(metrics)} on {what}: {'; '.join(_scores_of_methods(rows))}"
    following = ["report", "--results", f"{folder}/results.json"]
    if exports is not None:
        own = [exports.folder(row.task_id, row.method) for row in rows]
        kept = [one for one in kept_networks(module.directory) if one.folder in own and one.has(EXPORT)]
        best = [one.folder for one in best_networks(kept).values()]
        following = predict_command(short_path((best or own)[0]))
    return [f"search: {what}. Results are in {folder}.", _next(*following)]


def _scores_of_methods(rows: Sequence[ResultRow]) -> list[str]:
    """The mean over tasks of each method; of a single task with its own interval."""
    from lit_metanas.report.table import over_units  # else each verb would pay for it

    scores = {method: over_units(own) for method, own in grouped((row.method, row) for row in rows).items()}
    return [f"{printable(method, 40)} {percent(one.mean, one.half)} %" for method, one in scores.items()]


def _end_of_source_search(module: SourceSearch) -> list[str]:
    from lit_metanas.spaces import LayeredSpace

    folder = short_path(module.directory)
    network = "CONFIG"  # in place of the user's own
    if isinstance(module.space, LayeredSpace):
        network = ("chosen", "fit/few_shot")[any(choice.name == "readout" for choice in module.space.choices)]
    start = ["--model.architecture", f"{folder}/architectures.json", "--model.start", f"{folder}/start.ckpt"]
    return [
        f"search: the architecture, its weights and its recipe are in {folder}.",
        _next("fit", "-c", network, "-c", f"{folder}/recipe.yaml", *start),
    ]


def _scores(metrics: Mapping[str, Tensor], prefix: str) -> str:
    """The accuracy with its interval, or else what was logged under a prefix."""
    begin = f"{prefix}/"
    own = {name.removeprefix(begin): float(value) for name, value in metrics.items() if name.startswith(begin)}
    if "accuracy" in own:
        return f"accuracy {percent(own['accuracy'], own.get('ci95', math.nan))} %"
    return ", ".join(f"{name} {value:.4g}" for name, value in list(own.items())[:3])


def _next(*words: str) -> str:
    return f"Next: {shlex.join(['lit-metanas', *words])}"
