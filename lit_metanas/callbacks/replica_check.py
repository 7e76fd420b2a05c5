"""Comparison of the training state of all processes."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from lit_metanas.callbacks.protocols import searches
from lit_metanas.io.text import number_of
from lit_metanas.training.meta_search import MetaSearch

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def rank_state(trainer: Trainer, module: LightningModule) -> dict[str, Tensor]:
    """The whole state of a training, by readable names, in an order that all processes share."""
    # Parameters, including architecture logits; buffers, except batch norms' own statistics, which under DDP are those
    # of each process's batches; optimizers' states and learning rates; of a search the architecture that it would
    # choose, and the relaxation of its logits.
    state = {name: parameter.detach() for name, parameter in module.named_parameters()}
    local = {
        f"{name}.{buffer}".removeprefix(".")
        for name, layer in module.named_modules()
        if isinstance(layer, _BATCH_NORMS)
        for buffer, _ in layer.named_buffers(recurse=False)
    }
    state |= {name: value for name, value in module.named_buffers() if name not in local}
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for place, optimizer in enumerate(trainer.optimizers):
        for parameter in (each for group in optimizer.param_groups for each in group["params"]):
            for key, value in sorted(optimizer.state.get(parameter, {}).items()):
                if value is not None:
                    state[f"{key} of {names[id(parameter)]}"] = torch.as_tensor(value)
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        state[f"learning rates of optimizer {place}"] = torch.tensor(rates, dtype=torch.float64)
    if searches(module):
        labels = json.dumps(module.architecture().to_json(), sort_keys=True)
        state["chosen architecture"] = torch.tensor(zlib.crc32(labels.encode()))
    if isinstance(module, MetaSearch):
        state |= {f"sampled child, {name}": value for name, value in module.sampled_child().items()}
    return state


def checksums(state: Mapping[str, Tensor]) -> dict[str, int]:
    """A checksum of all bits of each tensor, in the order of its elements, whatever their order in memory."""
    flat = {name: value.cpu().reshape(-1).view(torch.uint8) for name, value in state.items()}
    return {name: zlib.crc32(value.numpy().data) for name, value in flat.items()}


class AgreedError(ChildProcessError):
    """An error that all processes raise with the same sentence, which the first one on each machine prints."""


class ReplicaCheck(Callback):
    """Compares the state of a training over all processes, bit for bit, and stops all if it differs.

    Each process sends a checksum of each of its tensors: after the first step, then every ``every_n_steps``, and before
    an epoch's checkpoint. The message names the first tensor that differs, and its process. With one process, or under
    strategies that split a model, the callback does nothing.

    Args:
        every_n_steps: training steps from one comparison to the next.

    Raises:
        ValueError: the number is below 1.

    Example:
        >>> callback = lm.callbacks.ReplicaCheck()
        >>> trainer = lm.Trainer(max_epochs=3, callbacks=[callback], accelerator="cpu", logger=False)
        >>> callback in trainer.callbacks
        True
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"ReplicaCheck: every_n_steps is {every_n_steps}; give at least 1.")
        self.every_n_steps = every_n_steps
        self._steps = 0
        self._checked = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the count."""
        self._steps = self._checked = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Compare when it is due."""
        self._steps += 1
        if self._steps == 1 or self._steps - self._checked >= self.every_n_steps:
            self.compare(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare before the checkpoint is written."""
        if self._steps > self._checked:
            self.compare(trainer, pl_module)

    def compare(self, trainer: Trainer, module: LightningModule) -> None:
        """Compare now; processes that differ all raise the same AgreedError."""
        self._checked = self._steps
        if trainer.world_size == 1 or not isinstance(trainer.strategy, DDPStrategy):
            return
        gathered: list[dict[str, int]] = [{} for _ in range(trainer.world_size)]
        distributed.all_gather_object(gathered, checksums(rank_state(trainer, module)))
        if any(row != gathered[0] for row in gathered):
            raise AgreedError(f"After {number_of(trainer.global_step, 'training step')} {difference(gathered)}")


def difference(gathered: Sequence[dict[str, int]]) -> str:
    """The sentence that names the process with a different tensor, by the checksums of each process."""
    odd: dict[str, list[int]] = {}
    for name in dict.fromkeys(name for row in gathered for name in row):
        values = [row.get(name) for row in gathered]
        # If two processes differ, neither is known to be right: the first one's value counts.
        usual = Counter(values).most_common(1)[0][0]
        if ranks := [rank for rank, value in enumerate(values) if value != usual]:
            odd[name] = ranks
    name, ranks = next(iter(odd.items()))
    who = f"process {ranks[0]} has"
    if len(ranks) > 1:
        who = f"processes {', '.join(map(str, ranks))} have"
    others = "other" if len(gathered) == 2 else "others"
    if len(odd) > 1:
        others += f", and {number_of(len(odd) - 1, 'other difference')}"
    return (
        f"{who} a different '{name}' from the {others}: the training stops before this gets into a checkpoint; resume "
        "from the last one."
    )
