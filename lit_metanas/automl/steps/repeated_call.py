"""The command, or the call in Python, that repeats a result of ``auto``."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

from lit_metanas.automl.steps.limits import NetworkLimits, Wishes, milliseconds
from lit_metanas.io.text import plain_number
from lit_metanas.records.record_lines import SHIPPED


def repeated_call(
    data: object,
    given: Mapping[str, object],
    budget: tuple[float, float],
    limits: NetworkLimits,
    wishes: Wishes,
    *,
    from_shell: bool,
) -> str:
    """What repeats a result, with FLOPs for minutes; names stand there for what is in memory.

    Args:
        data: what the network learned from.
        given: other arguments of ``auto``, by name; those that are None are left out.
        budget: training FLOPs of the search, and of the training after it.
        limits: of the network.
        wishes: seed, threads and records.
        from_shell: whether it is to be a command; else a call in Python.
    """

    def quoted(text: str) -> str:
        return text if from_shell else repr(text)  # of a command all words are quoted in the end

    def shown(name: str, value: object) -> str:
        if isinstance(value, int):
            return str(value)
        path = _path(value)
        return name if path is None else quoted(path)

    most = dict(limits.given)
    latency = most.pop("latency", None)
    told: dict[str, str | None] = {
        "flops": f"[{','.join(map(plain_number, budget))}]",
        "seed": str(wishes.seed),
        **{name: shown(name, value) for name, value in given.items() if value is not None},
        **{f"max_{name}": plain_number(limit) for name, limit in most.items()},
        "max_latency": None if latency is None else quoted(milliseconds(latency)),
        "latency_batch": None if limits.latency_batch == 1 else str(limits.latency_batch),
        "records": None if wishes.records == (SHIPPED,) else repr(wishes.records),
        "threads": None if wishes.threads == 1 else str(wishes.threads),
    }
    settings = {name: value for name, value in told.items() if value is not None}
    path = _path(data)
    if not from_shell:
        words = ["data" if path is None else repr(path), *(f"{name}={value}" for name, value in settings.items())]
        return f"lm.auto({', '.join(words)})"
    words = [word for name, value in settings.items() for word in _option(name, value)]
    first = [path] if path is not None and not path.startswith("-") else [f"--data={path}"]
    return shlex.join(["lit-metanas", "auto", *first, *words])


def _path(given: object) -> str | None:
    """A path, or the name of a group, as a text; None for what is in memory."""
    return os.fspath(given) if isinstance(given, str | os.PathLike) else None


def _option(name: str, value: str) -> list[str]:
    """An option as words; as one where its value looks like an option itself."""
    return [f"--{name}={value}"] if value.startswith("-") else [f"--{name}", value]
