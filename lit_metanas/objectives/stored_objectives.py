"""Objectives as plain values, in the files of exported networks and in pickles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from lit_metanas.inputs.preprocessing import Preprocessing
from lit_metanas.objectives import Classification, Objective


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
    known = {one.kind: one for one in _subclasses(Objective)}  # type: ignore[type-abstract]
    kind = known.get(str(stored.get("kind"))) if isinstance(stored, Mapping) else None
    if kind is None or not isinstance(stored, Mapping):
        raise ValueError(f"its objective is none of {', '.join(sorted(known))}; import the package that has others")
    return kind.from_plain({name: value for name, value in stored.items() if name != "kind"}, names, read)


def objective_named(path: str) -> type[Objective]:
    """The class of an objective that a user names by its path, such as ``grades.Ordinal``.

    Raises:
        ValueError: there is no such class, or it is no objective.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(
            f"There is no objective '{path}' ({error}): give the path of a class, such as grades.Ordinal."
        ) from None
    if not isinstance(found, type) or not issubclass(found, Objective):
        raise ValueError(f"'{path}' is no objective: give the path of a subclass of lit_metanas.Objective.")
    return found


def _subclasses(base: type[Objective]) -> Iterator[type[Objective]]:
    """All objectives that are loaded and have a name; this package's last, so that no other takes their place."""
    for one in reversed(base.__subclasses__()):
        yield from _subclasses(one)
        if "kind" in vars(one):
            yield one
