"""The layout of the package: sizes, names, and who imports whom."""

import ast
import graphlib
import statistics
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import lit_metanas

ROOT = Path(lit_metanas.__file__).parent
ROOMS = (*lit_metanas.ROOMS, "cli")
"""In the order in which data flows: a room imports only rooms before it."""

LEVELS = 3
"""How deep inheritance goes: a base, an implementation, a variant of that."""

MODULES = sorted(path for path in ROOT.rglob("*.py") if not path.name.startswith("__"))
LINES = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
FILES = {".".join(("lit_metanas", *path.relative_to(ROOT).with_suffix("").parts)): path for path in ROOT.rglob("*.py")}
PACKAGES = {name.removesuffix(".__init__") for name in FILES if name.endswith(".__init__")}


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax of each module, which takes seconds to read."""
    files = {name.removesuffix(".__init__"): path for name, path in FILES.items() if not name.endswith("__main__")}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}


def test_there_are_not_many_modules():
    assert len(MODULES) <= 351


def test_modules_are_neither_snippets_nor_novels():
    assert 120 <= statistics.median(LINES.values()) <= 240
    assert {name for name, lines in LINES.items() if not 40 <= lines <= 400} == set()


def test_a_level_is_seen_at_a_glance():
    assert max(Counter(path.parent for path in MODULES).values()) <= 14


def test_nothing_but_the_public_names_lies_at_the_root():
    assert {path.name for path in ROOT.iterdir() if path.is_file()} == {"__init__.py", "__main__.py", "py.typed"}
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROOMS)


def test_a_file_name_stands_once():
    names = Counter(path.name for path in MODULES)
    assert [name for name, count in names.items() if count > 1] == []


def bound(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines: of a class, a function, a constant or a type."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def test_a_public_name_stands_once():
    places: dict[str, list[str]] = {}
    for module, tree in trees().items():
        for node in tree.body:
            for name in bound(node):
                if not name.startswith("_"):
                    places.setdefault(name, []).append(module)
    assert {"SearchSpace", "check_space", "CHANCES", "Shape"} <= places.keys()
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Modules, and names of theirs, that a module of ``package`` imports, wherever in it, for type checking or not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base += [node.module] if node.module else []
            yield from ((".".join(base), alias.name) for alias in node.names)


def package_of(module: str) -> str:
    return module if module in PACKAGES else module.rpartition(".")[0]


def forbidden(tree: ast.Module, package: str) -> list[str]:
    """Imports of this project that are of neither the own room nor an earlier one."""
    place = ROOMS.index(package.split(".")[1])
    allowed = {*ROOMS[: place + 1], "__version__"}
    ours = [f"{module}.{name}".strip(".").split(".") for module, name in imported(tree, package)]
    if place == len(ROOMS) - 1:
        ours = [parts for parts in ours if parts != ["lit_metanas"]]  # which lists all rooms
    late = [parts for parts in ours if parts[0] == "lit_metanas" and (len(parts) < 2 or parts[1] not in allowed)]
    return sorted(".".join(parts) for parts in late)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_earlier_ones_only(room):
    modules = [name for name in trees() if name.split(".")[1:2] == [room]]
    assert len(modules) > 1
    late = {name: found for name in modules if (found := forbidden(trees()[name], package_of(name)))}
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
    fine = (
        "from lit_metanas.tasks import Task\nfrom .space import Shape\nimport torch",
        "from lit_metanas.io.files import replacing",
    )
    assert forbidden(ast.parse(line), "lit_metanas.spaces")
    assert not any(forbidden(ast.parse(text), "lit_metanas.spaces") for text in fine)


def test_no_modules_import_each_other():
    used: dict[str, set[str]] = {}
    for module, tree in trees().items():
        found = {
            f"{base}.{name}" if f"{base}.{name}" in trees() else base
            for base, name in imported(tree, package_of(module))
        }
        used[module] = found & trees().keys()
    # A face's names are loaded with the package that it is of, and the root's at their first use.
    used["lit_metanas"] = set()
    list(graphlib.TopologicalSorter(used).static_order())  # raises CycleError, which names the modules


def defined(module: str, name: str) -> tuple[str, str] | None:
    tree = trees().get(module)
    if tree is None:
        return None
    if any(isinstance(node, ast.ClassDef) and node.name == name for node in tree.body):
        return module, name
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if (alias.asname or alias.name) == name:
                return defined(str(node.module), alias.name)
    return None


def depth(module: str, name: str) -> int:
    """How many classes of this package one on top of the other a class is, itself included."""
    (node,) = (node for node in trees()[module].body if isinstance(node, ast.ClassDef) and node.name == name)
    names = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    bases = [defined(module, base.id) for base in names if isinstance(base, ast.Name)]
    return 1 + max((depth(*base) for base in bases if base), default=0)


def test_inheritance_is_shallow():
    classes = [(m, node.name) for m, tree in trees().items() for node in tree.body if isinstance(node, ast.ClassDef)]
    depths = {one: depth(*one) for one in classes}
    assert max(depths.values()) > 1
    assert {one: found for one, found in depths.items() if found > LEVELS} == {}
