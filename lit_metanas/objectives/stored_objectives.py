"""Objectives as plain values, in the files of exported networks and in pickles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.io.packages import class_named, stored_classes
from lit_metanas.objectives import Classification, Objective


def describe_objective(objective: Objective) -> dict[str, Any] | None:
    """An objective as JSON holds it; None for classification."""
    if type(objective) is Classification:
        return None
    return {"kind": objective.kind, **objective.to_plain()}


def read_objective(stored: object, names: int, read: Callable[[object], Preprocessing]) -> Objective:
    """The inverse of ``describe_objective``: of so many classes or symbols; ``read`` makes stored preprocessings."""
    if stored is None:
        return Classification.from_plain({}, names, read)
    # A file never makes the program import what it names: another package's objective is found once it is imported.
    known = stored_classes(Objective)  # type: ignore[type-abstract]
    if not isinstance(stored, Mapping) or (kind := known.get(str(stored.get("kind")))) is None:
        raise ValueError(f"its objective is none of {', '.join(sorted(known))}; import the package that has others")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"}, names, read)


def objective_named(path: str) -> type[Objective]:
    """The class of an objective that a user names by its path, such as ``grades.Ordinal``."""
    return class_named(path, Objective, "objective", "grades.Ordinal")  # type: ignore[type-abstract]
