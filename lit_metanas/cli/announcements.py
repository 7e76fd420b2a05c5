"""What a verb of the Trainer says of itself: its cost at the start; its results and the next command at the end."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from lit_metanas.callbacks import EpisodeProgressBar, Searched, Tested
from lit_metanas.callbacks.progress_bar import trained_share
from lit_metanas.io.text import duration, number_of, printable, rough, with_prefix
from lit_metanas.records.result_files import EXPORT, best_networks, kept_networks
from lit_metanas.records.rows import ResultRow
from lit_metanas.records.statistics import percent, t_interval
from lit_metanas.tasks.episode_data import StepTasks

MOST_TOLD = 6
"""Methods whose scores are told at the end of a search."""


class CostAnnouncement(Callback):
    """Says at a training's start what it will cost and, after its first steps, about how long it takes.

    Args:
        root: the run's directory.

    Attributes:
        begin: the clock at the start; None before it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.begin: float | None = None
        self._share = 0.0
        self._told = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the cost, and start the clock."""
        self.begin, self._share = time.monotonic(), trained_share(trainer, pl_module)
        # This bar tells the time that is left.
        self._told = isinstance(trainer.progress_bar_callback, EpisodeProgressBar) or not trainer.is_global_zero
        if trainer.is_global_zero and self._share < 1:
            done = f", {100 * self._share:.0f} % of it done before" if self._share else ""
            print(f"fit: {extent(trainer, pl_module)} into {self.root}{done}.{_shares(trainer)}", flush=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Tell the time, once there is a pace."""
        if self._told or self.begin is None:
            return
        share, seconds = trained_share(trainer, pl_module), time.monotonic() - self.begin
        gained = share - self._share
        if gained > 0 and (seconds > 10 or gained > 0.05):
            self._told = True
            if (left := seconds * (1 - share) / gained) > 10:
                trainer.print(f"fit: about {rough(left)} left.", flush=True)

    @property
    def seconds(self) -> float:
        """Since the start."""
        return 0.0 if self.begin is None else time.monotonic() - self.begin


def extent(trainer: Trainer, module: LightningModule) -> str:
    """How much is trained: FLOPs, epochs or steps, as far as the limits say."""
    limits = []
    if getattr(module, "ends_by_itself", False):
        limits.append(f"{_flops(float(module.flops))} of training")  # type: ignore[arg-type]
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        batches = trainer.num_training_batches
        of = f" of {number_of(int(batches), 'step')}" if math.isfinite(batches) else ""
        limits.append(f"{trainer.max_epochs} epoch{'' if trainer.max_epochs == 1 else 's'}{of}")
    if trainer.max_steps >= 0:
        limits.append(number_of(trainer.max_steps, "step"))
    return ", at most ".join(limits) or "a training that a callback ends"


def _shares(trainer: Trainer) -> str:
    """A line on how many tasks a step takes, where their number is that of several processes."""
    data = getattr(trainer, "datamodule", None)
    if trainer.world_size == 1 or not isinstance(data, StepTasks) or data.tasks_per_step is not None:
        return ""
    return f"\nfit: each step takes {data.tasks_in_step} tasks, one a process (data.tasks_per_step)."


def end_of_fit(trainer: Trainer, module: LightningModule, *, config: Path, seconds: float) -> list[str]:
    """What a training came to, and the command that tests it."""
    kept = [Path(each.best_model_path) for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint)]
    checkpoint = next((_short(path) for path in kept if path.is_file()), None)
    parts = {"validation": "val", "training": "train"}
    found = {part: told for part, prefix in parts.items() if (told := _scores(trainer.callback_metrics, prefix))}
    scores = next((f"{part} {told}, " for part, told in found.items()), "")
    said = f"fit: {scores}after {duration(seconds)}; "
    lines = [said + (f"the checkpoint is {checkpoint}." if checkpoint else "no checkpoint was kept.")]
    if checkpoint and type(module).test_step is not LightningModule.test_step:
        lines.append(_next("test", "-c", _short(config), "--ckpt_path", checkpoint))
    if checkpoint and _suits_images(module):
        inputs = ["--inputs.images", "FOLDER", "--inputs.checkpoint", checkpoint]
        words = ["lit-metanas", "run", "my_images", *inputs]
        lines.append(f"For your own images: {shlex.join(words)}")
    if checkpoint and _starts_searches(module):
        start = ["--model.methods.meta-trained.estimator.start", checkpoint]
        lines.append(_next("search", "-c", "reptile_targets", *start))
    return lines


def _fit_of(space: object) -> str:
    """The configuration that trains on what a search of a source chose; a word in place of one's own."""
    from lit_metanas.spaces import LayeredSpace  # else each verb would pay for it

    if not isinstance(space, LayeredSpace):
        return "CONFIG"
    layers = any(choice.name == "readout" for choice in space.choices)
    return "fit/few_shot" if layers else "chosen"


def _starts_searches(module: LightningModule) -> bool:
    """Whether searches of tasks can begin with the weights of the model."""
    from lit_metanas.training import TaskReptile  # else each verb would pay for it

    return isinstance(module, TaskReptile)


def _suits_images(module: LightningModule) -> bool:
    """Whether the experiment for own images, which searches the shared layered space, can start from the model."""
    from lit_metanas.spaces import LayeredSpace  # else each verb would pay for them
    from lit_metanas.training import MetaSearch

    if not isinstance(module, MetaSearch):
        return False
    wanted, own = ({one.name: set(one.labels) for one in s.choices} for s in (LayeredSpace(shared=True), module.space))
    return own.keys() == wanted.keys() and all(labels <= wanted[name] for name, labels in own.items())


def end_of_evaluation(trainer: Trainer, module: LightningModule, verb: str, *, kept: Sequence[str]) -> list[str]:
    """The scores, of how many episodes, and the files that keep them."""
    scores = _scores(trainer.callback_metrics, {"validate": "val"}.get(verb, verb))
    episodes = len(module.test_values) if verb == "test" and isinstance(module, Tested) else 0
    of = f" of {number_of(episodes, 'episode')}" if episodes else ""
    where = f"; a row of {' and '.join(kept)}" if kept else ""
    return [f"{verb}: {scores}{of}{where}."] if scores else []


def end_of_search(module: LightningModule) -> list[str]:
    """What a search came to, and the command that shows or uses it."""
    from lit_metanas.comparisons import SourceSearch, TargetSearch  # else each verb would pay for them
    from lit_metanas.training.export.exported_model import predict_command

    if isinstance(module, SourceSearch):
        folder = _short(module.directory)
        start = ["--model.architecture", f"{folder}/architectures.json", "--model.start", f"{folder}/start.ckpt"]
        said = f"search: the architecture, its weights and its recipe are in {folder}."
        network = _fit_of(module.space) if module.supernet is None else "sandwich"
        return [said, _next("fit", "-c", network, "-c", f"{folder}/recipe.yaml", *start)]
    exports = module.finished if isinstance(module, TargetSearch) and module.export else None
    if not isinstance(module, Searched) or not module.results:
        return []
    folder = _short(module.directory)
    rows = [row for row in module.results if row.protocol.name == "target"]
    by_method = {name: [row for row in rows if row.method == name] for name in dict.fromkeys(r.method for r in rows)}
    tasks = len({row.task_id for row in module.results})
    told = [f"{printable(name, 40)} {_score(own)}" for name, own in by_method.items()][:MOST_TOLD]
    more = [f"{len(by_method) - MOST_TOLD} more"] if len(by_method) > MOST_TOLD else []
    metrics = " and ".join(dict.fromkeys(printable(row.metric, 40) for row in rows))
    of = number_of(tasks, "task")
    what = f"{metrics} on {of}: {'; '.join(told + more)}" if told else of
    lines = [f"search: {what}. Results are in {folder}."]
    if exports is not None:
        folders = [exports.folder(row.task_id, row.method) for row in rows]
        kept = [one for one in kept_networks(module.directory) if one.folder in folders and one.has(EXPORT)]
        best = [one.folder for one in best_networks(kept).values()]
        network = _short((best or folders)[0])
        lines.append(_next(*predict_command(network)))
    else:
        lines.append(_next("report", "--results", f"{folder}/results.json"))
    return lines


def _score(rows: Sequence[ResultRow]) -> str:
    """The mean over tasks; of a single one with its own interval, or the few test examples that give none."""
    if len(rows) > 1:
        interval = t_interval([row.value for row in rows])
        return f"{percent(interval.mean, interval.half)} %"
    (row,), (_, tested) = rows, rows[0].images
    of = f" of {number_of(tested, 'test example')}" if tested and math.isnan(row.ci95) else ""
    return f"{percent(row.value, row.ci95)} %{of}"


def _scores(metrics: Mapping[str, Tensor], prefix: str) -> str:
    """The accuracy with its interval, or else what was logged under a prefix."""
    accuracy = metrics.get(f"{prefix}/accuracy")
    if accuracy is not None:
        half = metrics.get(f"{prefix}/ci95")
        return f"accuracy {percent(float(accuracy), math.nan if half is None else float(half))} %"
    begin = f"{prefix}/"
    own = {name.removeprefix(begin): float(value) for name, value in metrics.items() if name.startswith(begin)}
    return ", ".join(f"{name} {value:.4g}" for name, value in list(own.items())[:3])


def _flops(number: float) -> str:
    """``2 TFLOPs``."""
    digits, _, prefix = with_prefix(number, exact=True).partition(" ")
    return f"{digits} {prefix}FLOPs"


def _short(path: Path) -> str:
    """How a user writes it in the working folder."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _next(*words: str) -> str:
    return f"Next: {shlex.join(['lit-metanas', *words])}"
