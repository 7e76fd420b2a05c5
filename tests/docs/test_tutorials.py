"""Tutorials do what they say: every block of every page is read and run, in order, in an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fenced import Reader, blocks

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "get_started.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)
    reader = Reader(tmp_path, ROOT)
    for block in blocks(page):
        reader.read(block)
    for name in set(sys.modules) - known:
        if (tmp_path / f"{name}.py").is_file():
            del sys.modules[name]
