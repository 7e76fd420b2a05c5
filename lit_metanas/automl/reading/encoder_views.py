"""Encoders among the preprocessings of a search: what they are read of, and the task of the features of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from lit_metanas.automl.options import NO_ENCODER, AutoOptions, NetworkLimits
from lit_metanas.io.text import option_words, printable
from lit_metanas.kinds.kind import Kind
from lit_metanas.kinds.rows.row_kind import EncodedRows
from lit_metanas.tasks.task import Task
from lit_metanas.training.encoders import EncodedTask, Encoder, encode, read_encoder
from lit_metanas.training.export.program import LARGEST_PROGRAM

MOST_ENCODING = 0.5
"""The share of the minutes that the features of an encoder may take."""

Ways = dict[str, Callable[[], Task]]
"""What makes the task of each preprocessing, by its label."""


def read_encoders(options: AutoOptions, kind: Kind, task: Task) -> dict[str, Encoder]:
    """The encoders that a call gives, by their labels; ``none`` is left out.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: one is neither a file nor an encoder.
        ValueError: one is for other examples, above a limit, or its file is damaged.
    """
    found = dict[str, Encoder]()
    for given in options.encoders or ():
        if given == NO_ENCODER:
            continue
        one = given
        if not isinstance(given, Encoder | str | os.PathLike):
            raise TypeError(
                f"'encoders' are files, names or lm.training.Encoder(name, module, shape), not {type(given).__name__}."
            )
        if not isinstance(given, Encoder):
            one = read_encoder(given, side=options.shape, download=options.download)
        if kind.name not in one.kinds:
            raise ValueError(
                f"The encoder '{printable(one.name, 60)}' is for {' and '.join(one.kinds)}, and the data are "
                f"{kind.noun}: leave it out."
            )
        one = one.heard_as(task.preprocessing)
        _check_limits(one, options.limits)
        if one.name in found or one.name == NO_ENCODER:
            raise ValueError(f"Two encoders are called '{printable(one.name, 60)}': rename the file of one.")
        if one.about:
            options.say(f"the encoder '{one.name}' was taken for {one.about}.")
        found[one.name] = one
    return found


def with_encoders(
    options: AutoOptions,
    kind: Kind,
    task: Task,
    ways: Ways,
    encoders: Mapping[str, Encoder],
    read: Callable[[Any], Task],
) -> tuple[Kind, Task, Ways]:
    """The kind and the task that a search begins with, and the task of each preprocessing, those of encoders last.

    Without ``none`` among the encoders, networks are searched for their features alone. ``read`` gives the task under
    another preprocessing.
    """
    made = {label: partial(_encoded, options, task, one, read) for label, one in encoders.items()}
    if NO_ENCODER in options.encoders:
        own = {label or NO_ENCODER: way for label, way in ways.items()}
        return kind, task, {**(own or {NO_ENCODER: lambda: task}), **made}
    first = next(iter(made.values()))()
    return EncodedRows(), first, {**made, first.encoder.name: lambda: first}


def _encoded(options: AutoOptions, task: Task, encoder: Encoder, read: Callable[[Any], Task]) -> EncodedTask:
    """The features of the examples of a task."""
    seconds = inf
    if options.minutes is not None:
        seconds = MOST_ENCODING * 60 * options.minutes
    raw = read(encoder.prepared).trainable()
    train = replace(raw.train, weights=task.train.weights)
    return encode(replace(raw, train=train, objective=task.objective), encoder, seconds=seconds)


def _check_limits(encoder: Encoder, limits: NetworkLimits) -> None:
    """Refuse an encoder that alone is above a limit."""
    sizes: dict[str, Any] = {
        "parameters": encoder.cost.parameters,
        "flops": encoder.cost.flops,
        "size": encoder.size,
        "latency": 0.0,
    }
    if sizes["size"] > LARGEST_PROGRAM:
        raise ValueError(
            f"The encoder '{printable(encoder.name, 60)}' has {sizes['size']:,} bytes of weights, and an exported "
            f"program may have {LARGEST_PROGRAM:,}: give a smaller encoder."
        )
    for name, most in limits.given.items():
        if sizes[name] > most:
            raise ValueError(
                f"The encoder '{printable(encoder.name, 60)}' alone is larger than max_{name}: {sizes[name]:,} of "
                f"{most:,.0f}. Raise the limit, give a smaller encoder, or let it teach a small network, by "
                f"{option_words('student', True)}."
            )
