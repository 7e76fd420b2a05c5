"""Tutorials do what they say: every block of every page is read and run, in order, in an empty folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from fenced import Reader, blocks
from PIL import Image

import lit_metanas as lm

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "docs" / "get_started.md",
    ROOT / "docs" / "configurations.md",
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]


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


def test_the_readme_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images = lm.Glyphs().images("test", 0, range(30))
    for place, name in enumerate(("circle", "cross", "hook")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number, image in enumerate(images[10 * place : 10 * place + 10]):
            Image.fromarray(image[0].numpy()).save(folder / f"{number}.png")
    reader = Reader(tmp_path, ROOT)
    for block in blocks(ROOT / "README.md"):
        if block.language == "python":
            reader.read(block)
    assert (tmp_path / "out" / "model.pt2").is_file()


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 1200
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []
