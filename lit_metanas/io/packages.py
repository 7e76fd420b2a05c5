"""Optional packages, and the sources and versions of installed ones."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any


def import_extra(module: str, extra: str, owner: str) -> Any:
    """Import a module of an optional package, or raise a ValueError that names the extra to install."""
    try:
        return import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise ValueError(f"{owner} needs the package {name} ({error}): pip install 'lit-metanas[{extra}]'.") from None


def installed_sources(project: str, package: str) -> Path | None:
    """The folder or file of an installed package, found without importing it; None if it is absent."""
    try:
        found = distribution(project)
    except PackageNotFoundError:
        return None
    place = Path(str(found.locate_file(package)))
    return next((path for path in (place, place.with_suffix(".py")) if path.exists()), None)


def installed_version(project: str) -> str:
    """The version of an installed package; empty if it is absent."""
    try:
        return distribution(project).version
    except PackageNotFoundError:
        return ""
