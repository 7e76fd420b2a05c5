"""Rooms import only rooms before them, so that each can be read without those after it."""

import ast
from pathlib import Path

import pytest

import lit_metanas

ROOT = Path(lit_metanas.__file__).parent
ROOMS = (
    "io", "tasks", "spaces", "records", "relaxations", "testing", "meta", "training", "surrogates", "estimators",
    "searchers", "comparisons", "callbacks", "report", "cli",
)  # fmt: skip


def imported(text: str, package: str) -> set[str]:
    """Dotted names that a module of ``package`` imports, wherever in it, for type checking or not."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            names |= {".".join([*base, alias.name]) for alias in node.names}
    return names


def forbidden(text: str, package: str) -> list[str]:
    """Imports of this project that are of neither the own room nor an earlier one."""
    place = ROOMS.index(package.split(".")[1])
    allowed = {*ROOMS[: place + 1], "__version__"}
    ours = [name.split(".") for name in imported(text, package) if name.split(".")[0] == "lit_metanas"]
    return sorted(".".join(parts) for parts in ours if len(parts) < 2 or parts[1] not in allowed)


def test_the_rooms_are_all_folders_of_code():
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_earlier_ones_only(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert len(files) > 1
    package = f"lit_metanas.{room}"
    late = {file.name: found for file in files if (found := forbidden(file.read_text(), package))}
    assert not late


@pytest.mark.parametrize(
    "line",
    [
        "import lit_metanas.meta",
        "from lit_metanas.meta import Head",
        "from lit_metanas import meta",
        "from ..meta import Head",
        "from .. import meta",
        "if TYPE_CHECKING:\n    from lit_metanas.meta.heads import Head",
        "def late():\n    from lit_metanas.meta.heads import Head",
        "from lit_metanas.cli.command_line import main",
        "import lit_metanas",
    ],
)
def test_a_late_import_is_found(line):
    assert forbidden(line, "lit_metanas.spaces")
    assert not forbidden(
        "from lit_metanas.tasks import Task\nfrom .space import Shape\nimport torch", "lit_metanas.spaces"
    )
    assert not forbidden("from lit_metanas.io.files import replacing", "lit_metanas.spaces")
