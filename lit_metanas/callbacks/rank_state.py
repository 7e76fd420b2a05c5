"""What has to be the same on all processes, and its checksums."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from lit_metanas.callbacks.searching import Sampling, searches

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
