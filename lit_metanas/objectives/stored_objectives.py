"""Objectives as plain values, in the files of exported networks and in pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.packages import class_named, loaded_subclasses
from lit_metanas.objectives import Classification, Objective, Span, Transcription, Translation

OBJECTIVES: tuple[type[Objective], ...] = (Classification, Span, Transcription, Translation)
"""Those of this package."""


def describe_objective(objective: Objective) -> dict[str, Any] | None:
    """An objective as JSON holds it; None for classification.

    Raises:
        ValueError: it cannot be stored.
    """
    if type(objective) is Classification:
        return None
    return {"kind": objective.kind, **objective.to_plain()}


def read_objective(stored: object, names: int, read: Callable[[object], Preprocessing]) -> Objective:
    """The inverse of ``describe_objective``.

    A file never makes the program import what it names: an objective of another package is found once that package
    has been imported.

    Args:
        stored: None for classification.
        names: number of classes, or of symbols.
        read: makes a preprocessing of its plain form.

    Raises:
        ValueError: it is no objective, or it and the names do not fit.
    """
    if stored is None:
        return Classification.from_plain({}, names, read)
    loaded = loaded_subclasses(Objective)  # type: ignore[type-abstract]
    # No other takes the name of one of ours.
    known = {one.kind: one for one in (*loaded, *OBJECTIVES)}
    kind = known.get(str(stored.get("kind"))) if isinstance(stored, Mapping) else None
    if kind is None or not isinstance(stored, Mapping):
        raise ValueError(f"its objective is none of {', '.join(sorted(known))}; import the package that has others")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"}, names, read)


def objective_named(path: str) -> type[Objective]:
    """The class of an objective that a user names by its path, such as ``grades.Ordinal``.

    Raises:
        ValueError: there is no such class, or it is no objective.
    """
    return class_named(path, Objective, "objective", "grades.Ordinal")  # type: ignore[type-abstract]
