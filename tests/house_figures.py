"""Prints how large and dense the project is, or was: ``python tests/house_figures.py [REVISION ...]``."""

import ast
import re
import subprocess
import sys
import tokenize
from collections import Counter
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
ELLIPTIC = re.compile(r"\b(?:told|tells?|telling|beside|whereof|thereof)\b")
PARTS = {"package": "lit_metanas/", "tests": "tests/", "benchmarks": "benchmarks/", "pages": "docs/"}


def files_of(revision: str | None) -> dict[str, str]:
    """The Python files and pages of a revision, or of the working tree."""
    words = ("ls-files",) if revision is None else ("ls-tree", "-r", "--name-only", revision)
    names = [name for name in _git(*words).split("\n") if name.endswith((".py", ".md"))]
    if revision is None:
        return {name: (ROOT / name).read_text(encoding="utf-8") for name in names if (ROOT / name).is_file()}
    return {name: _git("show", f"{revision}:{name}") for name in names}


def _git(*words: str) -> str:
    return subprocess.run(("git", *words), cwd=ROOT, capture_output=True, text=True).stdout


def figures(files: dict[str, str]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for name, text in files.items():
        part = next((part for part, begin in PARTS.items() if name.startswith(begin)), "pages")
        if name.endswith(".md"):
            if name != "CHANGELOG.md" and not name.startswith("benchmarks/results/"):  # reports that programs wrote
                found["words of pages"] += len(text.split())
            continue
        found[f"lines of {part}"] += text.count("\n")
        if part == "package":
            found.update(package_figures(text))
    thousand = found["lines of package"] / 1000
    for name in ("conditional expressions", "comments"):
        found[f"{name} in 1,000 lines"] = round(found.pop(name) / thousand, 1)  # type: ignore[assignment]
    return dict(found)


def package_figures(text: str) -> Counter[str]:
    """Those of one module: how its lines divide, its statements, its conditional expressions."""
    tree, found = ast.parse(text), Counter[str]()
    documented = set[int]()
    for node in ast.walk(tree):
        found["statements"] += isinstance(node, ast.stmt)
        found["conditional expressions"] += isinstance(node, ast.IfExp)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            documented |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    tokens = list(tokenize.tokenize(BytesIO(text.encode()).readline))
    comments = {
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }
    blank = sum(not line.strip() for number, line in enumerate(text.splitlines(), 1) if number not in documented)
    found["comments"] += len(comments)
    found["lines of docstrings"] += len(documented)
    found["lines of code"] += text.count("\n") - len(documented) - len(comments) - blank
    found["words told, tells, beside"] += len(ELLIPTIC.findall(text))
    return found


if __name__ == "__main__":
    columns = {revision or "now": figures(files_of(revision)) for revision in (sys.argv[1:] or [None])}
    for name in sorted({name for column in columns.values() for name in column}):
        print(f"{name:40}", *(f"{column.get(name, 0):>12,}" for column in columns.values()))
