"""Other packages: those of extras, and where the sources of installed ones lie."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any


def import_extra(module: str, extra: str, owner: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: its name.
        extra: the one of this project that installs it.
        owner: what needs it, as a message begins.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ValueError(f"{owner} needs the package {name} ({error}): pip install 'lit-metanas[{extra}]'.") from None


def installed_sources(project: str, package: str) -> Path | None:
    """The folder or module file of an installed package, found without importing it; None where it is absent.

    Args:
        project: the name that it is installed by, such as ``pillow``.
        package: the name that it is imported by, such as ``PIL``.
    """
    try:
        found = distribution(project)
    except PackageNotFoundError:
        return None
    place = Path(str(found.locate_file(package)))
    return next((path for path in (place, place.with_suffix(".py")) if path.exists()), None)


def installed_version(project: str) -> str:
    """The version of an installed package; empty where it is absent."""
    try:
        return distribution(project).version
    except PackageNotFoundError:
        return ""
