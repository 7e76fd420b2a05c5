"""A real fit, as the benchmarks of pipeline and processes run it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, seed_everything

from lit_metanas.kinds import Glyphs
from lit_metanas.meta import PrototypeLoss
from lit_metanas.relaxations import Softmax
from lit_metanas.spaces import LayeredSpace, SequenceSpace
from lit_metanas.tasks import EpisodeDataModule, TaskSource
from lit_metanas.training import MetaSearch, Trainer


def glyphs(*, way: int, tasks_per_step: int, steps: int, num_workers: int = 0) -> EpisodeDataModule:
    """Of glyphs; see ``episodes``."""
    return episodes(Glyphs(), way=way, tasks_per_step=tasks_per_step, steps=steps, num_workers=num_workers)


def episodes(
    source: TaskSource, *, way: int, tasks_per_step: int, steps: int, num_workers: int = 0
) -> EpisodeDataModule:
    """One epoch of 1-shot episodes with 5 query examples a class."""
    return EpisodeDataModule(
        source=source,
        way=way,
        shot=1,
        query=5,
        tasks_per_step=tasks_per_step,
        steps_per_epoch=steps,
        val_episodes=2 * tasks_per_step,
        num_workers=num_workers,
    )


def sampled() -> MetaSearch:
    """The module's defaults in the shared layered space: two sampled children a task, which differ in cost."""
    return MetaSearch(space=LayeredSpace(shared=True), shape=(1, 28, 28))


def sampled_sequences() -> MetaSearch:
    """The same in the default space of networks for text and sound."""
    return MetaSearch(space=SequenceSpace())


def soft() -> MetaSearch:
    """The whole mixture in each task: all tasks cost the same."""
    space = LayeredSpace(shared=True)
    return MetaSearch(space=space, shape=(1, 28, 28), meta_gradient=PrototypeLoss(), relaxation=Softmax())


def fit(
    make: Callable[[], MetaSearch], data: EpisodeDataModule, *, callbacks: list[Callback] | None = None, **settings: Any
) -> None:
    """Fit for one epoch."""
    warnings.filterwarnings("ignore", module="lightning")
    logging.getLogger("lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    seed_everything(0, verbose=False)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        limit_val_batches=0,
        callbacks=callbacks,
        **settings,
    )
    trainer.fit(make(), data)
