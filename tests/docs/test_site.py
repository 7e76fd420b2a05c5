"""The site: it builds without a warning, has a page for each room, and its figures can be drawn again."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


@pytest.mark.slow
def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    for package in ("sphinx", "myst_parser", "furo"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "how_it_works" / "bilevel.html").read_text(encoding="utf-8")
    assert "<math" in page
    assert '<script src="http' not in page  # nothing is fetched from elsewhere


def test_each_room_has_a_page() -> None:
    rooms = {path.parent.name for path in (ROOT / "lit_metanas").glob("*/__init__.py")}
    public = {room for room in rooms if getattr(importlib.import_module(f"lit_metanas.{room}"), "__all__", ())}
    assert {page.stem for page in (DOCS / "reference").glob("*.md")} == {*public, "index"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_each_page_opens_with_what_the_reader_will_be_able_to_do(page: Path) -> None:
    if page.parent.name == "reference" and page.stem != "index":
        return  # made from docstrings
    paragraphs = [text for text in page.read_text(encoding="utf-8").split("\n\n") if not text.startswith("#")]
    assert paragraphs[0].startswith(("After this page", "Meta-learned neural architecture search")), paragraphs[0]


def test_the_figures_can_be_drawn_again(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, DOCS / "figures", tmp_path], check=True, env=environment, timeout=600)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").glob("*.svg")}
    assert all((tmp_path / name).read_text(encoding="utf-8").endswith("</svg>\n") for name in drawn)
