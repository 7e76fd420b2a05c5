"""Compares what all processes hold."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, distributed, nn

from lit_metanas.callbacks.protocols import Sampling, searches
from lit_metanas.io.text import number_of

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def rank_state(trainer: Trainer, module: LightningModule) -> dict[str, Tensor]:
    """All that a training goes on from, by names that a reader understands; in an order that all processes share.

    Parameters, among them architecture logits; buffers, but for a batch-norm layer's own statistics, which under DDP
    are those of each process's batches; the optimizers' state and learning rates; of a search the architecture that it
    would choose, and what its relaxation makes of the logits.
    """
    state = {name: parameter.detach() for name, parameter in module.named_parameters()}
    state |= dict(_buffers(module))
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
    if isinstance(module, Sampling):
        state |= {f"sampled child, {name}": value for name, value in module.sampled_child().items()}
    return state


def checksum(value: Tensor) -> Tensor:
    """One number of all bits of a tensor and their places, int64 on the tensor's device.

    Each element's bits, as an integer, times an odd number of its own, summed modulo 2^64: no single element can change
    without the sum; several that change, or change places, go unnoticed by a rare chance only.
    """
    bits = value.detach().reshape(-1)
    bits = bits.view(_INTEGERS[bits.element_size()])
    if bits.element_size() == 8:  # two odd factors have an even sum, in which the sign's own bit, the highest, is lost
        bits = bits ^ ((bits >> 32) & 0xFFFFFFFF)
    factors = 2 * torch.arange(len(bits), device=bits.device) + 1
    return (bits * factors).sum()


def checksums(state: Mapping[str, Tensor], device: torch.device) -> Tensor:
    """The checksum of each tensor, shape ``(tensors,)``, on one device."""
    places: dict[torch.device, list[int]] = {}
    tensors = list(state.values())
    for place, value in enumerate(tensors):
        places.setdefault(value.device, []).append(place)
    result = torch.zeros(len(tensors), dtype=torch.int64, device=device)
    for own in places.values():  # one transfer from each device
        result[own] = torch.stack([checksum(tensors[place]) for place in own]).to(device)
    return result


def _buffers(module: LightningModule) -> Iterator[tuple[str, Tensor]]:
    local = {
        f"{name}.{buffer}" if name else buffer
        for name, layer in module.named_modules()
        if isinstance(layer, _BATCH_NORMS)
        for buffer, _ in layer.named_buffers(recurse=False)
    }
    yield from ((name, value) for name, value in module.named_buffers() if name not in local)


class AgreedError(ChildProcessError):
    """All processes raise it, with the same sentence, which the first one on each machine tells."""


class ReplicaCheck(Callback):
    """Compares over all processes what a training goes on from, bit for bit, and stops all where it differs.

    Each process sends two numbers, a checksum of ``rank_state`` and one of its names: after the first step, then every
    so many, and before an epoch's checkpoint. Only where they differ do all tensors' checksums follow, so that the
    tensor and the process can be named. On one process, and under strategies that split a model, it does nothing.

    Args:
        every_n_steps: training steps from one comparison to the next.

    Raises:
        ValueError: the number is below 1.

    Example:
        >>> import lit_metanas as lm
        >>> callback = lm.ReplicaCheck()
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
        """Count from here."""
        self._steps = self._checked = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Compare when it is time to."""
        self._steps += 1
        if self._steps == 1 or self._steps - self._checked >= self.every_n_steps:
            self.compare(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what goes into the checkpoint."""
        if self._steps > self._checked:
            self.compare(trainer, pl_module)

    def compare(self, trainer: Trainer, module: LightningModule) -> None:
        """Compare now, on all processes.

        Raises:
            AgreedError: processes differ; on all of them, with the same sentence.
        """
        self._checked = self._steps
        if trainer.world_size == 1 or not isinstance(trainer.strategy, DDPStrategy):
            return
        device = trainer.strategy.root_device
        state = rank_state(trainer, module)
        own = checksums(state, device)
        names = torch.tensor(zlib.crc32("\n".join(state).encode()), device=device)
        rows = trainer.strategy.all_gather(torch.stack([checksum(own), names])).tolist()
        if all(row == rows[0] for row in rows):
            return
        mine = dict(zip(state, own.tolist(), strict=True))
        gathered: list[dict[str, int]] = [{} for _ in range(trainer.world_size)]
        distributed.all_gather_object(gathered, mine)
        raise AgreedError(f"After {number_of(trainer.global_step, 'training step')} {difference(gathered)}")


def difference(gathered: Sequence[dict[str, int]]) -> str:
    """Say which process has a different tensor from the others.

    Args:
        gathered: for each process the checksums by name; not all are the same.
    """
    names = list(dict.fromkeys(name for row in gathered for name in row))
    odd: dict[str, list[int]] = {}
    for name in names:
        values = [row.get(name) for row in gathered]
        # Where two differ, nobody knows which is right: the first process's counts.
        usual = Counter(values).most_common(1)[0][0]
        if ranks := [rank for rank, value in enumerate(values) if value != usual]:
            odd[name] = ranks
    name, ranks = next(iter(odd.items()))
    others = f", and {number_of(len(odd) - 1, 'other difference')}" if len(odd) > 1 else ""
    who = f"process {ranks[0]} has" if len(ranks) == 1 else f"processes {', '.join(map(str, ranks))} have"
    return (
        f"{who} a different '{name}' from the {'other' if len(gathered) == 2 else 'others'}{others}: the training "
        "stops before this gets into a checkpoint; resume from the last one."
    )
