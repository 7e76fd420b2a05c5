"""A task whose inputs are features of an encoder, and the whole network of which a search sees the end alone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from math import inf
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from lit_metanas.inputs.batches import as_floats
from lit_metanas.inputs.shapes import describe_shape
from lit_metanas.kinds.texts.text_tokens import joined_task
from lit_metanas.records.record import Cost
from lit_metanas.spaces.supernet import NetworkCost
from lit_metanas.tasks.task import Split, Task, join_parts
from lit_metanas.training.encoders.encoder import Encoder

FAINTEST_FEATURE = 1e-3  # the smallest standard deviation that a feature is divided by


class Standardised(nn.Module):
    """An encoder whose features have the mean 0 and the standard deviation 1 on the examples to learn from."""

    mean: Tensor
    scale: Tensor

    def __init__(self, encoder: nn.Module, features: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("scale", 1 / features.std(0, correction=0).clamp(min=FAINTEST_FEATURE))

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, *shape)`` to ``(n, numbers)``."""
        return self.standardised(self.encoder(inputs))

    def standardised(self, features: Tensor) -> Tensor:
        """Features of the encoder, shape ``(n, numbers)``, standardised."""
        return (features - self.mean) * self.scale


@dataclass(eq=False, repr=False, kw_only=True)
class EncodedTask(Task):
    """A task whose inputs are features, shape ``(n, numbers)``, float32.

    Attributes:
        encoder: what made the features.
        front: the same with the features standardised, as the networks that are searched take them.
        encoding_cost: of the features: forward FLOPs, once for each example, and seconds.
        seen: the examples as the encoder takes them; of those to learn from and to choose by only the first is kept.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        >>> encoder = lm.training.Encoder("averages", network, lm.ImageShape(3, 8, 8))
        >>> task = lm.task_from_arrays(torch.rand(20, 3, 8, 8), torch.arange(20) % 2)
        >>> encoded = lm.training.encode(task, encoder)
        >>> encoded.shape, encoded.seen.shape
        (RowShape(numbers=12), ImageShape(channels=3, height=8, width=8))
    """

    encoder: Encoder
    front: nn.Module
    seen: Task
    encoding_cost: Cost


def encode(task: Task, encoder: Encoder, *, seconds: float = inf) -> EncodedTask:
    """The same task with features of an encoder as inputs, each computed once.

    Args:
        task: whose inputs are as the encoder takes them.
        encoder: makes the features.
        seconds: the most that it may take.

    Raises:
        ValueError: the encoder takes other inputs, or longer.

    Example:
        >>> import torch
        >>> import lit_metanas as lm
        >>> network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
        >>> encoder = lm.training.Encoder("averages", network, lm.ImageShape(3, 8, 8))
        >>> task = lm.task_from_arrays(torch.rand(20, 3, 8, 8), torch.arange(20) % 2)
        >>> result = lm.search(lm.training.encode(task, encoder), lm.MLPSpace(), recipe=lm.Recipe(epochs=2))
        >>> result.shape, result.network(task.test.inputs).shape
        (ImageShape(channels=3, height=8, width=8), torch.Size([4, 2]))
    """
    if task.shape != encoder.shape:
        raise ValueError(
            f"The encoder '{encoder.name}' takes {describe_shape(encoder.shape)}, and task '{task.id}' has "
            f"{describe_shape(task.shape)}: make the task with such inputs."
        )
    begin = perf_counter()
    parts = [part for part in (task.train, task.val, task.test) if part is not None]
    features = encoder.features(join_parts(*parts).inputs, seconds=seconds)
    own = dict(zip(map(id, parts), features.split([len(part) for part in parts]), strict=True))
    front = Standardised(encoder.network, own[id(task.train)]).eval()

    def encoded(part: Split) -> Split:
        return replace(part, inputs=front.standardised(own[id(part)]))

    first = replace(task, train=_first(task.train), val=task.val and _first(task.val))
    given: dict[str, Any] = {
        **{one.name: getattr(task, one.name) for one in fields(Task)},
        "train": encoded(task.train),
        "val": task.val and encoded(task.val),
        "test": encoded(task.test),
        "vocabulary": None,
        "preprocessing": None,
    }
    number = sum(map(len, parts))
    cost = Cost(images=number, flops=number * encoder.cost.flops, seconds=perf_counter() - begin)
    return EncodedTask(**given, encoder=encoder, front=front, seen=first, encoding_cost=cost)


class WithTokens(nn.Module):
    """An encoder that passes on, as they are, the tokens of another preprocessing behind those that it takes."""

    def __init__(self, encoder: nn.Module, steps: int) -> None:
        super().__init__()
        self.encoder, self.steps = encoder, steps

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(n, steps + others)``, int64, to ``(n, numbers + others)``, float32, which holds tokens exactly."""
        return torch.cat([self.encoder(inputs[:, : self.steps]), inputs[:, self.steps :].float()], 1)


def with_tokens(task: EncodedTask, other: Task) -> EncodedTask | None:
    """Features of texts with the tokens of another preprocessing behind them; None if new texts would have others."""
    firsts = replace(other, train=_first(other.train), val=other.val and _first(other.val))
    seen = joined_task(task.seen, firsts)
    if seen is None:
        return None

    def joined(part: Split, tokens: Split) -> Split:
        return replace(part, inputs=torch.cat([part.inputs, tokens.inputs.float()], 1))

    val = task.val and other.val and joined(task.val, other.val)
    front = WithTokens(task.front, task.seen.shape[-1]).eval()
    train, test = joined(task.train, other.train), joined(task.test, other.test)
    return replace(task, train=train, val=val, test=test, seen=seen, front=front)


def _first(part: Split) -> Split:
    """The first example, which keeps the shape and no memory."""
    return replace(part.spread(1), inputs=part.inputs[:1].clone())


def seen_task(task: Task) -> Task:
    """A task with its objective and its test part as the whole network takes them."""
    if not isinstance(task, EncodedTask):
        return task
    test = replace(task.seen.test, inputs=as_floats(task.seen.test.inputs))
    return replace(task.seen, objective=task.objective, test=test)


def whole_network(task: Task, network: nn.Module) -> nn.Module:
    """A network for the inputs of a task, with the encoder in front of it if these are features of one."""
    if not isinstance(task, EncodedTask):
        return network
    return nn.Sequential(OrderedDict(encoder=task.front, network=network))


def encoder_cost(task: Task) -> NetworkCost:
    """What an encoder in front adds to the size of a network; nothing without one."""
    if not isinstance(task, EncodedTask):
        return NetworkCost(0, 0)
    return task.encoder.cost
