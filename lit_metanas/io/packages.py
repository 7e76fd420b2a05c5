"""Other packages: those of extras, their classes, and where the sources of installed ones lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any, TypeVar

Named = TypeVar("Named")


def import_extra(module: str, extra: str, owner: str) -> Any:
    """Import a module of an optional package, which this project's ``extra`` installs; ``owner`` begins a message."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ValueError(
            f"{owner} needs the package {module.partition('.')[0]} ({error}): pip install 'lit-metanas[{extra}]'."
        ) from None


def lazy_names(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a room, which imports the home of a public name when it is first asked for."""

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(f"{room}.{homes[name]}"), name)

    return find


def class_named(path: str, base: type[Named], noun: str, example: str) -> type[Named]:
    """The subclass of ``base`` that a user names by its path, such as ``graphs.Graphs``; its module is imported."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        raise ValueError(
            f"There is no {noun} '{path}' ({error}): give the path of a class, such as {example}."
        ) from None
    if not isinstance(found, type) or not issubclass(found, base):
        raise ValueError(f"'{path}' is no {noun}: give the path of a subclass of lit_metanas.{base.__name__}.")
    return found


def loaded_subclasses(base: type[Named]) -> Iterator[type[Named]]:
    """All subclasses that are loaded and can be made, those of a subclass before itself."""
    for one in base.__subclasses__():
        yield from loaded_subclasses(one)
        if not isabstract(one):
            yield one


def is_own(one: type) -> bool:
    """Whether a class is one of this package."""
    return one.__module__.startswith("lit_metanas.")


def stored_classes(base: type[Named]) -> dict[str, type[Named]]:
    """The loaded subclasses by the ``kind`` that files name them by; no other takes the name of one of ours."""
    loaded = [one for one in loaded_subclasses(base) if isinstance(getattr(one, "kind", None), str)]
    return {one.kind: one for one in sorted(loaded, key=is_own)}  # type: ignore[attr-defined]


def installed_sources(project: str, package: str) -> Path | None:
    """The folder or module file of an installed package such as ``PIL`` of ``pillow``, not imported; None if absent."""
    from importlib.metadata import PackageNotFoundError, distribution  # a fiftieth of a second, for each --help

    try:
        place = Path(str(distribution(project).locate_file(package)))
    except PackageNotFoundError:
        return None
    return next((path for path in (place, place.with_suffix(".py")) if path.exists()), None)
