"""The site: it builds without a warning, has a page for each room, and its figures can be drawn again."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lit_metanas.io import arrays, checkpoints, json_files
from lit_metanas.io.yaml_files import LARGEST_YAML, MOST_PARTS
from lit_metanas.kinds.images.image_files import LARGEST_IMAGE, MOST_IMAGE_PIXELS
from lit_metanas.records.record_lines import LARGEST_RECORDS
from lit_metanas.training.export.program_archive import LARGEST_PROGRAM

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


@pytest.mark.slow
def test_the_figures_can_be_drawn_again(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, DOCS / "figures", tmp_path], check=True, env=environment, timeout=600)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (DOCS / "figures").glob("*.svg")}
    assert all((tmp_path / name).read_text(encoding="utf-8").endswith("</svg>\n") for name in drawn)


def test_the_page_on_security_tells_the_limits_that_there_are() -> None:
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(): row for row in page.splitlines() if row.startswith("| **")}
    assert f"{checkpoints.MOST_VALUES // 10**6} million values, {checkpoints.DEEPEST} levels" in page
    assert f"{LARGEST_PROGRAM >> 20} MB" in rows["**exported network** (`model.json`, `model.pt2`)"]
    assert f"{json_files.LARGEST_JSON >> 20} MB, {json_files.MOST_JSON_VALUES // 10**6} million values" in page
    assert f"{json_files.DEEPEST_JSON} levels, texts of {json_files.LONGEST_TEXT:,} characters" in page
    assert f"up to {json_files.LARGEST_NUMBER:g}".replace("e+", "e") in page
    assert f"{LARGEST_RECORDS >> 20} MB" in rows["**records** (`records.jsonl`)"]
    assert f"{LARGEST_IMAGE >> 20} MB, {MOST_IMAGE_PIXELS // 10**6} million pixels" in rows["**images**"]
    assert f"{arrays.LARGEST_ARRAYS >> 20} MB in memory" in rows["**arrays** (`.npz`)"]
    assert f"{arrays.LARGEST_PICKLE >> 20} MB a pickle" in page
    assert f"up to {LARGEST_YAML >> 20} MB, and up to {MOST_PARTS:,} values" in page
    named = re.findall(r"`(tests/[\w/]+(?:\.py)?)`", page)
    assert len(named) > 6
    assert all((ROOT / name).exists() for name in named)


@pytest.mark.parametrize(("name", "words"), [("docs/results.md", 3500), ("benchmarks/README.md", 2500)])
def test_a_page_of_evidence_is_short_and_names_scripts_and_rows_that_exist(name: str, words: int) -> None:
    page, benchmarks = (ROOT / name).read_text(encoding="utf-8"), ROOT / "benchmarks"
    assert len(page.split()) <= words
    scripts = [benchmarks / script for script in re.findall(r"python benchmarks/([a-z]\w+\.py)", page)]
    rows = [benchmarks / "results" / row for row in re.findall(r"`(?:results/)?([\w/]+\.(?:jsonl?|md))`", page)]
    assert min(len(scripts), len(rows)) > 9
    assert [path.name for path in (*scripts, *rows) if not path.is_file()] == []
